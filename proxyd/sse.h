// Reads a stream of server-sent events (the WHATWG's text/event-stream) that
// comes in pieces: LF, CR or CRLF, comments, unknown fields, data of several
// lines, a byte order mark, cut anywhere.
#ifndef PROXYD_SSE_H
#define PROXYD_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cleanup.h"

enum { SSE_EVENT_MAX = 4 * 1024 * 1024 }; // bytes of one event, or of a line

struct sse {
	struct buf line; // of one that is not complete
	struct buf data; // of the event so far, lines joined by LF
	bool has_data;	 // an empty line of data is data
	bool skips_lf;	 // the last byte was a CR
	bool has_begun;	 // no byte order mark any more
};

// An event's data; only while it runs.  An error ends the reading.
typedef int sse_event_fn(void *arg, const char *data, size_t len);

void sse_init(struct sse *);
void sse_done(struct sse *);
// -EMSGSIZE: an event or a line is too large; -ENOMEM; or what fn said.
MUST_CHECK int sse_feed(
    struct sse *, const uint8_t *, size_t n, sse_event_fn *, void *arg);

#endif
