// What stands between the head of a request and its handler on a listener.
#ifndef PROXYD_GATE_H
#define PROXYD_GATE_H

#include "proxyd/access.h"
#include "proxyd/http_head.h"
#include "proxyd/http_write.h"
#include "proxyd/request.h"

enum {
	GATE_PREFLIGHT_HEADERS_MAX = 1024,
	GATE_PREFLIGHT_FIELDS = 5,
};

struct gate {
	const char *allow_origin; // a page of it may read the answer; or NULL
	struct access_key *key;	  // borrowed; NULL where none is wanted
	struct failure failure;
};

// 0: the request may be looked at.  1: a preflight of an allowed origin, to be
// answered by gate_preflight().  -EACCES: ret->failure says why not.
MUST_CHECK int gate_check(const struct proxyd *, const struct listener *,
    const struct http_request *, struct gate *ret);
// Let it count against the limits of its key, or of its party.  Not 0: it was
// refused and has ended.
MUST_CHECK int gate_admit(struct request *);
// Answer with what the page may do.
void gate_preflight(struct request *, const struct http_request *);

#endif
