// One /v1/responses request that a server without that path answers: what is
// sent in its place, and how the answer comes back.
#ifndef PROXYD_TRANSLATION_H
#define PROXYD_TRANSLATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "proxyd/responses.h"
#include "proxyd/sse.h"

struct candidate;
struct failure;
struct http_response;
struct request;

struct translation {
	struct buf chat; // REQUEST_HEAD_ROOM bytes, then the request
	struct buf echo;
	size_t held; // proxyd_hold()
	// Of the attempt:
	struct responses out;
	struct sse sse;
	struct buf whole; // an answer that is not streamed
	struct buf event; // what is sent next
	bool is_ended;
};

// Does this source have to be asked for a chat completion?
bool translation_is_needed(const struct request *, const struct candidate *);
// The answer says that the source has no /v1/responses: remembered.
bool translation_is_called_for(const struct request *, int status);
// Translate, once.  Not 0: *ret says why it cannot be.
MUST_CHECK int translation_prepare(struct request *, struct failure *ret);
void translation_free(struct request *);
// Its request will not be sent again.
void translation_sent(struct request *);

// ---- of an attempt: the answer

// The head was good.
MUST_CHECK int translation_begin(struct request *);
MUST_CHECK int translation_body(struct request *, const uint8_t *, size_t n);
// The source is complete.  1: the request has been answered; 0: end the
// answer; -EPIPE: it was cut; -EBADMSG.
MUST_CHECK int translation_end(struct request *);
// It came to nothing.  message: sent as the last event, if anything was.
void translation_break(struct request *, const char *message);
void translation_reset(struct request *);

#endif
