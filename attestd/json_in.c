// Reads what a peer wrote.  Trusts nothing; never reads at or beyond `end`,
// never writes more to a room than the text is long (an unescaped string is
// never longer than its escaped form).
#include "attestd/json_in.h"

#include <string.h>

#include "common/utf8.h"

int
json_in_init(struct json_in *in, const void *text, size_t len)
{
	const uint8_t *p = text;
	size_t n;

	*in = (struct json_in){ .at = p, .end = p + len };
	for (size_t i = 0; i < len; i += n)
		if ((n = utf8_char_len(p + i, len - i)) == 0)
			return -EBADMSG;
	return 0;
}

static void
skip_space(struct json_in *in)
{
	while (in->at < in->end &&
	    (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' ||
		*in->at == '\r'))
		in->at++;
}

// The next byte that is not white space; -1 at the end.
static int
peek(struct json_in *in)
{
	skip_space(in);
	return in->at < in->end ? *in->at : -1;
}

static int
take(struct json_in *in, char c)
{
	if (peek(in) != c)
		return -EBADMSG;
	in->at++;
	return 0;
}

int
json_in_end(struct json_in *in)
{
	return peek(in) == -1 ? 0 : -EBADMSG;
}

int
json_in_object(struct json_in *in)
{
	if (++in->depth > JSON_IN_DEPTH_MAX)
		return -EBADMSG;
	return take(in, '{');
}

static int
hex4(struct json_in *in, uint32_t *ret)
{
	uint32_t value = 0;

	if (in->end - in->at < 4)
		return -EBADMSG;
	for (int i = 0; i < 4; i++) {
		uint8_t c = *in->at++;
		uint32_t digit;

		if (c >= '0' && c <= '9')
			digit = c - (uint32_t)'0';
		else if (c >= 'a' && c <= 'f')
			digit = c - (uint32_t)'a' + 10;
		else if (c >= 'A' && c <= 'F')
			digit = c - (uint32_t)'A' + 10;
		else
			return -EBADMSG;
		value = value << 4 | digit;
	}
	*ret = value;
	return 0;
}

