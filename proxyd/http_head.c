// HTTP/1.1 message heads: one strict pass over a complete head.
//
// The bytes come from a local program, a peer or a backend and are trusted
// with nothing.  This code must never repair or guess: a head that two
// readers could understand differently is refused (RFC 9112 section 11.2).
#include "proxyd/http_head.h"

#include <errno.h>

enum { LENGTH_DIGITS_MAX = 18 };

static const bool tchar[256] = {
	['0' ... '9'] = true,
	['A' ... 'Z'] = true,
	['a' ... 'z'] = true,
	['!'] = true,
	['#'] = true,
	['$'] = true,
	['%'] = true,
	['&'] = true,
	['\''] = true,
	['*'] = true,
	['+'] = true,
	['-'] = true,
	['.'] = true,
	['^'] = true,
	['_'] = true,
	['`'] = true,
	['|'] = true,
	['~'] = true,
};

static const bool host_char[256] = {
	['0' ... '9'] = true,
	['A' ... 'Z'] = true,
	['a' ... 'z'] = true,
	['.'] = true,
	['_'] = true,
	['~'] = true,
	[':'] = true,
	['['] = true,
	[']'] = true,
	['-'] = true,
};

static const bool value_char[256] = {
	['\t'] = true,
	[0x20 ... 0x7e] = true,
	[0x80 ... 0xff] = true,
};

static const bool target_char[256] = { [0x21 ... 0x7e] = true };

// What is left of the head.
struct cursor {
	const char *at;
	const char *end;
};

static int
refuse(struct http_refusal *why, int status, const char *message)
{
	why->status = status;
	why->message = message;
	return -EBADMSG;
}

static bool
is_all(struct slice s, const bool *allowed)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!allowed[(uint8_t)s.at[i]])
			return false;
	}
	return true;
}

bool
http_is_token(struct slice s)
{
	return s.len > 0 && is_all(s, tchar);
}

bool
http_is_field_value(struct slice s)
{
	return is_all(s, value_char);
}

int
http_head_find(const uint8_t *bytes, size_t len, size_t *scanned, size_t *ret)
{
	const uint8_t *lf;
	size_t i, look = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;

	// TLS or junk on this port shows in its first byte; an empty line in
	// front of a request is allowed (RFC 9112 section 2.2).
	if (len > 0 && !tchar[bytes[0]] && bytes[0] != '\r')
		return -EBADMSG;
	while ((lf = look > *scanned
		       ? memchr(bytes + *scanned, '\n', look - *scanned)
		       : NULL) != NULL) {
		i = (size_t)(lf - bytes);
		if (i == 0 || bytes[i - 1] != '\r')
			return -EBADMSG;
		*scanned = i + 1;
		if (i >= 3 && bytes[i - 2] == '\n') {
			*ret = i + 1;
			return 0;
		}
	}
	*scanned = look;
	return look == HTTP_HEAD_MAX ? -EMSGSIZE : -EAGAIN;
}

struct http_refusal
http_head_refusal(int error)
{
	if (error == -EMSGSIZE)
		return (struct http_refusal){ 431,
			"Request header is larger than 32 KiB" };
	return (struct http_refusal){ 400, "Malformed HTTP header" };
}

// The next line without its CRLF; false when there is none.
static bool
take_line(struct cursor *c, struct slice *ret)
{
	const char *lf = memchr(c->at, '\n', (size_t)(c->end - c->at));

	if (lf == NULL || lf == c->at || lf[-1] != '\r')
		return false;
	*ret = (struct slice){ c->at, (size_t)(lf - c->at) - 1 };
	c->at = lf + 1;
	return true;
}

// The part of *line before the first `stop`, which is taken out with it.
static bool
take_until(struct slice *line, char stop, struct slice *ret)
{
	const char *at = memchr(line->at, stop, line->len);

	if (at == NULL)
		return false;
	*ret = (struct slice){ line->at, (size_t)(at - line->at) };
	line->len -= ret->len + 1;
	line->at = at + 1;
	return true;
}

static int
parse_fields(
    struct cursor *c, struct http_fields *ret, struct http_refusal *why)
{
	struct http_field *f;
	struct slice line;

