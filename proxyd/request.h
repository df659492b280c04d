// One request's life: its body is collected, a source of the answer is found,
// the answer is relayed.
//
//   front (client_conn.c, inbound.c)  ->  request  ->  attempt (local, tunnel)
//                                     <-           <-
//
// A front gives the body and gets the answer; an attempt is one try at one
// source.  Until the first byte of an answer is sent there may be another.
#ifndef PROXYD_REQUEST_H
#define PROXYD_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/sizes.h"
#include "proxyd/answer.h"
#include "proxyd/body_scan.h"
#include "proxyd/candidates.h"
#include "proxyd/http_head.h"
#include "proxyd/openai_error.h"
#include "proxyd/party.h"
#include "proxyd/proxyd.h"
#include "proxyd/reap.h"
#include "proxyd/route.h"
#include "proxyd/sse_tail.h"

enum {
	REQUEST_ID_MAX = 64,
	REQUEST_HEAD_ROOM = 1024,    // in front of the body, for a head of ours
	ERROR_BODY_MAX = 256 * 1024, // of an upstream's error
	RETRY_AFTER_S = 5,
	REQUEST_FORM_TYPE_MAX = 32 + MULTIPART_BOUNDARY_MAX + 4,
	REQUEST_ERROR_HINTS = 3,
	RELAY_SOURCE_FIELDS = 4,
};

// How the answer to a front ended.
enum request_end {
	REQUEST_COMPLETE,
	REQUEST_LAST,	// complete, but the connection cannot go on
	REQUEST_BROKEN, // cut: the connection must end, and not look clean
};

// Called once; the front must not use the request after it.
typedef void request_ended_fn(void *front, enum request_end);

// Why there is no answer, as the client will read it.
struct failure {
	int status;
	const char *code; // static
	char message[OPENAI_ERROR_TEXT_MAX];
	bool is_final; // another try would not help: x-should-retry: false
	unsigned retry_after_s;	  // 0: not told
	const char *allow;	  // of 405; static
	const char *authenticate; // of 401; static
};

struct access_key;
struct attempt;
struct usage;
struct translation;

struct request {
	struct reap reap;
	struct proxyd *d; // borrowed
	void *front;	  // borrowed
	request_ended_fn *ended;
	bool is_inbound;	// from a peer: local models only
	const uint8_t *peer_id; // of an inbound one; borrowed
	bool is_plain;		// inbound, not sealed
	bool is_http10;
	bool wants_close; // the front will not be used again
	bool wants_stream;
	struct usage *usage; // owned; NULL: its answer will not tell
	uint64_t sent_us;    // the last part of the answer; 0: none yet
	bool explain;
	enum endpoint endpoint;
	struct access_key *key; // held; NULL: none was wanted
	bool is_counted;	// against its limit
	struct party *party;	// that it is entered with; or NULL
	char id[REQUEST_ID_MAX + 1];
	uint64_t started_ms;

	struct buf body;	// REQUEST_HEAD_ROOM bytes, then the body
	size_t body_at;		// offset from body.base
	size_t held;		// proxyd_hold()
	struct body_scan *scan; // owned, while the body comes
	char form_type[REQUEST_FORM_TYPE_MAX]; // of form data; else empty
	char model[MODEL_NAME_MAX + 1];
	size_t request_bytes;

	struct candidates candidates;
	struct attempt *attempt;	 // owned
	struct translation *translation; // owned; NULL: none was needed
	struct evidence_copy *copy;	 // owned; of ENDPOINT_EVIDENCE
	struct failure failure;		 // of the last attempt
	unsigned n_attempts;
	bool has_asked; // some of it was sent to a source; the last one:
	struct candidate asked;
	Ipc__Level asked_level;

	TAILQ_ENTRY(request) entry;
	bool is_listed;			     // proxyd.requests
	uint64_t seen_bytes, quiet_since_ms; // keep_alive.c
	unsigned alive_s; // as its opener wants to see signs of life; 0: not
	uint64_t alive_bytes, alive_since_ms;
	// Inbound: that this process was seen to run last, clock_boot_ms(); and
	// once it was not for so long that the opener will have given up.
	uint64_t ran_ms;
	bool was_held_up;
	TAILQ_ENTRY(request) queue_entry;
	bool is_queued;
	unsigned turn; // of its party's in the queue, how many come first
	uint64_t queued_ms;

	struct answer answer;
	int status; // of the answer
	// A head of ours went out before any source had answered.
	bool has_early_head;
	bool has_source_head; // the source's answer is being relayed
	bool needs_done;      // its stream has no other end than [DONE]
	struct sse_tail tail; // of an event stream
	bool is_collecting_error;
	bool error_overflow;
	struct buf error_body;
	// What it says about trying again; see relay.c.
	char error_hints[REQUEST_ERROR_HINTS][32];
	bool is_front_broken;
	bool is_ended;
};

