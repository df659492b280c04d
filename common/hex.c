// Hexadecimal text of identifiers.  Pure functions over the caller's bytes;
// they must never take upper case or another length: one id has one text.
#include "common/hex.h"

#include <errno.h>
#include <string.h>

void
hex_encode(char *ret, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*ret++ = digits[bytes[i] >> 4];
		*ret++ = digits[bytes[i] & 15];
	}
	*ret = '\0';
}

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int
hex_any_digit(char c)
{
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : digit_value(c);
}

int
hex_decode(const char *text, size_t len, uint8_t *ret, size_t n)
{
	if (len != 2 * n)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (digit_value(text[i]) < 0)
			return -EINVAL;
	}
	for (size_t i = 0; i < n; i++)
		ret[i] = (uint8_t)((unsigned)digit_value(text[2 * i]) << 4 |
		    (unsigned)digit_value(text[2 * i + 1]));
	return 0;
}

const char *
hex_check_endpoint_id(const char *text)
{
	uint8_t id[ENDPOINT_ID_LEN];

	return hex_decode(text, strlen(text), id, sizeof(id)) == 0
	    ? NULL
	    : "is not an endpoint id: 64 hexadecimal digits in lower case";
}
