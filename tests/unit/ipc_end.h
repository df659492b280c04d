// A channel with the test at its other end.
#ifndef TESTS_UNIT_IPC_END_H
#define TESTS_UNIT_IPC_END_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipc.h"

enum {
	END_N_RULES = 5,
	END_BUFFER = 4096, // what the socket holds
};

extern const struct ipc_rule end_rules[END_N_RULES];

struct end {
	struct event_base *base;
	struct ipc_peer *peer; // NULL once closed
	int other;
	int reason; // of closed()
	unsigned n_closed, n_ready, n_stops, n_replies;
	int status; // of the last reply
	int passed; // descriptor that a handler took
	bool free_in_handler;
};

// For cmocka: a peer that waits for a Hello, or has had it.
int end_setup(void **state);
int end_setup_serving(void **state);
int end_teardown(void **state);

void end_send_bytes(
    int fd, const void *bytes, size_t len, const int *fds, size_t n_fds);
void end_send_frame(struct end *, uint16_t type, uint32_t id,
    const ProtobufCMessage *msg, const int *fds, size_t n_fds);
// The bits of damage are flipped in the build id.
void end_send_hello(struct end *, uint32_t role, uint8_t damage);
void end_send_stop(struct end *, uint32_t id);
// One turn of the loop, without waiting.
void end_run(struct end *);
// The peer asks; its request number.
uint32_t end_ask(struct end *, unsigned deadline_ms);
ipc_reply_fn end_on_reply;
// The test answers.
void end_answer(struct end *, uint32_t id);
void end_assert_closed(struct end *, int reason);
size_t count_open_fds(void);

#endif
