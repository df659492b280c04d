// Strict base64 around OpenSSL's fast but lax block functions.
//
// The text comes from a peer and is trusted with nothing: EVP_DecodeBlock
// takes white space at both ends, '=' anywhere and stray bits, so all of that
// is looked at here.  It must never write beyond the exact decoded length.
#include "proxyd/b64.h"

#include <errno.h>
#include <string.h>

#include <openssl/evp.h>

enum {
	ENCODE_PIECE = 3 * 4096,
	DECODE_PIECE = 4 * 1024,
};

void
b64_encode(uint8_t *ret, const uint8_t *bytes, size_t n)
{
	uint8_t last[5]; // EVP_EncodeBlock writes a NUL as well
	size_t now;

	// That NUL is overwritten by what follows it, except by the end.
	while (n > 3) {
		now = n - 1 < ENCODE_PIECE ? (n - 1) / 3 * 3 : ENCODE_PIECE;
		(void)EVP_EncodeBlock(ret, bytes, (int)now);
		ret += now / 3 * 4;
		bytes += now;
		n -= now;
	}
	if (n == 0)
		return;
	(void)EVP_EncodeBlock(last, bytes, (int)n);
	memcpy(ret, last, 4);
}

static size_t
padding_len(const uint8_t *text, size_t len)
{
	if (len < 4 || text[len - 1] != '=')
		return 0;
	return text[len - 2] == '=' ? 2 : 1;
}

size_t
b64_decoded_len(const uint8_t *text, size_t len)
{
	return len / 4 * 3 - padding_len(text, len);
}

int
b64_decode(uint8_t *ret, const uint8_t *text, size_t len, size_t *ret_len)
{
	uint8_t piece[DECODE_PIECE / 4 * 3], last[4], again[4];
	size_t padding = padding_len(text, len), left, now, out;

	if (len % 4 != 0)
		return -EILSEQ;
	if (len == 0) {
		*ret_len = 0;
		return 0;
	}
	if (memchr(text, '=', len - padding) != NULL)
		return -EILSEQ;
	*ret_len = left = b64_decoded_len(text, len);
	memcpy(last, text + len - 4, 4); // decoding in place overwrites it
	// Through a small block: that EVP_DecodeBlock works in place is true
	// today, but promised nowhere.
	for (; len > 0; len -= now, text += now) {
		now = len < DECODE_PIECE ? len : DECODE_PIECE;
		// Less comes out when it skipped white space at an end.
		if (EVP_DecodeBlock(piece, text, (int)now) !=
		    (int)(now / 4 * 3))
			return -EILSEQ;
		out = now / 4 * 3 < left ? now / 4 * 3 : left;
		memcpy(ret, piece, out);
		ret += out;
		left -= out;
	}
	b64_encode(again, ret - (3 - padding), 3 - padding);
	return memcmp(again, last, 4) == 0 ? 0 : -EILSEQ;
}