	ret->n = 0;
	while (take_line(c, &line)) {
		if (line.len == 0 && c->at == c->end)
			return 0;
		if (ret->n == HTTP_FIELDS_MAX)
			return refuse(why, 431, "Too many header fields");
		f = &ret->at[ret->n++];
		// A name that is a token excludes folded lines and white space
		// before the colon.
		if (!take_until(&line, ':', &f->name) ||
		    !http_is_token(f->name))
			return refuse(why, 400, "Malformed header field name");
		f->value = slice_trim(line);
		if (!http_is_field_value(f->value))
			return refuse(
			    why, 400, "Control character in a header field");
	}
	return refuse(why, 400, "Malformed HTTP header");
}

const struct http_field *
http_fields_find(const struct http_fields *fields, const char *name)
{
	for (size_t i = 0; i < fields->n; i++) {
		if (slice_is_nocase(fields->at[i].name, name))
			return &fields->at[i];
	}
	return NULL;
}

bool
http_fields_find_once(const struct http_fields *fields, const char *name,
    const struct http_field **ret)
{
	*ret = NULL;
	for (size_t i = 0; i < fields->n; i++) {
		if (!slice_is_nocase(fields->at[i].name, name))
			continue;
		if (*ret != NULL)
			return false;
		*ret = &fields->at[i];
	}
	return true;
}

// The next element of a comma-separated list, trimmed, maybe empty.
static bool
take_element(struct slice *list, struct slice *ret)
{
	if (list->at == NULL)
		return false;
	if (!take_until(list, ',', ret)) {
		*ret = *list;
		list->at = NULL;
	}
	*ret = slice_trim(*ret);
	return true;
}

bool
http_fields_list_has(
    const struct http_fields *fields, const char *name, struct slice token)
{
	struct slice list, element;

	for (size_t i = 0; i < fields->n; i++) {
		if (!slice_is_nocase(fields->at[i].name, name))
			continue;
		list = fields->at[i].value;
		while (take_element(&list, &element)) {
			if (element.len == token.len &&
			    strncasecmp(element.at, token.at, token.len) == 0)
				return true;
		}
	}
	return false;
}

static bool
connection_is_well_formed(const struct http_fields *fields)
{
	struct slice list, element;

	for (size_t i = 0; i < fields->n; i++) {
		if (!slice_is_nocase(fields->at[i].name, "connection"))
			continue;
		list = fields->at[i].value;
		while (take_element(&list, &element)) {
			if (element.len > 0 && !http_is_token(element))
				return false;
		}
	}
	return true;
}

// RFC 9112 section 9.3.
static bool
wants_keep_alive(const struct http_fields *fields, int minor)
{
	if (http_fields_list_has(fields, "connection", slice_of("close")))
		return false;
	return minor == 1 ||
	    http_fields_list_has(fields, "connection", slice_of("keep-alive"));
}

static bool
parse_length(struct slice text, uint64_t *ret)
{
	uint64_t length = 0;

	if (text.len == 0 || text.len > LENGTH_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
		length = length * 10 + (uint64_t)(text.at[i] - '0');
	}
	*ret = length;
	return true;
}

// RFC 9112 section 6.3, without any of its leniencies.  *ret is left alone
// when no field says how the body is framed.
static int
parse_framing(const struct http_fields *fields, int minor,
    enum http_framing *ret, uint64_t *ret_length, struct http_refusal *why)
{
	const struct http_field *coding, *length;

	if (!http_fields_find_once(fields, "transfer-encoding", &coding) ||
	    !http_fields_find_once(fields, "content-length", &length))
		return refuse(why, 400, "Body framing is given more than once");
	if (coding != NULL && length != NULL)
		return refuse(
		    why, 400, "Both Content-Length and Transfer-Encoding");
	if (coding != NULL) {
		if (!slice_is_nocase(coding->value, "chunked"))
			return refuse(
			    why, 501, "Transfer-Encoding must be chunked");
		if (minor == 0)
			return refuse(
			    why, 400, "Transfer-Encoding in HTTP/1.0");
		*ret = HTTP_BODY_CHUNKED;
	}
	if (length != NULL) {
		if (!parse_length(length->value, ret_length))
			return refuse(why, 400, "Malformed Content-Length");
		*ret = HTTP_BODY_LENGTH;
	}
	return 0;
}

