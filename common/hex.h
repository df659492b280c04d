// Hexadecimal text.  Of identifiers: lower case only, exact length.
#ifndef COMMON_HEX_H
#define COMMON_HEX_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/sizes.h"

// Writes 2 * n digits and a NUL.
void hex_encode(char *ret, const uint8_t *bytes, size_t n);
// Exactly 2 * n digits of 0-9a-f, or -EINVAL.
MUST_CHECK int hex_decode(const char *text, size_t len, uint8_t *ret, size_t n);

// The value of one digit, of either case, as HTTP has them; -1: not one.
int hex_any_digit(char c);

// For options: what is wrong with the text of an endpoint id, or NULL.
const char *hex_check_endpoint_id(const char *text);

static inline void
hex_endpoint_id(const uint8_t id[static ENDPOINT_ID_LEN],
    char ret[static ENDPOINT_ID_HEX_LEN + 1])
{
	hex_encode(ret, id, ENDPOINT_ID_LEN);
}

// The ten digits that people see.
static inline void
hex_endpoint_id_short(const uint8_t id[static ENDPOINT_ID_LEN],
    char ret[static 2 * ENDPOINT_ID_SHORT_LEN + 1])
{
	hex_encode(ret, id, ENDPOINT_ID_SHORT_LEN);
}

#endif
