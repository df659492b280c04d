// A strict JSON reader over a text in memory.
//
// The text comes from a peer and is trusted with nothing, the caller's
// pointers are.  It must never read or write outside of the text, and never
// recurse deeper than the maximum.
#include "proxyd/json_text.h"

#include <errno.h>
#include <string.h>

#include "common/utf8.h"
#include "proxyd/json_plain.h"

void
json_text_skip_space(struct json_text *t)
{
	while (t->at < t->end &&
	    (*t->at == ' ' || *t->at == '\t' || *t->at == '\n' ||
		*t->at == '\r'))
		t->at++;
}

bool
json_text_take(struct json_text *t, char c)
{
	json_text_skip_space(t);
	if (t->at == t->end || *t->at != (uint8_t)c)
		return false;
	t->at++;
	return true;
}

static size_t
text_left(const struct json_text *t)
{
	return (size_t)(t->end - t->at);
}

static bool
take_unit(struct json_text *t, uint32_t *ret)
{
	uint32_t unit = 0;
	uint8_t c;

	if (text_left(t) < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		c = *t->at++;
		if (c >= '0' && c <= '9')
			unit = unit << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			unit = unit << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	*ret = unit;
	return true;
}

// A character from an escape takes no more room than the escape.
static uint8_t *
put_utf8(uint8_t *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (uint8_t)c;
		return to;
	}
	if (c < 0x800) {
		*to++ = (uint8_t)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*to++ = (uint8_t)(0xe0 | c >> 12);
		} else {
			*to++ = (uint8_t)(0xf0 | c >> 18);
			*to++ = (uint8_t)(0x80 | (c >> 12 & 0x3f));
		}
		*to++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	}
	*to++ = (uint8_t)(0x80 | (c & 0x3f));
	return to;
}

// Behind "\u".
static bool
take_unicode(struct json_text *t, uint32_t *ret)
{
	uint32_t c, low;

	if (!take_unit(t, &c) || c == 0 || (c >= 0xdc00 && c <= 0xdfff))
		return false;
	if (c >= 0xd800 && c <= 0xdbff) {
		if (text_left(t) < 2 || t->at[0] != '\\' || t->at[1] != 'u')
			return false;
		t->at += 2;
		if (!take_unit(t, &low) || low < 0xdc00 || low > 0xdfff)
			return false;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	*ret = c;
	return true;
}

// Behind a '\'.
static bool
take_escape(struct json_text *t, uint8_t **to)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *name;
	uint32_t c;

	if (t->at == t->end || *t->at == '\0')
		return false;
	c = *t->at++;
	if (c == 'u') {
		if (!take_unicode(t, &c))
			return false;
		*to = put_utf8(*to, c);
		return true;
	}
	if ((name = strchr(names, (int)c)) == NULL)
		return false;
	*(*to)++ = (uint8_t)values[name - names];
	return true;
}

int
json_text_string(struct json_text *t, uint8_t **ret, size_t *ret_len)
{
	uint8_t *to, *start;
	size_t n;

	if (!json_text_take(t, '"'))
		return -EBADMSG;
	to = start = t->at;
	while (t->at < t->end && *t->at != '"') {
		n = json_plain_run(t->at, text_left(t));
		if (n == 0 && *t->at == '\\') {
			t->at++;
			if (!take_escape(t, &to))
				return -EBADMSG;
			continue;
		}
		if (n == 0 && *t->at >= 0x80)
			n = utf8_char_len(t->at, text_left(t));
		if (n == 0)
			return -EBADMSG;
		if (to != t->at)
			memmove(to, t->at, n);
		to += n;
		t->at += n;
	}
	if (t->at++ == t->end)
		return -EBADMSG;
	*ret = start;
	*ret_len = (size_t)(to - start);
	return 0;
}

static size_t
skip_digits(struct json_text *t)
{
	size_t n = 0;

	for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++)
		n++;
	return n;
}

