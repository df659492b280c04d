// From the head of a client's request to its handler: who may ask, which path,
// which form the body has.  The head was written by whoever reached a
// listener.  After a refusal in front of a body the connection ends, so that
// nothing is read as a request that could be the rest of this one.
#include <string.h>

#include "proxyd/client_conn_state.h"
#include "proxyd/evidence_copy.h"
#include "proxyd/gate.h"
#include "proxyd/models.h"
#include "proxyd/status.h"

static int
begin_request(struct client_conn *c, enum endpoint endpoint)
{
	struct request_front front = { &c->stream, c,
		client_conn_request_ended };
	int r = request_new(&c->req, c->d, &front, endpoint);

	if (r < 0) {
		client_conn_close(c);
		return r;
	}
	c->req->is_http10 = c->is_http10;
	c->req->answer.allow_origin = c->allow_origin;
	c->req->wants_close = !c->keep_alive;
	client_conn_busy(c);
	return 0;
}

void
client_refuse(
    struct client_conn *c, int status, const char *code, const char *message)
{
	struct failure failure;

	failure_set(&failure, status, code, "%s", message);
	if (c->req == NULL && begin_request(c, ENDPOINT_NONE) < 0)
		return;
	c->req->wants_close = !c->keep_alive;
	request_fail(c->req, &failure);
}

static void
refuse_method(struct client_conn *c, const char *allow)
{
	struct failure failure;

	if (begin_request(c, ENDPOINT_NONE) < 0)
		return;
	failure_set(&failure, 405, "method_not_allowed",
	    "this path knows %s only", allow);
	failure.allow = allow;
	request_fail(c->req, &failure);
}

// A copy: the configuration may change while the answer is made.  Without
// memory for it the page cannot read the answer.
static void
set_origin(struct client_conn *c, const char *origin)
{
	free(c->allow_origin);
	c->allow_origin = origin == NULL ? NULL : strdup(origin);
}

// 0: the request may be looked at.  *ret_key: what it asks with.
static int
pass_gate(struct client_conn *c, const struct http_request *request,
    struct access_key **ret_key)
{
	struct gate gate;
	int r = gate_check(c->d, c->listener, request, &gate);

	set_origin(c, gate.allow_origin);
	*ret_key = gate.key;
	if (r == 0)
		return 0;
	if (begin_request(c, ENDPOINT_NONE) < 0)
		return -ENOMEM;
	if (r == 1)
		gate_preflight(c->req, request);
	else
		request_fail(c->req, &gate.failure);
	return -EACCES;
}

static void
answer_get(struct client_conn *c, const struct route *route,
    const struct http_request *request, struct access_key *key)
{
	if (http_request_has_body(request)) {
		c->keep_alive = false;
		client_refuse(
		    c, 400, "unexpected_body", "this request has no body");
		return;
	}
	if (begin_request(c, route->endpoint) < 0)
		return;
	c->req->key = access_key_take(key);
	request_set_id(
	    c->req, http_fields_find(&request->fields, "X-Request-Id"));
	switch (route->endpoint) {
	case ENDPOINT_MODELS:
		models_answer_list(c->req);
		break;
	case ENDPOINT_MODEL:
		models_answer_one(c->req, route->model);
		break;
	case ENDPOINT_STATUS:
		status_answer(c->req);
		break;
	case ENDPOINT_EVIDENCE:
		evidence_copy_answer(c->req, route->model);
		break;
	case ENDPOINT_READY:
		ready_answer(c->req);
		break;
	case ENDPOINT_VERSION:
		version_answer(c->req);
		break;
	case ENDPOINT_EVENTS:
		events_answer(c->req);
		break;
	case ENDPOINT_METRICS:
		metrics_answer(c->req);
		break;
	default:
		health_answer(c->req);
	}
}

int
client_send_continue(struct client_conn *c)
{
	return stream_send(
	    &c->stream, HTTP_CONTINUE, sizeof(HTTP_CONTINUE) - 1);
}

