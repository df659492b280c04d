// HTTP/1.1 heads, rebuilt from parsed fields with one framing of our own.
//
// Never passed on: hop-by-hop fields (RFC 9110 section 7.6.1) and what
// Connection names, the framing that came, Expect, and fields that are set
// anew.  No field that is written can hold CR, LF or NUL, whoever set it.
#ifndef PROXYD_HTTP_WRITE_H
#define PROXYD_HTTP_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "proxyd/http_head.h"

// What else is not passed on.
enum {
	HTTP_DROP_CREDENTIALS = 1, // Authorization, Proxy-Authorization,
				   // Cookie, X-Api-Key, Api-Key
	HTTP_DROP_SET_COOKIE = 2,  // also Set-Cookie2, WWW-Authenticate,
				   // Clear-Site-Data
	HTTP_DROP_CORS = 4,	   // Access-Control-*, Origin, Sec-*, Referer
	HTTP_DROP_MESHLLM = 8,	   // X-Meshllm-*: only we say these
	HTTP_DROP_FORWARDED = 16,  // Forwarded, Via, X-Forwarded-*, X-Real-Ip
	HTTP_DROP_EVERYTHING = 32, // keep Content-Type and Accept only
};

struct http_pair {
	const char *name;
	const char *value; // NULL: only drop fields of that name
};

struct http_rewrite {
	enum http_framing framing; // NONE writes no framing field at all
	uint64_t length;	   // of HTTP_BODY_LENGTH
	bool close;		   // Connection: close; also with UNTIL_CLOSE
	unsigned drop;
	const char *host;    // requests: replaces Host; NULL: as it came
	struct slice target; // requests: replaces the target; .at NULL: same
	// responses: the web page that may read it (Fetch, section 3.2)
	const char *allow_origin;
	const struct http_pair *set; // instead of fields of these names
	size_t n_set;
};

// Append the head to *out.  -EINVAL: a part of `how` does not fit into a
// field.  -EMSGSIZE, -ENOMEM as buf_append().  *out is as before on error.
MUST_CHECK int http_write_request(struct buf *out, const struct http_request *,
    const struct http_rewrite *how);
MUST_CHECK int http_write_response(struct buf *out,
    const struct http_response *, const struct http_rewrite *how);
// A response head of our own making.
MUST_CHECK int http_write_status(
    struct buf *out, int status, const struct http_rewrite *how);

// Our own chunks: head, data, HTTP_CHUNK_END; after the last HTTP_LAST_CHUNK.
#define HTTP_CHUNK_END "\r\n"
#define HTTP_LAST_CHUNK "0\r\n\r\n"
#define HTTP_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"
enum { HTTP_CHUNK_HEAD_MAX = 18 };
// "<hex>\r\n", no NUL; n must not be 0 (that would end the body).
size_t http_write_chunk_head(uint8_t ret[static HTTP_CHUNK_HEAD_MAX], size_t n);

#endif