// "HTTP/1.0" or "HTTP/1.1"; the minor version, -1 for another version of
// HTTP, -2 for anything else.
static int
parse_version(struct slice text)
{
	if (slice_is(text, "HTTP/1.1"))
		return 1;
	if (slice_is(text, "HTTP/1.0"))
		return 0;
	if (text.len < 6 || memcmp(text.at, "HTTP/", 5) != 0)
		return -2;
	for (size_t i = 5; i < text.len; i++) {
		if (text.at[i] != '.' && (text.at[i] < '0' || text.at[i] > '9'))
			return -2;
	}
	return -1;
}

static int
parse_request_line(
    struct cursor *c, struct http_request *ret, struct http_refusal *why)
{
	static const char malformed[] = "Malformed request line";
	struct slice line, rest;

	if (!take_line(c, &line))
		return refuse(why, 400, malformed);
	// One empty line may precede it (RFC 9112 section 2.2).
	if (line.len == 0 && !take_line(c, &line))
		return refuse(why, 400, malformed);
	if (!take_until(&line, ' ', &ret->method) ||
	    !http_is_token(ret->method) ||
	    !take_until(&line, ' ', &ret->target))
		return refuse(why, 400, malformed);
	ret->minor = parse_version(line);
	if (ret->minor == -2)
		return refuse(why, 400, malformed);
	if (ret->minor == -1)
		return refuse(why, 505, "HTTP version is not supported");
	if (ret->target.len == 0 || ret->target.at[0] != '/' ||
	    !is_all(ret->target, target_char))
		return refuse(why, 400, "Malformed request target");
	rest = ret->target;
	if (!take_until(&rest, '?', &ret->path))
		ret->path = ret->target;
	return 0;
}

static int
parse_host(struct http_request *r, unsigned flags, struct http_refusal *why)
{
	const struct http_field *host;

	r->host = (struct slice){ NULL, 0 };
	if (!http_fields_find_once(&r->fields, "host", &host))
		return refuse(why, 400, "More than one Host field");
	// HTTP/1.0 knows none (RFC 9112, section 3.2).
	if (host == NULL)
		return (flags & HTTP_HOST_OPTIONAL) != 0 || r->minor == 0
		    ? 0
		    : refuse(why, 400, "Host field is missing");
	if (host->value.len == 0 || !is_all(host->value, host_char))
		return refuse(why, 400, "Malformed Host field");
	r->host = host->value;
	return 0;
}

static int
parse_expect(struct http_request *r, struct http_refusal *why)
{
	const struct http_field *expect;

	r->expect_continue = false;
	if (!http_fields_find_once(&r->fields, "expect", &expect))
		return refuse(why, 417, "Expectation cannot be met");
	if (expect == NULL)
		return 0;
	if (!slice_is_nocase(expect->value, "100-continue"))
		return refuse(why, 417, "Expectation cannot be met");
	// An HTTP/1.0 client would not understand the answer, and without a
	// body there is nothing to wait for (RFC 9110 section 10.1.1).
	r->expect_continue = r->minor == 1 && r->framing != HTTP_BODY_NONE;
	return 0;
}

// Does it ask for another protocol than HTTP?  A client that offers h2c (RFC
// 9113 has ended it, the clients of some languages still do) goes on in
// HTTP/1.1 when it is ignored; one that wants to speak something else cannot.
// RFC 9110 section 7.8: nothing is asked with HTTP/1.0, nor where Connection
// does not name the field.
static bool
wants_upgrade(const struct http_request *r)
{
	struct slice list, element;

	if (r->minor == 0 ||
	    !http_fields_list_has(
		&r->fields, "connection", slice_of("upgrade")))
		return false;
	for (size_t i = 0; i < r->fields.n; i++) {
		if (!slice_is_nocase(r->fields.at[i].name, "upgrade"))
			continue;
		list = r->fields.at[i].value;
		while (take_element(&list, &element)) {
			if (element.len > 0 && !slice_is_nocase(element, "h2c"))
				return true;
		}
	}
	return false;
}

