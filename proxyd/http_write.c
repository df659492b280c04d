// HTTP/1.1 heads rebuilt from parsed fields.
//
// The fields were parsed from somebody's bytes; names and values are checked
// again here, so that a head that is written is well-formed whatever was put
// in.  It must never write two framings, pass a hop-by-hop field on, or let a
// Connection field remove what we say ourselves.
#include "proxyd/http_write.h"

#include <errno.h>
#include <stdio.h>

// Of one connection, or said anew by us.
static const char *const never_passed[] = { "connection", "keep-alive",
	"proxy-connection", "proxy-authenticate", "proxy-authentication-info",
	"proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
	"http2-settings", "content-length", "expect", "host", NULL };
static const char *const credentials[] = { "authorization", "cookie", "cookie2",
	"x-api-key", "api-key", NULL };
static const char *const set_cookie[] = { "set-cookie", "set-cookie2",
	"www-authenticate", "authentication-info", "clear-site-data", NULL };
static const char *const cors[] = { "origin", "referer", NULL };
static const char *const forwarded[] = { "forwarded", "via", "x-real-ip",
	NULL };
static const char *const essential[] = { "content-type", "content-encoding",
	"accept", NULL };

static bool
is_one_of(struct slice name, const char *const *list)
{
	for (; *list != NULL; list++) {
		if (slice_is_nocase(name, *list))
			return true;
	}
	return false;
}

static bool
has_prefix(struct slice name, const char *prefix)
{
	size_t n = strlen(prefix);

	return name.len >= n && strncasecmp(name.at, prefix, n) == 0;
}

static bool
is_dropped_by_flag(struct slice name, unsigned drop)
{
	if ((drop & HTTP_DROP_CREDENTIALS) != 0 && is_one_of(name, credentials))
		return true;
	if ((drop & HTTP_DROP_SET_COOKIE) != 0 && is_one_of(name, set_cookie))
		return true;
	if ((drop & HTTP_DROP_CORS) != 0 &&
	    (is_one_of(name, cors) || has_prefix(name, "sec-") ||
		has_prefix(name, "access-control-")))
		return true;
	if ((drop & HTTP_DROP_MESHLLM) != 0 && has_prefix(name, "x-meshllm-"))
		return true;
	if ((drop & HTTP_DROP_FORWARDED) != 0 &&
	    (is_one_of(name, forwarded) || has_prefix(name, "x-forwarded-")))
		return true;
	return (drop & HTTP_DROP_EVERYTHING) != 0 &&
	    !is_one_of(name, essential);
}

static bool
is_set_anew(struct slice name, const struct http_rewrite *how)
{
	for (size_t i = 0; i < how->n_set; i++) {
		if (slice_is_nocase(name, how->set[i].name))
			return true;
	}
	return false;
}

static int
put(struct buf *out, const char *text)
{
	return buf_append(out, text, strlen(text));
}

static int
put_field(struct buf *out, struct slice name, struct slice value)
{
	int r;

	if (!http_is_token(name) || !http_is_field_value(value))
		return -EINVAL;
	if ((r = buf_append(out, name.at, name.len)) < 0 ||
	    (r = buf_append(out, ": ", 2)) < 0 ||
	    (r = buf_append(out, value.at, value.len)) < 0)
		return r;
	return buf_append(out, "\r\n", 2);
}

static int
put_passed(struct buf *out, const struct http_fields *fields,
    const struct http_rewrite *how)
{
	const struct http_field *f;
	int r;

	for (size_t i = 0; i < fields->n; i++) {
		f = &fields->at[i];
		if (is_one_of(f->name, never_passed) ||
		    is_dropped_by_flag(f->name, how->drop) ||
		    is_set_anew(f->name, how) ||
		    http_fields_list_has(fields, "connection", f->name))
			continue;
		if ((r = put_field(out, f->name, f->value)) < 0)
			return r;
	}
	return 0;
}

// One origin, never a list nor a star; caches must keep the answers apart.
static int
put_cors(struct buf *out, const char *origin)
{
	int r = put_field(
	    out, slice_of("Access-Control-Allow-Origin"), slice_of(origin));

	if (r < 0)
		return r;
	return put(out,
	    "Vary: Origin\r\n"
	    "Access-Control-Expose-Headers: x-request-id, retry-after, "
	    "retry-after-ms, x-should-retry, x-meshllm-host, "
	    "x-meshllm-encrypted, x-meshllm-attestation, "
	    "x-meshllm-route\r\n");
}

