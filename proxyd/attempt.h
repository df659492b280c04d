// One try at one source of the answer.
#ifndef PROXYD_ATTEMPT_H
#define PROXYD_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "proxyd/candidates.h"
#include "proxyd/evidence.h"
#include "proxyd/peers.h"
#include "proxyd/reap.h"
#include "proxyd/request.h"
#include "proxyd/sealed_v1.h"
#include "proxyd/stream.h"
#include "proxyd/upstream.h"

struct attempt {
	struct reap reap;
	struct request *req; // borrowed; NULL when it is over
	struct proxyd *d;    // borrowed
	struct candidate to;
	bool is_translated; // it is asked for a chat completion
	bool is_trial;	    // of a source that failed before; see breaker.h
	bool is_noted;	    // that it failed
	struct upstream up;
	uint8_t head[REQUEST_HEAD_ROOM]; // of the request
	size_t head_len;
	size_t sent;	 // of head and body; of their sealed form
	bool is_written; // the request is out
	bool is_paused;	 // the front is slow

	// local
	struct backend_conn *conn; // borrowed from its backend
	bool is_reused;		   // of that connection: may be dead already

	// tunnel
	struct stream tunnel;
	uint32_t verdict_id, seal_id, tunnel_id; // 0: not waiting
	struct evidence_waiter evidence;	 // for the host's
	Ipc__Level level; // of the host, as the request went to it
	bool has_binding;
	uint8_t binding[PEER_BINDING_LEN]; // that a verdict was asked about
	bool is_sealed;			   // out and in are in use
	bool has_unsealed;		   // the body is plaintext again
	struct sealed_request out;
	struct sealed_answer in;
	bool is_heard; // something came in since silence.c looked
	bool has_news; // of it, a part of the answer
	uint64_t silent_since_ms, no_news_since_ms;
};

// Begin.  On failure nothing is left behind and *ret_failure says why.
MUST_CHECK int attempt_start(struct request *, const struct candidate *,
    struct attempt **ret, struct failure *ret_failure);
// End at once: connection and tunnel closed, calls forgotten, the body of the
// request readable again.
void attempt_stop(struct attempt *);
// The front takes bytes again.
void attempt_resume(struct attempt *);
// Where the body that it sends lies, and the body itself.
struct buf *attempt_buf(const struct attempt *);
size_t attempt_body_at(const struct attempt *);
struct slice attempt_body(const struct attempt *);
// The stream that the answer comes from.
struct stream *attempt_stream(struct attempt *);

// ---- parts

MUST_CHECK int attempt_local_start(struct attempt *, struct failure *);
void attempt_local_stop(struct attempt *);
MUST_CHECK int attempt_tunnel_start(struct attempt *, struct failure *);
void attempt_tunnel_stop(struct attempt *);
// attempt_tunnel_answer.c: what comes out of it.
void attempt_tunnel_readable(struct stream *, void *arg);
void attempt_tunnel_failed(struct stream *, void *arg, int error);
void attempt_tunnel_forget_call(struct attempt *);
// Compose the head of the request in attempt.head.
MUST_CHECK int attempt_head(
    struct attempt *, const char *prefix, const char *host, bool keep_alive);
// Bytes of the answer, opened.  *ret_used < n: the rest is behind its end.
MUST_CHECK int attempt_feed(
    struct attempt *, const uint8_t *, size_t n, size_t *ret_used);
// Give up and tell the request; the attempt is over after it.
__attribute__((format(printf, 4, 5))) void attempt_fail(
    struct attempt *, int status, const char *code, const char *format, ...);
// Its head came; its answer is complete: the source is well.
void attempt_answered(struct attempt *);
// It answers that it, or what is behind it, does not work.
void attempt_is_unwell(struct attempt *);
void attempt_succeeded(struct attempt *);
// Send what came in this turn, and stop reading if the front is slow.
void attempt_flush(struct attempt *, bool is_held);

#endif
