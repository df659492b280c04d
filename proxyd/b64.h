// Standard base64 with padding, strictly (RFC 4648 sections 4 and 3.5).  Fast,
// not constant-time: for ciphertext and public keys only.
#ifndef PROXYD_B64_H
#define PROXYD_B64_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

static inline size_t
b64_encoded_len(size_t n)
{
	return (n + 2) / 3 * 4;
}

// Writes exactly b64_encoded_len(n) bytes, no NUL.  Only the last piece of a
// text may have an n that is no multiple of 3.
void b64_encode(uint8_t *ret, const uint8_t *bytes, size_t n);
// The length that the text will decode to, if it is valid.
size_t b64_decoded_len(const uint8_t *text, size_t len);
// Decode a whole text; ret may be the text itself.  *ret_len is exact.
// -EILSEQ: foreign byte, white space, padding missing or in the middle,
// unused bits not zero.  What ret points to is undefined then.
MUST_CHECK int b64_decode(
    uint8_t *ret, const uint8_t *text, size_t len, size_t *ret_len);

// Decode in front of anything that is not plain base64, or too little of it to
// be worth while; returns the length of that text, a multiple of 4.  ret may
// be the text itself or lie before it; up to 4 bytes more are overwritten.
size_t b64_decode_some(uint8_t *ret, const uint8_t *text, size_t len);

#endif
