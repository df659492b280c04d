// An HTTP/1.1 message body, piece by piece (RFC 9112 sections 6 and 7).
//
// The bytes come from outside and are trusted with nothing.  It must never
// give out framing as body, nor take a body that ends early as complete.
#include "proxyd/http_body.h"

#include <errno.h>
#include <string.h>

#include "common/hex.h"

// Where in a chunk extension: ;name=value or ;name="value", nothing empty.
enum {
	EXT_NAME_FIRST,
	EXT_NAME,
	EXT_VALUE_FIRST,
	EXT_VALUE,
	EXT_QUOTED,
	EXT_QUOTED_PAIR,
	EXT_QUOTED_END,
};

// Where in a trailer line.
enum {
	TRAILER_FIRST,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	TRAILER_LAST_LF,
};

void
http_body_init(struct http_body *b, enum http_framing framing, uint64_t length)
{
	*b = (struct http_body){ .framing = framing, .left = length };
	if (framing == HTTP_BODY_CHUNKED) {
		b->state = HTTP_BODY_IN_SIZE;
		b->left = 0;
	} else if (framing == HTTP_BODY_UNTIL_CLOSE) {
		b->state = HTTP_BODY_IN_LENGTH;
		b->left = UINT64_MAX;
	} else if (framing == HTTP_BODY_NONE || length == 0) {
		b->state = HTTP_BODY_DONE;
	}
}

static bool
is_token_char(uint8_t c)
{
	char text = (char)c;

	return http_is_token((struct slice){ &text, 1 });
}

static bool
is_value_char(uint8_t c)
{
	char text = (char)c;

	return http_is_field_value((struct slice){ &text, 1 });
}

static bool
step_size(struct http_body *b, uint8_t c)
{
	int value = hex_any_digit((char)c);

	if (value >= 0) {
		// Zeros count: an endless row of them says nothing.
		if (++b->line_len > HTTP_CHUNK_DIGITS_MAX)
			return false;
		b->left = b->left << 4 | (uint64_t)value;
		return true;
	}
	if (b->line_len == 0)
		return false;
	if (c == ';') {
		b->state = HTTP_BODY_IN_EXTENSION;
		b->part = EXT_NAME_FIRST;
		return true;
	}
	b->state = HTTP_BODY_IN_SIZE_LF;
	return c == '\r';
}

// Behind something complete: the next extension, or the end of the line.
static bool
end_extension(struct http_body *b, uint8_t c)
{
	if (c == ';') {
		b->part = EXT_NAME_FIRST;
		return true;
	}
	b->state = HTTP_BODY_IN_SIZE_LF;
	return c == '\r';
}

static bool
step_quoted(struct http_body *b, uint8_t c)
{
	if (b->part == EXT_QUOTED_PAIR)
		b->part = EXT_QUOTED;
	else if (c == '\\')
		b->part = EXT_QUOTED_PAIR;
	else if (c == '"')
		b->part = EXT_QUOTED_END;
	return is_value_char(c);
}

static bool
step_extension(struct http_body *b, uint8_t c)
{
	if (++b->line_len > HTTP_CHUNK_LINE_MAX)
		return false;
	switch (b->part) {
	case EXT_NAME_FIRST:
		b->part = EXT_NAME;
		return is_token_char(c);
	case EXT_NAME:
		if (c == '=') {
			b->part = EXT_VALUE_FIRST;
			return true;
		}
		return is_token_char(c) || end_extension(b, c);
	case EXT_VALUE_FIRST:
		b->part = c == '"' ? EXT_QUOTED : EXT_VALUE;
		return c == '"' || is_token_char(c);
	case EXT_VALUE:
		return is_token_char(c) || end_extension(b, c);
	case EXT_QUOTED_END:
		return end_extension(b, c);
	default:
		return step_quoted(b, c);
	}
}

static bool
step_size_lf(struct http_body *b, uint8_t c)
{
	b->line_len = 0;
	b->part = TRAILER_FIRST;
	b->state = b->left == 0 ? HTTP_BODY_IN_TRAILER : HTTP_BODY_IN_DATA;
	return c == '\n';
}

static bool
step_trailer(struct http_body *b, uint8_t c)
{
	if (++b->trailers > HTTP_TRAILER_MAX)
		return false;
	switch (b->part) {
	case TRAILER_FIRST:
		b->part = c == '\r' ? TRAILER_LAST_LF : TRAILER_NAME;
		return c == '\r' || is_token_char(c);
	case TRAILER_NAME:
		if (c == ':')
			b->part = TRAILER_VALUE;
		return c == ':' || is_token_char(c);
	case TRAILER_VALUE:
		if (c == '\r')
			b->part = TRAILER_LF;
		return c == '\r' || is_value_char(c);
	case TRAILER_LF:
		b->part = TRAILER_FIRST;
		return c == '\n';
	default:
		b->state = HTTP_BODY_DONE;
		return c == '\n';
	}
}

// One byte of framing; false: it may not stand here.
static bool
step(struct http_body *b, uint8_t c)
{
	switch (b->state) {
	case HTTP_BODY_IN_SIZE:
		return step_size(b, c);
	case HTTP_BODY_IN_EXTENSION:
		return step_extension(b, c);
	case HTTP_BODY_IN_SIZE_LF:
		return step_size_lf(b, c);
	case HTTP_BODY_IN_DATA_CR:
		b->state = HTTP_BODY_IN_DATA_LF;
		return c == '\r';
	case HTTP_BODY_IN_DATA_LF:
		b->state = HTTP_BODY_IN_SIZE;
		return c == '\n';
	case HTTP_BODY_IN_TRAILER:
		return step_trailer(b, c);
	default:
		return false;
	}
}

static bool
is_in_data(const struct http_body *b)
{
	return b->state == HTTP_BODY_IN_LENGTH || b->state == HTTP_BODY_IN_DATA;
}

static size_t
take_data(struct http_body *b, size_t len)
{
	if (len > b->left)
		len = (size_t)b->left;
	b->total += len;
	if (b->framing == HTTP_BODY_UNTIL_CLOSE)
		return len;
	b->left -= len;
	if (b->left == 0)
		b->state = b->state == HTTP_BODY_IN_DATA ? HTTP_BODY_IN_DATA_CR
							 : HTTP_BODY_DONE;
	return len;
}

int
http_body_read(
    struct http_body *b, const uint8_t *in, size_t len, struct http_piece *ret)
{
	struct http_piece piece = { 0 };

	while (!b->broken && piece.used < len && !is_in_data(b) &&
	    b->state != HTTP_BODY_DONE) {
		if (!step(b, in[piece.used]))
			b->broken = true;
		piece.used++;
	}
	if (b->broken)
		return -EBADMSG;
	if (is_in_data(b)) {
		piece.at = piece.used;
		piece.len = take_data(b, len - piece.used);
		piece.used += piece.len;
	}
	*ret = piece;
	return 0;
}

int
http_body_end(struct http_body *b)
{
	if (b->broken)
		return -EPIPE;
	if (b->framing == HTTP_BODY_UNTIL_CLOSE)
		b->state = HTTP_BODY_DONE;
	return b->state == HTTP_BODY_DONE ? 0 : -EPIPE;
}
