// Reads one HTTP response that comes in pieces: from a backend, or out of a
// tunnel after it was opened.
#ifndef PROXYD_UPSTREAM_H
#define PROXYD_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "proxyd/http_body.h"
#include "proxyd/http_head.h"

struct upstream_ops {
	// The final head (1xx are skipped).  An error ends the reading.
	int (*head)(void *arg, const struct http_response *);
	int (*body)(void *arg, const uint8_t *bytes, size_t n);
};

struct upstream {
	struct buf head; // holds memory only while a head is cut in pieces
	size_t scanned;
	struct http_body body;
	unsigned n_interim;
	bool any; // a byte came
	bool has_head;
	bool keep_alive;
};

enum { UPSTREAM_INTERIM_MAX = 8 };

void upstream_init(struct upstream *);
void upstream_done(struct upstream *);
// Take the next bytes.  *ret_used < n only when the body is complete.
// -EBADMSG: not HTTP, or not by its rules.  Else what an op said.
MUST_CHECK int upstream_feed(struct upstream *, const uint8_t *in, size_t n,
    const struct upstream_ops *, void *arg, size_t *ret_used);
// The source ended.  0: the response is complete.  -EPIPE: it is not.
MUST_CHECK int upstream_end(struct upstream *);

static inline bool
upstream_is_complete(const struct upstream *u)
{
	return u->has_head && http_body_is_done(&u->body);
}

#endif
