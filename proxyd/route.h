// What exists on the listeners and through a tunnel, and who may ask.
#ifndef PROXYD_ROUTE_H
#define PROXYD_ROUTE_H

#include <stdbool.h>

#include "common/address.h"
#include "common/slice.h"
#include "proxyd/http_head.h"

enum endpoint {
	ENDPOINT_NONE,
	ENDPOINT_MODELS, // GET /v1/models
	ENDPOINT_MODEL,	 // GET /v1/models/{id}
	ENDPOINT_CHAT,
	ENDPOINT_COMPLETIONS,
	ENDPOINT_EMBEDDINGS,
	ENDPOINT_RESPONSES,
	ENDPOINT_MESSAGES,     // Anthropic's; of backends that have them
	ENDPOINT_COUNT_TOKENS, // of such messages
	ENDPOINT_TRANSCRIPTIONS,
	ENDPOINT_TRANSLATIONS,
	ENDPOINT_STATUS,   // management: GET /api/status
	ENDPOINT_EVIDENCE, // management: GET /api/evidence/{id}
	ENDPOINT_HEALTH,   // management: GET /healthz
	ENDPOINT_READY,	   // management: GET /readyz
	ENDPOINT_VERSION,  // management: GET /version
	ENDPOINT_METRICS,  // management: GET /metrics
	ENDPOINT_EVENTS,   // management: GET /api/events
};

enum door {
	DOOR_API,
	DOOR_MANAGEMENT,
	DOOR_TUNNEL,
};

struct route {
	enum endpoint endpoint;
	struct slice model; // of ENDPOINT_MODEL, still percent-encoded; of
			    // ENDPOINT_EVIDENCE the id
	const char *allow;  // methods, when only the method is wrong; or NULL
};

struct access;

struct route route_find(enum door, const struct http_request *request);
// Of an endpoint that takes a body.
const char *endpoint_path(enum endpoint);
static inline bool
endpoint_has_body(enum endpoint e)
{
	return e >= ENDPOINT_CHAT && e <= ENDPOINT_TRANSLATIONS;
}
// Whose body is form data, not JSON.
static inline bool
endpoint_has_form(enum endpoint e)
{
	return e == ENDPOINT_TRANSCRIPTIONS || e == ENDPOINT_TRANSLATIONS;
}
// Whose errors have Anthropic's members, too.
static inline bool
endpoint_is_anthropic(enum endpoint e)
{
	return e == ENDPOINT_MESSAGES || e == ENDPOINT_COUNT_TOKENS;
}

// Does Host name this machine's loopback, the address that we are bound to, or
// a name of the configuration?  Anything else may be a web page that re-bound
// its name to 127.0.0.1.  Where we are bound to all addresses any address will
// do: only names can be re-bound.
bool host_is_ours(
    struct slice host, const struct address *bound, const struct access *);
// A browser says that a page of another origin is asking.
bool request_is_cross_origin(const struct http_request *);
// Content-Type is application/json, with parameters or without: a page
// cannot send that to another origin without asking first.
bool content_type_is_json(const struct http_fields *);
// NULL, or why a body with these fields is not read (415).  *ret_boundary is
// set for form data.
const char *content_refusal(
    enum endpoint, const struct http_fields *, struct slice *ret_boundary);

#endif
