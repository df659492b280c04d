// Two endpoints in one process on loopback, for the tests of the transport.
#ifndef TESTS_QUIC_HARNESS_H
#define TESTS_QUIC_HARNESS_H

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gossipd/quic.h"

// Nothing that goes well takes that long.
enum { HANG_MS = 60 * 1000, QUIET_TURNS = 20 };

enum node_signs { SIGN_RIGHT, SIGN_FORGED, SIGN_FAILS };
enum node_does { DO_ECHO, DO_EAT, DO_HOLD }; // with bytes that come in

struct node {
	struct quic *q;
	uint8_t id[ENDPOINT_ID_LEN], secret[64], static_secret[32];
	enum node_signs signs;
	enum node_does does;
	struct quic_config config; // limits may be set before node_start
	struct address listen;
	struct address addr; // bound
	// seen
	unsigned ups, closes, opened, ended, aborted, writable;
	enum quic_close_reason reason;
	char detail[128];
	struct quic_conn *conn; // the last one that came up
	uint64_t received;
	unsigned fins;
	bool broken; // a byte was not the one expected
	bool close_on_up;
};

// One stream.  Sends `want` patterned bytes and a FIN, expects the same back.
struct flow {
	struct node *node;
	struct quic_stream *stream;
	uint64_t want, sent, received, acknowledged;
	uint8_t seed;
	bool fin, aborted, closed, broken, keep_open, check;
	uint8_t *held; // echo: not yet written
	size_t held_len, held_room;
};

extern struct event_base *test_base;

int harness_setup(void **state);
int harness_teardown(void **state);
void node_init(struct node *, int family);
void node_start(struct node *);
void node_stop(struct node *);
struct quic_conn *node_dial(struct node *, const struct node *to);
// Dials and waits until both are up.
struct quic_conn *node_connect(struct node *, struct node *to);
struct flow *flow_open(
    struct node *, struct quic_conn *, uint64_t want, uint8_t seed);
// The same without the FIN at the end.
struct flow *flow_open_kept(
    struct node *, struct quic_conn *, uint64_t want, uint8_t seed);
void flow_pump(struct flow *);
void flow_free(struct flow *);
uint8_t flow_byte(uint8_t seed, uint64_t i);

// Runs the loop until *what is true (or 0 otherwise at the end of the time).
bool run_until(bool (*what)(void *arg), void *arg, unsigned ms);
// And QUIET_TURNS more, for what a busy machine did not get done meanwhile.
void run_for(unsigned ms);
bool node_is_up(void *node);
bool node_has_closed(void *node);
bool flow_is_closed(void *flow);

// A bad network between a client and a server.
struct relay {
	int listen_fd, server_fd;
	struct event *from_client, *from_server;
	struct address addr, client, server;
	unsigned drop_percent, mutate_percent, cut_percent;
	uint64_t seed, passed, spoiled;
};

void relay_start(struct relay *, const struct address *server);
void relay_rebind(struct relay *); // the client gets a new port
void relay_stop(struct relay *);

#endif