static size_t
put_utf8(char *ret, uint32_t c)
{
	uint8_t bytes[4];
	size_t n = 0;

	if (c < 0x80) {
		bytes[n++] = (uint8_t)c;
	} else if (c < 0x800) {
		bytes[n++] = (uint8_t)(0xc0 | c >> 6);
		bytes[n++] = (uint8_t)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		bytes[n++] = (uint8_t)(0xe0 | c >> 12);
		bytes[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (uint8_t)(0x80 | (c & 0x3f));
	} else {
		bytes[n++] = (uint8_t)(0xf0 | c >> 18);
		bytes[n++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
		bytes[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (uint8_t)(0x80 | (c & 0x3f));
	}
	memcpy(ret, bytes, n);
	return n;
}

// Behind `\u`; a high surrogate needs its low one (RFC 8259, section 7).
static int
unicode_escape(struct json_in *in, uint32_t *ret)
{
	uint32_t c, low;

	if (hex4(in, &c) < 0 || (c >= 0xdc00 && c <= 0xdfff))
		return -EBADMSG;
	if (c >= 0xd800 && c <= 0xdbff) {
		if (in->end - in->at < 2 || in->at[0] != '\\' ||
		    in->at[1] != 'u')
			return -EBADMSG;
		in->at += 2;
		if (hex4(in, &low) < 0 || low < 0xdc00 || low > 0xdfff)
			return -EBADMSG;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	*ret = c;
	return 0;
}

static int
escape(struct json_in *in, uint32_t *ret)
{
	static const char names[] = "\"\\/bfnrt";
	static const char values[] = "\"\\/\b\f\n\r\t";
	const char *name;
	uint8_t c;

	if (in->at == in->end)
		return -EBADMSG;
	c = *in->at++;
	if (c == 'u')
		return unicode_escape(in, ret);
	name = c == '\0' ? NULL : strchr(names, c);
	if (name == NULL)
		return -EBADMSG;
	*ret = (uint32_t)values[name - names];
	return 0;
}

int
json_in_string(struct json_in *in, char *room, struct json_in_text *ret)
{
	size_t len = 0;
	uint32_t c;

	if (take(in, '"') < 0)
		return -EBADMSG;
	for (;;) {
		if (in->at == in->end || *in->at < 0x20)
			return -EBADMSG;
		if (*in->at == '"')
			break;
		if (*in->at != '\\') {
			room[len++] = (char)*in->at++;
			continue;
		}
		in->at++;
		if (escape(in, &c) < 0)
			return -EBADMSG;
		len += put_utf8(room + len, c);
	}
	in->at++;
	*ret = (struct json_in_text){ room, len };
	return 0;
}

int
json_in_member(struct json_in *in, bool is_first, char *room,
    struct json_in_text *ret_name, bool *ret_more)
{
	int c = peek(in);

	if (c == '}') {
		in->at++;
		in->depth--;
		*ret_more = false;
		return 0;
	}
	if (!is_first && take(in, ',') < 0)
		return -EBADMSG;
	if (json_in_string(in, room, ret_name) < 0)
		return -EBADMSG;
	*ret_more = true;
	return take(in, ':');
}

static int
take_word(struct json_in *in, const char *word)
{
	size_t len = strlen(word);

	skip_space(in);
	if ((size_t)(in->end - in->at) < len || memcmp(in->at, word, len) != 0)
		return -EBADMSG;
	in->at += len;
	return 0;
}

int
json_in_bool(struct json_in *in, bool *ret)
{
	*ret = peek(in) == 't';
	return take_word(in, *ret ? "true" : "false");
}

static bool
is_digit(const struct json_in *in)
{
	return in->at < in->end && *in->at >= '0' && *in->at <= '9';
}

int
json_in_u64(struct json_in *in, uint64_t *ret)
{
	uint64_t value = 0;
	const uint8_t *start;

	skip_space(in);
	start = in->at;
	for (; is_digit(in); in->at++) {
		unsigned digit = *in->at - (unsigned)'0';

		if (value > (UINT64_MAX - digit) / 10)
			return -EBADMSG;
		value = value * 10 + digit;
	}
	if (in->at == start || (*start == '0' && in->at - start > 1))
		return -EBADMSG;
	if (in->at < in->end &&
	    (*in->at == '.' || *in->at == 'e' || *in->at == 'E'))
		return -EBADMSG;
	*ret = value;
	return 0;
}

static int
skip_digits(struct json_in *in)
{
	if (!is_digit(in))
		return -EBADMSG;
	while (is_digit(in))
		in->at++;
	return 0;
}

static int
skip_number(struct json_in *in)
{
	if (*in->at == '-')
		in->at++;
	if (!is_digit(in))
		return -EBADMSG;
	if (*in->at == '0')
		in->at++;
	else if (skip_digits(in) < 0)
		return -EBADMSG;
	if (in->at < in->end && *in->at == '.') {
		in->at++;
		if (skip_digits(in) < 0)
			return -EBADMSG;
	}
	if (in->at < in->end && (*in->at == 'e' || *in->at == 'E')) {
		in->at++;
		if (in->at < in->end && (*in->at == '+' || *in->at == '-'))
			in->at++;
		return skip_digits(in);
	}
	return 0;
}

static int
skip_object(struct json_in *in, char *room)
{
	struct json_in_text name;
	bool more = true;
	int r = json_in_object(in);

	for (bool first = true; r == 0; first = false) {
		r = json_in_member(in, first, room, &name, &more);
		if (r < 0 || !more)
			break;
		r = json_in_skip(in, room);
	}
	return r;
}

static int
skip_array(struct json_in *in, char *room)
{
	in->at++;
	if (++in->depth > JSON_IN_DEPTH_MAX)
		return -EBADMSG;
	for (bool first = true; first || peek(in) != ']'; first = false) {
		if (first && peek(in) == ']')
			break;
		if (!first && take(in, ',') < 0)
			return -EBADMSG;
		if (json_in_skip(in, room) < 0)
			return -EBADMSG;
	}
	in->at++;
	in->depth--;
	return 0;
}

int
json_in_skip(struct json_in *in, char *room)
{
	struct json_in_text text;

	switch (peek(in)) {
	case '{':
		return skip_object(in, room);
	case '[':
		return skip_array(in, room);
	case '"':
		return json_in_string(in, room, &text);
	case 't':
		return take_word(in, "true");
	case 'f':
		return take_word(in, "false");
	case 'n':
		return take_word(in, "null");
	case -1:
		return -EBADMSG;
	default:
		return skip_number(in);
	}
}

bool
json_in_text_is(struct json_in_text text, const char *literal)
{
	return text.len == strlen(literal) &&
	    memcmp(text.at, literal, text.len) == 0;
}
