// An HTTP/1.1 message body, read piece by piece; owns nothing, copies nothing.
//
//	while (len > 0 && !http_body_is_done(&body)) {
//		r = http_body_read(&body, in, len, &piece);
//		...
//		use in[piece.at .. piece.at + piece.len);
//		in += piece.used; len -= piece.used;
//	}
//
// Bytes behind a finished body are left alone: they are the next message.
#ifndef PROXYD_HTTP_BODY_H
#define PROXYD_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "proxyd/http_head.h"

enum {
	HTTP_CHUNK_DIGITS_MAX = 15,
	HTTP_CHUNK_LINE_MAX = 256,
	HTTP_TRAILER_MAX = 4096, // of all trailer lines together
};

enum http_body_state {
	HTTP_BODY_IN_LENGTH, // also: until the end of the connection
	HTTP_BODY_IN_SIZE,
	HTTP_BODY_IN_EXTENSION,
	HTTP_BODY_IN_SIZE_LF,
	HTTP_BODY_IN_DATA,
	HTTP_BODY_IN_DATA_CR,
	HTTP_BODY_IN_DATA_LF,
	HTTP_BODY_IN_TRAILER,
	HTTP_BODY_DONE,
};

struct http_body {
	enum http_body_state state;
	enum http_framing framing;
	uint64_t left;	 // of the length, or of the chunk
	uint64_t total;	 // body bytes handed out so far
	size_t line_len; // of this chunk or trailer line
	size_t trailers; // bytes of all trailer lines
	uint8_t part;	 // where in an extension or trailer line
	bool broken;	 // refused; stays so
};

// What one call took: `used` bytes of the input, of which the `len` bytes at
// offset `at` are body.  len may be 0.
struct http_piece {
	size_t used;
	size_t at;
	size_t len;
};

void http_body_init(struct http_body *, enum http_framing, uint64_t length);
// Take at most one piece from the front of `in`.  used is 0 only when len is
// 0 or the body is done.  -EBADMSG: bad chunk syntax or a limit; final.
MUST_CHECK int http_body_read(
    struct http_body *, const uint8_t *in, size_t len, struct http_piece *ret);
// The connection ended.  0: the body is complete.  -EPIPE: it is not.
MUST_CHECK int http_body_end(struct http_body *);

static inline bool
http_body_is_done(const struct http_body *b)
{
	return b->state == HTTP_BODY_DONE;
}

#endif
