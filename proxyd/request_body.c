// The body of a request, as it comes: held within the node's limit, scanned for
// what has to be known of it, kept as it is.  A client or a stranger wrote it:
// what is malformed, too large or too much is answered here, and what is left
// of it is never read as another request.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxyd/request.h"
#include "proxyd/usage.h"

static int
make_room_for_head(struct request *req)
{
	uint8_t *at;
	int r = buf_reserve(&req->body, REQUEST_HEAD_ROOM, &at);

	if (r < 0)
		return r;
	memset(at, 0, REQUEST_HEAD_ROOM);
	buf_commit(&req->body, REQUEST_HEAD_ROOM);
	req->body_at = REQUEST_HEAD_ROOM;
	return 0;
}

static int
refuse_body(
    struct request *req, int status, const char *code, const char *message)
{
	struct failure failure;

	failure_set(&failure, status, code, "%s", message);
	request_fail(req, &failure);
	return -ECANCELED;
}

// What is still on its way is not to be read as the next request.
static int
refuse_rest(
    struct request *req, int status, const char *code, const char *message)
{
	req->wants_close = true;
	return refuse_body(req, status, code, message);
}

int
request_expect_form(struct request *req, struct slice boundary)
{
	if ((req->scan = malloc(sizeof(*req->scan))) == NULL)
		return -ENOMEM;
	req->scan->is_form = true;
	multipart_init(&req->scan->form, boundary);
	(void)snprintf(req->form_type, sizeof(req->form_type),
	    "multipart/form-data; boundary=%s%.*s%s",
	    http_is_token(boundary) ? "" : "\"", (int)boundary.len, boundary.at,
	    http_is_token(boundary) ? "" : "\"");
	return 0;
}

static int
begin_scan(struct request *req)
{
	if (req->scan != NULL)
		return 0;
	if ((req->scan = malloc(sizeof(*req->scan))) == NULL)
		return -ENOMEM;
	req->scan->is_form = false;
	json_scan_init(&req->scan->json);
	return 0;
}

static int
begin_body(struct request *req)
{
	int r = begin_scan(req);

	return r < 0 || req->body.base != NULL ? r : make_room_for_head(req);
}

static int
refuse_scan(struct request *req)
{
	const char *why = body_scan_why(req->scan);

	if (req->scan->is_form)
		return refuse_rest(req, 400, "invalid_form", why);
	return refuse_rest(req, 400, "invalid_json", why);
}

static int
feed_scan(struct request *req, const uint8_t *bytes, size_t n)
{
	return body_scan_feed(req->scan, bytes, n) < 0 ? refuse_scan(req) : 0;
}

// r: whether there is memory.
static int
hold_body(struct request *req, int r)
{
	if (r == 0)
		r = proxyd_hold(req->d, &req->held, req->body.size);
	return r == 0 ? 0
		      : refuse_rest(req, 503, "overloaded",
			    "too much is being worked on, try again later");
}

int
request_body_room(struct request *req, size_t n, uint8_t **ret)
{
	int r = begin_body(req);

	if (r == 0)
		r = buf_reserve(&req->body, n, ret);
	if (r == -EMSGSIZE)
		return refuse_rest(req, 413, "request_too_large",
		    "the body is larger than 70 MiB");
	return hold_body(req, r);
}

int
request_body_came(struct request *req, size_t n)
{
	buf_commit(&req->body, n);
	return feed_scan(req, req->body.base + req->body.end - n, n);
}

int
request_body(struct request *req, const uint8_t *bytes, size_t n)
{
	uint8_t *at;
	int r;

	if ((r = request_body_room(req, n, &at)) < 0)
		return r;
	memcpy(at, bytes, n);
	return request_body_came(req, n);
}

int
request_adopt_body(
    struct request *req, struct buf *in, uint8_t *bytes, size_t n)
{
	size_t max = in->max;
	int r;

	if (begin_scan(req) < 0)
		return refuse_rest(req, 503, "overloaded", "out of memory");
	req->body = *in;
	buf_init(in, max);
	req->body_at = (size_t)(bytes - req->body.base);
	req->body.end = req->body_at + n;
	r = hold_body(req, 0);
	return r == 0 ? feed_scan(req, bytes, n) : r;
}

// Nothing of it is still on its way.
static int
refuse_complete(struct request *req)
{
	const char *why = body_scan_why(req->scan);

	if (req->scan->is_form)
		return refuse_body(req, 400, "invalid_form", why);
	return refuse_body(req, 400, "invalid_json", why);
}

int
request_body_end(struct request *req)
{
	const char *model;

	if (begin_body(req) < 0)
		return refuse_body(req, 503, "overloaded", "out of memory");
	if (body_scan_end(req->scan) < 0)
		return refuse_complete(req);
	model = body_scan_model(req->scan);
	if (model[0] == '\0')
		return refuse_body(
		    req, 400, "missing_model", "the request names no model");
	memcpy(req->model, model, strlen(model) + 1);
	req->wants_stream = body_scan_stream(req->scan);
	// A stream tells what it took when it was asked to; without memory for
	// it nothing is counted, and nothing else is different.
	if (!req->wants_stream || req->scan->is_form ||
	    req->scan->json.has_stream_options ||
	    req->endpoint == ENDPOINT_RESPONSES ||
	    req->endpoint == ENDPOINT_MESSAGES)
		req->usage = calloc(1, sizeof(*req->usage));
	req->request_bytes = request_body_slice(req).len;
	free(req->scan);
	req->scan = NULL;
	return 0;
}
