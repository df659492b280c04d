// A real meshllm-proxyd whose siblings are this test: it holds the other ends
// of all channels and plays cryptod, gossipd and the verifier, honest or not.
#ifndef TESTS_UNIT_PROXYD_RIG_H
#define TESTS_UNIT_PROXYD_RIG_H

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>

#include "common/announcement.h"
#include "common/buf.h"
#include "common/ipc.h"
#include "common/process.h"
#include "common/sizes.h"

#define CHAT "/v1/chat/completions"

enum { RIG_WAIT_MS = 30000, RIG_TUNNELS_MAX = 64 };

// Another node: its keys are in our hands.
struct node {
	uint8_t id[ENDPOINT_ID_LEN];
	uint8_t identity[64];
	uint8_t key[INFERENCE_KEY_LEN];
	uint8_t secret[32];
};

struct rig {
	struct event_base *base;
	struct ipc_peer *parent, *cryptod, *gossipd, *verifier;
	pid_t pid;
	bool is_ready, has_ended;
	int status; // of waitpid
	char api[64], management[64];

	// What cryptod holds.
	struct node self;
	size_t n_seals, n_opens;
	uint8_t sealed_to[INFERENCE_KEY_LEN]; // the last one
	// NULL, or the only key that may be sealed to.
	const uint8_t *only_key;
	Ipc__Result open_result;
	bool cryptod_is_silent;

	// What gossipd was asked.
	int tunnels[RIG_TUNNELS_MAX];
	uint8_t tunnel_ids[RIG_TUNNELS_MAX][ENDPOINT_ID_LEN];
	size_t n_tunnels, n_taken;
	uint64_t late_ms; // its inbound ones came so long ago
	Ipc__Result tunnel_result;
	bool self_host;
	size_t n_self_models, n_self_updates;
	char self_model[MODEL_NAME_MAX + 1]; // the first

	// What the verifier says.
	Ipc__Level level;
	size_t n_verdicts;
	int64_t verdict_ms; // valid for

	// Evidence v2.  binding: of every peer's connection, unless all zero.
	uint8_t binding[32];
	Ipc__Result stream_result;
	size_t n_streams; // that were asked for
	bool is_session_silent, is_session_judged;
	Ipc__Level session_level;
	// NULL, or the only node whose evidence is any good.
	const uint8_t *honest_id;
	size_t n_sessions;
	uint8_t session_key[INFERENCE_KEY_LEN]; // of the last one
	uint8_t session_binding[32];
};

struct node node_make(void);
void node_announce(const struct node *, uint64_t sequence, int64_t from_ms,
    int64_t until_ms, uint8_t ret[static ANNOUNCEMENT_LEN]);

// args: NULL at the end.
void rig_start(struct rig *, const char *const *args);
// STOP; must end with exit status 0.
void rig_stop(struct rig *);
// Run the fakes until the condition holds; fails the test after RIG_WAIT_MS.
#define RIG_UNTIL(rig, condition)                                        \
	do {                                                             \
		uint64_t rig_until = clock_mono_ms() + RIG_WAIT_MS;      \
		while (!(condition)) {                                   \
			if (clock_mono_ms() > rig_until)                 \
				fail_msg("not in time: %s", #condition); \
			rig_turn(rig);                                   \
		}                                                        \
	} while (0)
void rig_turn(struct rig *);
void rig_run_ms(struct rig *, unsigned ms);

enum peer_form { PEER_SIGNED, PEER_UNSIGNED, PEER_PLAIN, PEER_FORGED };
void rig_tell_peer(
    struct rig *, const struct node *, enum peer_form, const char *model);
// The next tunnel that proxyd opened.
int rig_take_tunnel(struct rig *);
// A tunnel that the peer opens to proxyd; returns the peer's end.
int rig_open_tunnel(struct rig *, const uint8_t *peer_id);
// proxyd's end of one, with bytes in it already.
void rig_hand_tunnel(struct rig *, const uint8_t *peer_id, int fd);

// ---- HTTP

int http_connect(const char *address);
void http_send(int fd, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int http_post(struct rig *, const char *path, const char *body);
// Read until the end of a response or of the connection.
struct reply {
	struct buf bytes;
	int status;
	const char *head; // NUL terminated
	const char *body; // as it came, chunks and all
	bool is_complete; // by its framing
};
void http_read(struct rig *, int fd, struct reply *ret);
void reply_done(struct reply *);
// Post, read, close.
void http_ask(
    struct rig *, const char *path, const char *body, struct reply *ret);
void http_get(
    struct rig *, const char *address, const char *path, struct reply *ret);
bool reply_has(const struct reply *, const char *text);

// ---- the sealed form, as the other node

// Read what the opener sent up to its FIN and open it as this node.
void host_read(struct rig *, int tunnel, const struct node *,
    struct buf *ret_plain, uint8_t ret_key[static REQUEST_KEY_LEN]);
// Seal one chunk and send it.
void host_chunk(
    int tunnel, const uint8_t key[static REQUEST_KEY_LEN], const char *text);
void host_header(int tunnel, const uint8_t key[static INFERENCE_KEY_LEN]);
void host_end(int tunnel);
// Seal a request to the node and send it, with FIN; ret_key opens the answer.
void opener_write(int tunnel, const struct node *to, const char *plain,
    uint8_t ret_key[static REQUEST_KEY_LEN]);
// Read the sealed answer to its end; false: cut, or not sealed.
bool opener_read(struct rig *, int tunnel, const struct node *,
    const uint8_t key[static REQUEST_KEY_LEN], struct buf *ret_plain);
void write_all(int fd, const void *bytes, size_t n);

#endif