// A client may ask why its request went where it went.
static bool
wants_route(const struct http_request *request)
{
	const struct http_field *f =
	    http_fields_find(&request->fields, "X-Meshllm-Explain");

	return f != NULL && f->value.len > 0 && !slice_is(f->value, "0");
}

// By what its head says of it.
static bool
refuse_body(struct client_conn *c, enum endpoint endpoint,
    const struct http_request *request, struct slice *ret_boundary)
{
	const char *why =
	    content_refusal(endpoint, &request->fields, ret_boundary);

	if (why != NULL) {
		client_refuse(c, 415, "unsupported_content_type", why);
		return true;
	}
	// Without one there is no body, and what follows a next request; who
	// sent a body all the same meant something else.
	if (request->framing == HTTP_BODY_NONE) {
		client_refuse(c, 411, "length_required",
		    "Content-Length or a chunked body is needed");
		return true;
	}
	if (request->framing == HTTP_BODY_LENGTH &&
	    request->length > BODY_MAX) {
		client_refuse(c, 413, "request_too_large",
		    "the body is larger than 70 MiB");
		return true;
	}
	return false;
}

static void
begin_post(struct client_conn *c, enum endpoint endpoint,
    const struct http_request *request, struct access_key *key)
{
	bool keep_alive = c->keep_alive;
	struct slice boundary;

	// Refused before its body was read: the connection has to end.
	c->keep_alive = false;
	if (refuse_body(c, endpoint, request, &boundary) ||
	    begin_request(c, endpoint) < 0)
		return;
	c->req->key = access_key_take(key);
	if (key == NULL)
		party_enter(c->req, &c->from);
	if (gate_admit(c->req) < 0)
		return;
	if (endpoint_has_form(endpoint) &&
	    request_expect_form(c->req, boundary) < 0) {
		client_conn_close(c);
		return;
	}
	c->keep_alive = keep_alive;
	c->req->wants_close = !keep_alive;
	request_set_id(
	    c->req, http_fields_find(&request->fields, "X-Request-Id"));
	c->req->explain = wants_route(request);
	http_body_init(&c->body, request->framing, request->length);
	c->state = CONN_BODY;
	stream_read_start(&c->stream, c->d->timeouts.body);
	if (request->expect_continue && http_request_has_body(request) &&
	    client_send_continue(c) < 0)
		client_conn_close(c);
}

// Not with clients of HTTP/1.0, which would have to be told that they may stay,
// nor after HEAD: who asked for no body must not take it for the next answer.
static bool
may_stay(const struct client_conn *c, const struct http_request *request)
{
	return request->keep_alive && request->minor == 1 &&
	    !slice_is(request->method, "HEAD") && !c->d->is_stopping;
}

static void
take_request(struct client_conn *c, const struct http_request *request)
{
	struct access_key *key;
	struct route route;

	c->is_http10 = request->minor == 0;
	c->keep_alive = may_stay(c, request) && !http_request_has_body(request);
	if (pass_gate(c, request, &key) < 0)
		return;
	route = route_find(c->listener->door, request);
	if (route.allow != NULL) {
		refuse_method(c, route.allow);
		return;
	}
	if (route.endpoint == ENDPOINT_NONE) {
		client_refuse(
		    c, 404, "not_found", "there is nothing at this path");
		return;
	}
	c->keep_alive = may_stay(c, request);
	if (endpoint_has_body(route.endpoint))
		begin_post(c, route.endpoint, request, key);
	else
		answer_get(c, &route, request, key);
}

void
client_refuse_head(struct client_conn *c, struct http_refusal why)
{
	set_origin(c, NULL);
	c->keep_alive = false;
	client_refuse(c, why.status, "bad_request", why.message);
}

void
client_take_head(struct client_conn *c, const uint8_t *head, size_t len)
{
	struct http_request request;
	struct http_refusal why;

	if (http_request_parse(head, len, 0, &request, &why) == 0)
		take_request(c, &request);
	else
		client_refuse_head(c, why);
}