static bool
skip_one_of(struct json_text *t, const char *set)
{
	if (t->at == t->end || *t->at == '\0' || strchr(set, *t->at) == NULL)
		return false;
	t->at++;
	return true;
}

static int
skip_number(struct json_text *t)
{
	bool zero;

	(void)skip_one_of(t, "-");
	zero = t->at < t->end && *t->at == '0';
	if (zero)
		t->at++;
	else if (skip_digits(t) == 0)
		return -EBADMSG;
	if (skip_one_of(t, ".") && skip_digits(t) == 0)
		return -EBADMSG;
	if (skip_one_of(t, "eE")) {
		(void)skip_one_of(t, "+-");
		if (skip_digits(t) == 0)
			return -EBADMSG;
	}
	return 0;
}

static int
skip_literal(struct json_text *t, const char *text)
{
	size_t n = strlen(text);

	if (text_left(t) < n || memcmp(t->at, text, n) != 0)
		return -EBADMSG;
	t->at += n;
	return 0;
}

static int
skip_members(struct json_text *t, char close, int depth)
{
	uint8_t *key;
	size_t len;
	int r;

	if (json_text_take(t, close))
		return 0;
	do {
		if (close == '}') {
			if ((r = json_text_string(t, &key, &len)) < 0)
				return r;
			if (!json_text_take(t, ':'))
				return -EBADMSG;
		}
		if ((r = json_text_skip(t, depth)) < 0)
			return r;
	} while (json_text_take(t, ','));
	return json_text_take(t, close) ? 0 : -EBADMSG;
}

int
json_text_skip(struct json_text *t, int depth)
{
	uint8_t *text;
	size_t len;

	json_text_skip_space(t);
	if (t->at == t->end)
		return -EBADMSG;
	switch (*t->at) {
	case '"':
		return json_text_string(t, &text, &len);
	case '{':
	case '[':
		if (depth == JSON_TEXT_DEPTH_MAX)
			return -EBADMSG;
		return skip_members(t, *t->at++ == '{' ? '}' : ']', depth + 1);
	case 't':
		return skip_literal(t, "true");
	case 'f':
		return skip_literal(t, "false");
	case 'n':
		return skip_literal(t, "null");
	default:
		return skip_number(t);
	}
}

// The escaped form of one ASCII character; its length.
static size_t
escape_ascii(uint8_t c, uint8_t ret[static 6])
{
	static const char names[] = "\"\\bfnrt", values[] = "\"\\\b\f\n\r\t";
	static const char digits[] = "0123456789abcdef";
	const char *value = c == '\0' ? NULL : strchr(values, c);

	if (value != NULL) {
		ret[0] = '\\';
		ret[1] = (uint8_t)names[value - values];
		return 2;
	}
	if (c >= 0x20) {
		ret[0] = c;
		return 1;
	}
	memcpy(ret, "\\u00", 4);
	ret[4] = (uint8_t)digits[c >> 4];
	ret[5] = (uint8_t)digits[c & 15];
	return 6;
}

size_t
json_escape(uint8_t *ret, size_t size, const void *text, size_t len)
{
	const uint8_t *at = text;
	uint8_t escaped[6];
	size_t done = 0, in, out;

	for (; len > 0; at += in, len -= in) {
		in = utf8_char_len(at, len);
		if (in == 1) {
			out = escape_ascii(*at, escaped);
		} else if (in > 1) {
			out = in;
			memcpy(escaped, at, in);
		} else {
			in = 1;
			out = 3;
			memcpy(escaped, "\xef\xbf\xbd", 3);
		}
		if (out > size - done)
			break;
		memcpy(ret + done, escaped, out);
		done += out;
	}
	return done;
}

bool
utf8_is_valid(const void *text, size_t len)
{
	const uint8_t *at = text;
	size_t n;

	for (; len > 0; at += n, len -= n) {
		if ((n = utf8_char_len(at, len)) == 0)
			return false;
	}
	return true;
}