// What is set anew, the framing, and the empty line.
static int
put_ours(struct buf *out, const struct http_rewrite *how)
{
	char length[40];
	int r;

	for (size_t i = 0; i < how->n_set; i++) {
		if (how->set[i].value == NULL)
			continue;
		if (is_one_of(slice_of(how->set[i].name), never_passed))
			return -EINVAL;
		if ((r = put_field(out, slice_of(how->set[i].name),
			 slice_of(how->set[i].value))) < 0)
			return r;
	}
	if (how->allow_origin != NULL &&
	    (r = put_cors(out, how->allow_origin)) < 0)
		return r;
	if (how->framing == HTTP_BODY_LENGTH) {
		(void)snprintf(length, sizeof(length),
		    "Content-Length: %llu\r\n",
		    (unsigned long long)how->length);
		if ((r = put(out, length)) < 0)
			return r;
	}
	if (how->framing == HTTP_BODY_CHUNKED &&
	    (r = put(out, "Transfer-Encoding: chunked\r\n")) < 0)
		return r;
	if ((how->close || how->framing == HTTP_BODY_UNTIL_CLOSE) &&
	    (r = put(out, "Connection: close\r\n")) < 0)
		return r;
	return put(out, "\r\n");
}

static bool
is_target(struct slice target)
{
	for (size_t i = 0; i < target.len; i++) {
		if (target.at[i] < 0x21 || target.at[i] > 0x7e)
			return false;
	}
	return target.len > 0 && target.at[0] == '/';
}

static int
put_request(struct buf *out, const struct http_request *request,
    const struct http_rewrite *how)
{
	struct slice target =
	    how->target.at != NULL ? how->target : request->target;
	struct slice host =
	    how->host != NULL ? slice_of(how->host) : request->host;
	int r;

	// A request has no end but its framing.
	if (how->framing == HTTP_BODY_UNTIL_CLOSE ||
	    !http_is_token(request->method) || !is_target(target))
		return -EINVAL;
	if ((r = buf_append(out, request->method.at, request->method.len)) <
		0 ||
	    (r = buf_append(out, " ", 1)) < 0 ||
	    (r = buf_append(out, target.at, target.len)) < 0 ||
	    (r = put(out, " HTTP/1.1\r\n")) < 0)
		return r;
	if (host.at != NULL && (r = put_field(out, slice_of("Host"), host)) < 0)
		return r;
	if ((r = put_passed(out, &request->fields, how)) < 0)
		return r;
	return put_ours(out, how);
}

int
http_write_request(struct buf *out, const struct http_request *request,
    const struct http_rewrite *how)
{
	size_t before = buf_len(out);
	int r = put_request(out, request, how);

	if (r < 0)
		buf_truncate(out, before);
	return r;
}

static const char *
reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} known[] = {
		{ 200, "OK" },
		{ 204, "No Content" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 411, "Length Required" },
		{ 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < N_ELEMENTS(known); i++) {
		if (known[i].status == status)
			return known[i].reason;
	}
	return "";
}

static int
put_response(struct buf *out, int status, const struct http_fields *fields,
    const struct http_rewrite *how)
{
	char line[80];
	int r;

	if (status < 100 || status > 599)
		return -EINVAL;
	(void)snprintf(line, sizeof(line), "HTTP/1.1 %d %s\r\n", status,
	    reason_of(status));
	if ((r = put(out, line)) < 0)
		return r;
	if (fields != NULL && (r = put_passed(out, fields, how)) < 0)
		return r;
	return put_ours(out, how);
}

int
http_write_response(struct buf *out, const struct http_response *response,
    const struct http_rewrite *how)
{
	size_t before = buf_len(out);
	int r = put_response(out, response->status, &response->fields, how);

	if (r < 0)
		buf_truncate(out, before);
	return r;
}

int
http_write_status(struct buf *out, int status, const struct http_rewrite *how)
{
	size_t before = buf_len(out);
	int r = put_response(out, status, NULL, how);

	if (r < 0)
		buf_truncate(out, before);
	return r;
}

size_t
http_write_chunk_head(uint8_t ret[static HTTP_CHUNK_HEAD_MAX], size_t n)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = 0;
	int shift = 60;

	while (shift > 0 && (uint64_t)n >> shift == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		ret[len++] = (uint8_t)digits[(uint64_t)n >> shift & 15];
	ret[len++] = '\r';
	ret[len++] = '\n';
	return len;
}