struct request_front {
	struct stream *stream;
	void *front;
	request_ended_fn *ended;
};

MUST_CHECK int request_new(struct request **ret, struct proxyd *,
    const struct request_front *, enum endpoint);
// The front is gone: stop everything at once; ended() is not called.
void request_abort(struct request *);

// ---- the front

// Keep the client's id if it is sane.
void request_set_id(struct request *, const struct http_field *);
// The body is form data; with this boundary, which was checked.
MUST_CHECK int request_expect_form(struct request *, struct slice boundary);
// More of the body.  Not 0: the request was refused and has ended.
MUST_CHECK int request_body(struct request *, const uint8_t *, size_t n);
// The same without a copy: room for it, and then how much came.
MUST_CHECK int request_body_room(struct request *, size_t n, uint8_t **ret);
MUST_CHECK int request_body_came(struct request *, size_t n);
// The body is complete; the answer may end before this returns.
void request_start(struct request *);
// What was kept back for the front has been sent.
void request_front_writable(struct request *);

// ---- errors, where nothing was sent yet

__attribute__((format(printf, 4, 5))) void failure_set(
    struct failure *, int status, const char *code, const char *format, ...);
// The whole body, at bytes inside of *in, which is taken over.
MUST_CHECK int request_adopt_body(
    struct request *, struct buf *in, uint8_t *bytes, size_t n);
// Answer with an error and end.
void request_fail(struct request *, const struct failure *);
// The client was told in what was sent that there is no more; end, cut.
void request_broke_off(struct request *, const struct failure *);
// A complete answer without a body.
void request_reply_head(
    struct request *, int status, const struct http_pair *set, size_t n);
// A complete answer of our own.
void request_reply_as(
    struct request *, const char *type, const char *text, size_t len);
// A complete JSON answer of our own.
void request_reply(struct request *, int status, const char *json, size_t len);

// ---- the attempt

// The bytes of the body, for a backend.
static inline struct slice
request_body_slice(const struct request *req)
{
	return (struct slice){ (const char *)req->body.base + req->body_at,
		req->body.base == NULL ? 0 : req->body.end - req->body_at };
}
// 0, or an error for which the attempt has to be given up.  -EAGAIN: it is
// not ready.  -EOPNOTSUPP: it has to be asked in another way.
MUST_CHECK int request_answer_head(
    struct request *, const struct http_response *);
MUST_CHECK int request_answer_body(struct request *, const uint8_t *, size_t n);
// End of a turn: what came is sent.  is_held: the source has not proven yet
// that it is complete.
void request_answer_flush(struct request *, bool is_held);
void request_answer_end(struct request *);
// The node stops before the answer has ended: its client is told.
void request_stop(struct request *);
// The attempt came to nothing, failure says why.  Tries the next source, or
// tells the client.
void request_attempt_failed(struct request *, const struct failure *);
// Find who may answer, and begin, wait, or say why not.
void request_route(struct request *);
// Try the next candidate.
void request_next(struct request *);
// A comment, where one may go; false: none may.  The request may be over.
bool request_keep_alive(struct request *);
// A peer that asks no longer wants it, as far as can be known: true, and over.
bool request_is_given_up(struct request *);
// Show the opener of a sealed request that it is being worked on.
void request_show_life(struct request *);
static inline bool
request_is_blocked(const struct request *req)
{
	return stream_is_blocked(req->answer.stream);
}

// ---- parts (relay.c, request_*.c)

// The end of all, told to the front.
void request_finish(struct request *, enum request_end);
// The try that is under way, if there is one, is over.
void request_stop_attempt(struct request *);
// The body is complete: what it asks for is known.  Not 0: it was refused.
MUST_CHECK int request_body_end(struct request *);
// Part of an answer has left: the client is told, and sees no end.
void request_break_off(struct request *, const struct failure *);

// Bytes of an answer's body for the front.
MUST_CHECK int request_send(struct request *, const uint8_t *, size_t n);
// What the client is told of the source of an answer; id is for one of them.
void relay_source(const struct candidate *, Ipc__Level,
    char id[static 2 * ENDPOINT_ID_SHORT_LEN + 1],
    struct http_pair ret[static RELAY_SOURCE_FIELDS]);
// A whole JSON answer that a source gave.
void relay_json(struct request *, int status, const char *, size_t n);

// A head for a stream that may still come to nothing.
MUST_CHECK int relay_early_head(struct request *);
// The head of the answer for the front, from the upstream's.
MUST_CHECK int relay_head(struct request *, const struct http_response *);
// An upstream error whose body is in error_body: passed on or wrapped.
void relay_error(struct request *);
// After bytes were sent: an error event if it is a stream of them, no end.
void relay_break(struct request *, const struct failure *);
void request_log_end(const struct request *, const char *outcome);

#endif
