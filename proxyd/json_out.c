// Whatever is put in, a string that is written is one JSON string.
#include "proxyd/json_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxyd/json_text.h"

enum { PIECE = 4096 };

void
json_out_bytes(struct json_out *o, const void *bytes, size_t n)
{
	if (o->error == 0)
		o->error = buf_append(o->buf, bytes, n);
}

void
json_out_raw(struct json_out *o, const char *text)
{
	json_out_bytes(o, text, strlen(text));
}

// Not into the middle of a character.
static size_t
piece_of(const uint8_t *at, size_t len)
{
	size_t n = len < PIECE ? len : PIECE;

	if (n == len)
		return n;
	for (size_t back = 0; back < 3 && (at[n] & 0xc0) == 0x80; back++)
		n--;
	return n;
}

void
json_out_string(struct json_out *o, const void *text, size_t len)
{
	const uint8_t *at = text;
	uint8_t *to;
	size_t n;

	json_out_bytes(o, "\"", 1);
	for (; len > 0 && o->error == 0; at += n, len -= n) {
		n = piece_of(at, len);
		o->error = buf_reserve(o->buf, 6 * n, &to);
		if (o->error == 0)
			buf_commit(o->buf, json_escape(to, 6 * n, at, n));
	}
	json_out_bytes(o, "\"", 1);
}

void
json_out_number(struct json_out *o, int64_t number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, number);
	json_out_raw(o, text);
}
