// Target: b64_decode, b64_encode.  A text has one meaning: what is taken is
// what comes out again, and libsodium understands the same.
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "proxyd/b64.h"
#include "tests/fuzz/fuzz.h"

// libsodium 1.0.18 takes bytes from 0x80 on where char is signed.
static int
decode_otherwise(uint8_t *ret, const uint8_t *data, size_t size, size_t *ret_n)
{
	for (size_t i = 0; i < size; i++) {
		if (data[i] >= 0x80)
			return -1;
	}
	*ret_n = 0;
	return sodium_base642bin(ret, size + 1, (const char *)data, size, NULL,
	    ret_n, NULL, sodium_base64_VARIANT_ORIGINAL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *out = malloc(size + 1), *again = malloc(size + 1);
	uint8_t *other = malloc(size + 1);
	size_t n, other_n = 0;
	int r, other_r;

	if (out == NULL || again == NULL || other == NULL)
		abort();
	memcpy(out, data, size);
	r = b64_decode(out, out, size, &n);
	other_r = decode_otherwise(other, data, size, &other_n);
	if ((r == 0) != (other_r == 0))
		abort();
	if (r == 0) {
		if (n != other_n || memcmp(out, other, n) != 0 ||
		    n != b64_decoded_len(data, size) ||
		    b64_encoded_len(n) != size)
			abort();
		b64_encode(again, out, n);
		if (memcmp(again, data, size) != 0)
			abort();
	}
	free(out);
	free(again);
	free(other);
	return 0;
}
