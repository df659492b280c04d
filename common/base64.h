// Strict base64 of small things: keys and tokens.
#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

// All of text, in one of libsodium's variants, constant time.  -EINVAL for
// anything else, also for what does not fit.
MUST_CHECK int base64_decode(const char *text, size_t len, int variant,
    uint8_t *ret, size_t size, size_t *ret_len);

#endif
