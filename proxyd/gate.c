// Decides from the head alone whether its sender may ask at all: the name in
// Host, the page that a browser says is asking, the API key.  The sender may
// be any web page, program or user that reaches the listener.  It must never
// let a page in that is not configured, nor say more to it than "no".
#include "proxyd/gate.h"

#include <stdio.h>
#include <string.h>

#include "proxyd/metrics.h"
#include "proxyd/party.h"
#include "proxyd/route.h"

// Fields that a page may send: what the SDKs set.
static const char *const page_headers[] = { "accept", "anthropic-beta",
	"anthropic-version", "authorization", "content-type", "idempotency-key",
	"openai-beta", "openai-organization", "openai-project", "user-agent",
	"x-api-key", "x-request-id" };
static const char *const page_prefixes[] = { "x-stainless-", "x-meshllm-" };

static int
refuse(struct gate *g, int status, const char *code, const char *message)
{
	failure_set(&g->failure, status, code, "%s", message);
	return -EACCES;
}

static bool
is_preflight(const struct http_request *request)
{
	return slice_is(request->method, "OPTIONS") &&
	    http_fields_find(
		&request->fields, "Access-Control-Request-Method") != NULL;
}

// The pages of the allow-list may come from anywhere; others only from here.
static int
check_origin(const struct proxyd *d, const struct listener *l,
    const struct http_request *request, struct gate *g)
{
	const struct http_field *origin =
	    http_fields_find(&request->fields, "Origin");

	if (l->door == DOOR_API && origin != NULL)
		g->allow_origin = access_find_origin(&d->access, origin->value);
	if (g->allow_origin != NULL)
		return is_preflight(request) ? 1 : 0;
	if (request_is_cross_origin(request))
		return refuse(g, 403, "origin_not_allowed",
		    "requests of web pages from other origins are refused; "
		    "--allow-origin names those that may");
	return 0;
}

static int
check_key(
    const struct proxyd *d, const struct http_request *request, struct gate *g)
{
	g->key = access_find_key(&d->access, &request->fields);
	if (g->key != NULL)
		return 0;
	(void)refuse(g, 401, "invalid_api_key",
	    http_fields_find(&request->fields, "Authorization") == NULL &&
		    http_fields_find(&request->fields, "X-Api-Key") == NULL
		? "an API key is needed: Authorization: Bearer KEY"
		: "the API key is not known here");
	g->failure.authenticate = "Bearer";
	return -EACCES;
}

int
gate_check(const struct proxyd *d, const struct listener *l,
    const struct http_request *request, struct gate *ret)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	// A socket in the file system has no name that could be re-bound, and
	// no browser speaks HTTP/1.0, let alone without Host.
	if (!l->is_unix && (request->minor == 1 || request->host.at != NULL) &&
	    !host_is_ours(request->host, &l->address, &d->access))
		return refuse(ret, 403, "host_not_allowed",
		    "this server does not answer to the name in Host; "
		    "--allow-host adds names");
	if ((r = check_origin(d, l, request, ret)) != 0)
		return r;
	if (l->door == DOOR_API && d->access.wants_key)
		return check_key(d, request, ret);
	return 0;
}

static int
admit_party(struct request *req)
{
	uint64_t limit = req->d->limits.client_requests;
	struct failure failure;

	if (req->party == NULL || req->party->requests <= limit)
		return 0;
	metrics_count_limited(req->d, "client-requests");
	failure_set(&failure, 429, "rate_limit_exceeded",
	    "this client has %u requests under way, which is its limit",
	    (unsigned)limit);
	failure.retry_after_s = 1;
	request_fail(req, &failure);
	return -EBUSY;
}

int
gate_admit(struct request *req)
{
	struct failure failure;
	unsigned wait_s = 0;
	int r;

	if (req->key == NULL)
		return admit_party(req);
	r = access_key_begin(req->key, clock_mono_ms(), &wait_s);
	if (r == 0) {
		req->is_counted = true;
		return 0;
	}
	metrics_count_limited(
	    req->d, r == -EBUSY ? "api-key-requests" : "api-key-per-minute");
	failure_set(&failure, 429, "rate_limit_exceeded",
	    r == -EBUSY ? "this API key has %u requests under way, which is "
			  "its limit"
			: "this API key may ask %u times in a minute",
	    r == -EBUSY ? req->key->key.requests : req->key->key.per_minute);
	failure.retry_after_s = wait_s;
	request_fail(req, &failure);
	return r;
}

// ---- preflight (Fetch standard, section 4.8)

static bool
page_may_send(struct slice name)
{
	for (size_t i = 0; i < N_ELEMENTS(page_headers); i++)
		if (slice_is_nocase(name, page_headers[i]))
			return true;
	for (size_t i = 0; i < N_ELEMENTS(page_prefixes); i++) {
		size_t n = strlen(page_prefixes[i]);

		if (name.len > n &&
		    strncasecmp(name.at, page_prefixes[i], n) == 0)
			return http_is_token(name);
	}
	return false;
}

// Of the wanted fields those that a page may send; there is no wildcard for a
// prefix, so each is named.
static void
choose_headers(const struct http_request *request,
    char ret[static GATE_PREFLIGHT_HEADERS_MAX])
{
	const struct http_field *wanted = http_fields_find(
	    &request->fields, "Access-Control-Request-Headers");
	size_t at = 0, n, used = 0;

	ret[0] = '\0';
	while (wanted != NULL && at < wanted->value.len) {
		struct slice name = { wanted->value.at + at, 0 };

		while (at < wanted->value.len && wanted->value.at[at] != ',') {
			name.len++;
			at++;
		}
		at++;
		while (name.len > 0 && *name.at == ' ') {
			name.at++;
			name.len--;
		}
		n = name.len + (used > 0 ? 2 : 0);
		if (!page_may_send(name) ||
		    used + n >= GATE_PREFLIGHT_HEADERS_MAX)
			continue;
		(void)snprintf(ret + used, n + 1, "%s%.*s",
		    used > 0 ? ", " : "", (int)name.len, name.at);
		used += n;
	}
}

void
gate_preflight(struct request *req, const struct http_request *request)
{
	char headers[GATE_PREFLIGHT_HEADERS_MAX];
	const struct http_field *network = http_fields_find(
	    &request->fields, "Access-Control-Request-Private-Network");
	struct http_pair set[GATE_PREFLIGHT_FIELDS];
	size_t n = 0;

	choose_headers(request, headers);
	set[n++] =
	    (struct http_pair){ "Access-Control-Allow-Methods", "GET, POST" };
	if (headers[0] != '\0')
		set[n++] = (struct http_pair){ "Access-Control-Allow-Headers",
			headers };
	if (network != NULL && slice_is(network->value, "true"))
		set[n++] =
		    (struct http_pair){ "Access-Control-Allow-Private-Network",
			    "true" };
	set[n++] = (struct http_pair){ "Access-Control-Max-Age", "600" };
	request_reply_head(req, 204, set, n);
}
