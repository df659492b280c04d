// Reads the head of a request.  Strict where it decides what is body and what
// is the next request, because tests ask whether a proxy in front of it lets
// two readings through; otherwise it takes what comes.
#include "tests/tools/backend.h"

#include <string.h>
#include <strings.h>

static bool
name_is(const char *line, const char *colon, const char *name)
{
	size_t len = strlen(name);

	return (size_t)(colon - line) == len &&
	    strncasecmp(line, name, len) == 0;
}

static bool
value_is(const char *value, size_t len, const char *text)
{
	return strlen(text) == len && strncasecmp(value, text, len) == 0;
}

static int
parse_length(struct conn *c, const char *value, size_t len)
{
	uint64_t n = 0;

	if (c->has_length || len == 0 || len > 18)
		return 400;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return 400;
		n = n * 10 + (uint64_t)(value[i] - '0');
	}
	c->left = n;
	c->has_length = true;
	return 0;
}

static int
parse_field(struct conn *c, const char *line, const char *end)
{
	const char *colon = memchr(line, ':', (size_t)(end - line));
	const char *value;
	size_t len;

	if (colon == NULL || colon == line || colon[-1] == ' ' ||
	    colon[-1] == '\t' || line[0] == ' ' || line[0] == '\t')
		return 400;
	value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	len = (size_t)(end - value);
	if (name_is(line, colon, "content-length"))
		return parse_length(c, value, len);
	if (name_is(line, colon, "transfer-encoding")) {
		if (c->chunked || !value_is(value, len, "chunked"))
			return 400;
		c->chunked = true;
	} else if (name_is(line, colon, "connection")) {
		if (value_is(value, len, "close"))
			c->keep_alive = false;
		else if (value_is(value, len, "keep-alive"))
			c->keep_alive = true;
	} else if (name_is(line, colon, "expect")) {
		c->expect_continue = value_is(value, len, "100-continue");
	} else if (name_is(line, colon, "authorization")) {
		c->backend->stats.authorization_seen++;
	} else if (name_is(line, colon, "cookie")) {
		c->backend->stats.cookie_seen++;
	}
	return 0;
}

static int
parse_request_line(struct conn *c, const char *line, const char *end)
{
	const char *target = memchr(line, ' ', (size_t)(end - line));
	const char *version;
	const char *query;
	size_t len;

	if (target++ == NULL)
		return 400;
	version = memchr(target, ' ', (size_t)(end - target));
	if (version++ == NULL || end - version != 8)
		return 400;
	if (memcmp(version, "HTTP/1.1", 8) == 0)
		c->http_1_0 = false;
	else if (memcmp(version, "HTTP/1.0", 8) == 0)
		c->http_1_0 = true;
	else
		return 400;
	c->keep_alive = !c->http_1_0;
	if ((size_t)(target - line) > sizeof(c->method))
		return 400;
	len = (size_t)(target - line) - 1;
	memcpy(c->method, line, len);
	c->method[len] = '\0';
	query = memchr(target, '?', (size_t)(version - 1 - target));
	len = (size_t)((query != NULL ? query : version - 1) - target);
	if (len >= sizeof(c->path))
		return 414;
	memcpy(c->path, target, len);
	c->path[len] = '\0';
	return 0;
}

int
head_parse(struct conn *c, const char *head, size_t len)
{
	const char *end = head + len - 2; // the empty line
	const char *line = head;
	bool first = true;
	int r;

	c->has_length = c->chunked = c->expect_continue = false;
	c->left = 0;
	if (memchr(head, '\0', len) != NULL)
		return 400;
	while (line < end) {
		const char *eol =
		    memmem(line, (size_t)(end + 2 - line), "\r\n", 2);

		r = first ? parse_request_line(c, line, eol)
			  : parse_field(c, line, eol);
		if (r != 0)
			return r;
		first = false;
		line = eol + 2;
	}
	return first || (c->has_length && c->chunked) ? 400 : 0;
}