int
http_request_parse(const uint8_t *head, size_t len, unsigned flags,
    struct http_request *ret, struct http_refusal *ret_why)
{
	struct cursor c = { (const char *)head, (const char *)head + len };
	int r;

	if ((r = parse_request_line(&c, ret, ret_why)) < 0 ||
	    (r = parse_fields(&c, &ret->fields, ret_why)) < 0 ||
	    (r = parse_host(ret, flags, ret_why)) < 0)
		return r;
	ret->framing = HTTP_BODY_NONE;
	ret->length = 0;
	if ((r = parse_framing(&ret->fields, ret->minor, &ret->framing,
		 &ret->length, ret_why)) < 0 ||
	    (r = parse_expect(ret, ret_why)) < 0)
		return r;
	if (!connection_is_well_formed(&ret->fields))
		return refuse(ret_why, 400, "Malformed Connection field");
	if (wants_upgrade(ret))
		return refuse(ret_why, 501,
		    "The protocol of the connection cannot be changed: "
		    "there is no WebSocket or other Upgrade here");
	ret->keep_alive = wants_keep_alive(&ret->fields, ret->minor);
	return 0;
}

static int
parse_status_line(
    struct cursor *c, struct http_response *ret, struct http_refusal *why)
{
	static const char malformed[] = "Malformed status line";
	struct slice line, version, code;

	if (!take_line(c, &line) || !take_until(&line, ' ', &version))
		return refuse(why, 400, malformed);
	ret->minor = parse_version(version);
	if (ret->minor < 0)
		return refuse(why, 505, "HTTP version is not supported");
	// The space before an empty reason is left out by some servers.
	if (!take_until(&line, ' ', &code)) {
		code = line;
		line.len = 0;
	}
	if (code.len != 3 || code.at[0] < '1' || code.at[0] > '5' ||
	    code.at[1] < '0' || code.at[1] > '9' || code.at[2] < '0' ||
	    code.at[2] > '9' || !http_is_field_value(line))
		return refuse(why, 400, malformed);
	ret->status = (code.at[0] - '0') * 100 + (code.at[1] - '0') * 10 +
	    (code.at[2] - '0');
	// We never ask for another protocol.
	if (ret->status == 101)
		return refuse(why, 400, "Unexpected change of protocol");
	return 0;
}

// Framing fields where no body can be: whether what follows is a body or the
// next message depends on the reader, so nothing may follow.
static void
drop_body(struct http_response *r, bool to_head)
{
	bool announced = r->framing == HTTP_BODY_CHUNKED ||
	    (r->framing == HTTP_BODY_LENGTH && r->length > 0);

	if (announced && !to_head && r->status != 304)
		r->keep_alive = false;
	r->framing = HTTP_BODY_NONE;
	r->length = 0;
}

int
http_response_parse(const uint8_t *head, size_t len, bool to_head,
    struct http_response *ret, struct http_refusal *ret_why)
{
	struct cursor c = { (const char *)head, (const char *)head + len };
	int r;

	if ((r = parse_status_line(&c, ret, ret_why)) < 0 ||
	    (r = parse_fields(&c, &ret->fields, ret_why)) < 0)
		return r;
	ret->framing = HTTP_BODY_UNTIL_CLOSE;
	ret->length = 0;
	if ((r = parse_framing(&ret->fields, ret->minor, &ret->framing,
		 &ret->length, ret_why)) < 0)
		return r;
	if (!connection_is_well_formed(&ret->fields))
		return refuse(ret_why, 400, "Malformed Connection field");
	ret->keep_alive = wants_keep_alive(&ret->fields, ret->minor);
	if (to_head || ret->status < 200 || ret->status == 204 ||
	    ret->status == 304)
		drop_body(ret, to_head);
	if (ret->framing == HTTP_BODY_UNTIL_CLOSE)
		ret->keep_alive = false;
	return 0;
}
