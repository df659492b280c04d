// HTTP/1.1 message heads, read whole and strictly (RFC 9112).
//
// Collect bytes in one buffer of HTTP_HEAD_MAX until http_head_find() says
// where the head ends, then parse it once.  All slices point into that buffer.
// Nothing is repaired: what two readers could understand differently is
// refused.  After a refusal: answer, Connection: close, half-close, drain.
#ifndef PROXYD_HTTP_HEAD_H
#define PROXYD_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/slice.h"

enum {
	HTTP_HEAD_MAX = 32 * 1024, // request or status line, fields, CRLFCRLF
	HTTP_FIELDS_MAX = 100,
};

enum http_framing {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,
	HTTP_BODY_CHUNKED,
	HTTP_BODY_UNTIL_CLOSE, // responses only
};

// http_request_parse(), flags.
enum {
	HTTP_HOST_OPTIONAL = 1, // out of a tunnel, where Host means nothing
};

struct http_field {
	struct slice name;
	struct slice value; // no white space around it
};

struct http_fields {
	struct http_field at[HTTP_FIELDS_MAX];
	size_t n;
};

struct http_request {
	struct slice method; // any token
	struct slice target; // origin form: "/path?query", 0x21-0x7e
	struct slice path;   // the target up to a '?'
	int minor;	     // HTTP/1.<minor>: 0 or 1
	struct slice host;   // with HTTP_HOST_OPTIONAL or 1.0 .at may be NULL
	enum http_framing framing;
	uint64_t length; // of HTTP_BODY_LENGTH
	bool keep_alive;
	bool expect_continue;
	struct http_fields fields; // all of them, in order
};

static inline bool
http_request_has_body(const struct http_request *request)
{
	return request->framing == HTTP_BODY_CHUNKED ||
	    (request->framing == HTTP_BODY_LENGTH && request->length > 0);
}

struct http_response {
	int status; // 100-599; never 101
	int minor;
	enum http_framing framing;
	uint64_t length;
	bool keep_alive; // another request may follow when the body is done
	struct http_fields fields;
};

// Why a head was refused; static texts, safe to send to the client.
struct http_refusal {
	int status; // 400, 417, 431, 501, 505
	const char *message;
};

// Is the head complete?  Call again with the same bytes and more behind them;
// *scanned starts at 0 and is kept between calls.  0: the head is the first
// *ret bytes.  -EAGAIN: read more.  -EBADMSG: refused already (400: bare LF or
// a first byte that no message starts with).  -EMSGSIZE: too large (431).
MUST_CHECK int http_head_find(
    const uint8_t *bytes, size_t len, size_t *scanned, size_t *ret);
// The refusal that belongs to -EBADMSG or -EMSGSIZE of http_head_find().
struct http_refusal http_head_refusal(int error);

// head: what http_head_find() delimited.  -EBADMSG: see *ret_why.
// *ret may have been written in part after an error.
MUST_CHECK int http_request_parse(const uint8_t *head, size_t len,
    unsigned flags, struct http_request *ret, struct http_refusal *ret_why);
// to_head: the request was a HEAD.  A 1xx response (framing none) is to be
// skipped by the caller, a bounded number of times.
MUST_CHECK int http_response_parse(const uint8_t *head, size_t len,
    bool to_head, struct http_response *ret, struct http_refusal *ret_why);

// The first field of that name (case ignored), or NULL.
const struct http_field *http_fields_find(
    const struct http_fields *, const char *name);
// *ret: the only field of that name, or NULL; false: there are more.
MUST_CHECK bool http_fields_find_once(const struct http_fields *,
    const char *name, const struct http_field **ret);
// Does the comma-separated list in any field `name` hold `token`?
bool http_fields_list_has(
    const struct http_fields *, const char *name, struct slice token);

// RFC 9110 section 5.6.2.
bool http_is_token(struct slice);
// Nothing that could end or split a field: no control byte except HTAB.
bool http_is_field_value(struct slice);

#endif
