// A very small HTTP client: one GET to our own node's management port.
#ifndef CTL_HTTP_GET_H
#define CTL_HTTP_GET_H

#include <stddef.h>

#include "common/address.h"
#include "common/cleanup.h"

enum {
	HTTP_GET_DEADLINE_MS = 5 * 1000, // of the whole exchange
	HTTP_GET_BODY_MAX = 1024 * 1024, // bytes
	HTTP_GET_HEAD_MAX = 16 * 1024,	 // bytes
};

struct http_answer {
	unsigned status;  // 100 .. 599
	const char *body; // borrowed from the bytes
	size_t body_len;
};

// *ret_bytes: the whole answer, owned by the caller; ret points into it.
// -ECONNREFUSED and the like, -ETIMEDOUT, -EMSGSIZE, -EBADMSG.
MUST_CHECK int http_get(const struct address *, const char *path,
    char **ret_bytes, struct http_answer *ret);
// All bytes up to the end of the connection.  Only what our node sends is
// understood: Content-Length, no transfer coding.  -EBADMSG.
MUST_CHECK int http_answer_parse(
    const char *bytes, size_t len, struct http_answer *ret);

#endif
