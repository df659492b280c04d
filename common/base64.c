// Base64 of keys and tokens over libsodium, which must not be given bytes
// above 0x7f: 1.0.18 takes them as digits where char is signed.
#include "common/base64.h"

#include <sodium.h>
#include <stdbool.h>

static bool
is_ascii(const char *text, size_t len)
{
	unsigned char all = 0;

	for (size_t i = 0; i < len; i++)
		all |= (unsigned char)text[i];
	return all < 0x80;
}

int
base64_decode(const char *text, size_t len, int variant, uint8_t *ret,
    size_t size, size_t *ret_len)
{
	if (!is_ascii(text, len))
		return -EINVAL;
	// Without an end pointer libsodium refuses what it did not use.
	if (sodium_base642bin(
		ret, size, text, len, NULL, ret_len, NULL, variant) != 0)
		return -EINVAL;
	return 0;
}
