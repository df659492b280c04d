// The answer to one request on its way out: to an HTTP client, or into a
// tunnel, sealed or plain.
//
// Head, body and end are collected for one turn of the loop and leave in one
// send.  The framing is always our own.
#ifndef PROXYD_ANSWER_H
#define PROXYD_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "proxyd/http_write.h"
#include "proxyd/sealed_v1.h"
#include "proxyd/stream.h"

enum {
	ANSWER_HEAD_MAX = 16 * 1024,
	ANSWER_FRONT = SEALED_ANSWER_HEADER_LEN + SEALED_CHUNK_ROOM +
	    ANSWER_HEAD_MAX + HTTP_CHUNK_HEAD_MAX,
	ANSWER_BACK = 16, // CRLF, the last chunk, the sealed end mark
	ANSWER_GATHER_MAX = SEALED_CHUNK_PLAIN_MAX - 64,
};

// Shared by all answers; empty whenever the loop is reached.
struct gather {
	size_t len;
	uint8_t bytes[ANSWER_FRONT + ANSWER_GATHER_MAX + ANSWER_BACK];
};

struct answer {
	struct stream *stream; // borrowed
	struct gather *gather; // borrowed
	bool is_sealed;
	bool has_sealed_header; // it was sent
	bool has_head;		// it was composed
	bool has_sent;		// something is on its way: no other try
	bool is_done;
	bool is_event_stream;
	const char *allow_origin; // a page of it may read; borrowed or NULL
	enum http_framing framing;
	uint64_t left; // of a length
	uint64_t body_bytes;
	struct buf head; // until it is sent
	struct buf held; // last body bytes, until the source proved its end
	struct sealed_writer writer;
	uint8_t host_key[INFERENCE_KEY_LEN];
};

void answer_init(struct answer *, struct stream *, struct gather *);
// All that is sent from now on is sealed to the opener of a request.
void answer_seal(struct answer *,
    const uint8_t host_key[static INFERENCE_KEY_LEN],
    const uint8_t request_key[static REQUEST_KEY_LEN]);
void answer_done(struct answer *); // wipes; can be repeated

// Compose the head; sent with what comes next.
MUST_CHECK int answer_head(
    struct answer *, int status, const struct http_rewrite *);
MUST_CHECK int answer_body(struct answer *, const uint8_t *, size_t n);
// Send what was collected in this turn.
MUST_CHECK int answer_flush(struct answer *);
// Into a sealed tunnel, a chunk without bytes: for its opener alone, and no
// part of the answer.  Only between two turns.
MUST_CHECK int answer_show_life(struct answer *);
// Keep what was collected in this turn back, until answer_end().
MUST_CHECK int answer_hold(struct answer *);
// Forget what was collected in this turn: it must not leave.
void answer_drop(struct answer *);
// The answer is complete: its last bytes, and all the end marks.
MUST_CHECK int answer_end(struct answer *);

#endif
