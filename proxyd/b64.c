// Strict base64: 32 characters at a time where the CPU can, else sixteen, and
// the end of a text through OpenSSL's lax block functions.
//
// The text comes from a peer and is trusted with nothing: EVP_DecodeBlock
// takes white space at both ends, '=' anywhere and stray bits, so all of that
// is looked at here.  It must never write beyond the exact decoded length.
#include "proxyd/b64.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/evp.h>

enum {
	BLOCK_CHARS = 16,
	BLOCK_BYTES = 12,
	ENCODE_PIECE = 3 * 4096,
	DECODE_PIECE = 4 * 1024,
	// The lanes below are in this order in memory.
	HAS_BLOCKS = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
};

// Vectors of gcc and clang, on any machine; no instructions of our choice.
// Twice as fast where bytes can be shuffled, which has to be asked for.
#if defined(__x86_64__) && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define HAS_WIDE 1
#endif
#endif

enum {
	WIDE_CHARS = 32,
	WIDE_BYTES = 24,
	WIDE_READ = 28, // bytes that are read to encode 24
};

typedef int8_t v16 __attribute__((vector_size(BLOCK_CHARS)));
typedef uint32_t v4 __attribute__((vector_size(BLOCK_CHARS)));

static inline uint32_t
get_group(const uint8_t *bytes)
{
	uint32_t group;

	memcpy(&group, bytes, sizeof(group));
	return be32toh(group);
}

// Reads one byte more than it encodes.
static void
encode_block(uint8_t *ret, const uint8_t *bytes)
{
	// Not by way of memory: a wide load waits for narrow stores.
	v4 x = { get_group(bytes), get_group(bytes + 3), get_group(bytes + 6),
		get_group(bytes + 9) };
	v16 c, low, high;

	x = (x >> 26) | ((x >> 12) & 0x3f00) | ((x << 2) & 0x3f0000) |
	    ((x << 16) & 0x3f000000);
	c = (v16)x;
	low = ((c < 26) & 'A') | (((c >= 26) & (c < 52)) & ('a' - 26));
	high = (((c >= 52) & (c < 62)) & ('0' - 52)) |
	    ((c == 62) & ('+' - 62)) | ((c == 63) & ('/' - 63));
	c += low | high;
	memcpy(ret, &c, sizeof(c));
}

// Writes one byte more than it decodes.  False: a character that is none.
static bool
decode_block(uint8_t *ret, const uint8_t *text)
{
	v16 c, upper, lower, digit, plus, slash;
	uint64_t valid[2];
	uint32_t group;
	v4 x;

	memcpy(&c, text, sizeof(c));
	upper = (c >= 'A') & (c <= 'Z');
	lower = (c >= 'a') & (c <= 'z');
	digit = (c >= '0') & (c <= '9');
	plus = c == '+';
	slash = c == '/';
	c += (upper & -'A') | (lower & (26 - 'a')) | (digit & (52 - '0')) |
	    (plus & (62 - '+')) | (slash & (63 - '/'));
	upper |= lower | digit | plus | slash;
	memcpy(valid, &upper, sizeof(valid));
	if ((valid[0] & valid[1]) != UINT64_MAX)
		return false;
	x = (v4)c;
	x = (x << 26) | ((x & 0x3f00) << 12) | ((x >> 2) & 0xfc000) |
	    ((x >> 16) & 0x3f00);
	for (size_t i = 0; i < 4; i++) {
		group = htobe32(x[i]);
		memcpy(ret + 3 * i, &group, sizeof(group));
	}
	return true;
}

#ifdef HAS_WIDE
typedef int8_t v32 __attribute__((vector_size(WIDE_CHARS)));
typedef uint32_t v8 __attribute__((vector_size(WIDE_CHARS)));

__attribute__((target("avx2"))) static inline void
encode_wide_block(uint8_t *ret, const uint8_t *bytes)
{
	v16 first, second;
	v32 c, low, high;
	v8 x;

	memcpy(&first, bytes, sizeof(first));
	memcpy(&second, bytes + 12, sizeof(second));
	// A group of three in each lane, its first byte highest.
	x = (v8)__builtin_shufflevector(first, second, 2, 1, 0, 0, 5, 4, 3, 3,
	    8, 7, 6, 6, 11, 10, 9, 9, 18, 17, 16, 16, 21, 20, 19, 19, 24, 23,
	    22, 22, 27, 26, 25, 25);
	x = ((x >> 18) & 0x3f) | ((x >> 4) & 0x3f00) | ((x << 10) & 0x3f0000) |
	    ((x << 24) & 0x3f000000);
	c = (v32)x;
	low = ((c < 26) & 'A') | (((c >= 26) & (c < 52)) & ('a' - 26));
	high = (((c >= 52) & (c < 62)) & ('0' - 52)) |
	    ((c == 62) & ('+' - 62)) | ((c == 63) & ('/' - 63));
	c += low | high;
	memcpy(ret, &c, sizeof(c));
}

// False: a character that is none.
__attribute__((target("avx2"))) static inline bool
decode_wide_block(uint8_t *ret, const uint8_t *text)
{
	v32 c, upper, lower, digit, plus, slash;
	uint64_t valid[4];
	v8 x;

	memcpy(&c, text, sizeof(c));
	upper = (c >= 'A') & (c <= 'Z');
	lower = (c >= 'a') & (c <= 'z');
	digit = (c >= '0') & (c <= '9');
	plus = c == '+';
	slash = c == '/';
	c += (upper & -'A') | (lower & (26 - 'a')) | (digit & (52 - '0')) |
	    (plus & (62 - '+')) | (slash & (63 - '/'));
	upper |= lower | digit | plus | slash;
	memcpy(valid, &upper, sizeof(valid));
	if ((valid[0] & valid[1] & valid[2] & valid[3]) != UINT64_MAX)
		return false;
	x = (v8)c;
	x = ((x & 0x3f) << 18) | ((x & 0x3f00) << 4) | ((x >> 10) & 0xfc0) |
	    ((x >> 24) & 0x3f);
	c = (v32)x;
	c = __builtin_shufflevector(c, c, 2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13,
	    12, 3, 3, 3, 3, 18, 17, 16, 22, 21, 20, 26, 25, 24, 30, 29, 28, 19,
	    19, 19, 19);
	memcpy(ret, &c, 16);
	memcpy(ret + 12, (const uint8_t *)&c + 16, 16);
	return true;
}

__attribute__((target("avx2"))) static size_t
encode_wide(uint8_t *ret, const uint8_t *bytes, size_t n)
{
	size_t done = 0;

	for (; n - done >= WIDE_READ; done += WIDE_BYTES, ret += WIDE_CHARS)
		encode_wide_block(ret, bytes + done);
	return done;
}

// Stops in front of what it does not know.
__attribute__((target("avx2"))) static size_t
decode_wide(uint8_t *ret, const uint8_t *text, size_t len)
{
	size_t done = 0;

	// What follows overwrites the bytes too many: there is another block.
	for (; len - done >= 2 * WIDE_CHARS;
	     done += WIDE_CHARS, ret += WIDE_BYTES)
		if (!decode_wide_block(ret, text + done))
			break;
	return done;
}
#endif

// How much is encoded by wide blocks, if they are there: a multiple of three.
static size_t
try_encode_wide(uint8_t *ret, const uint8_t *bytes, size_t n)
{
#ifdef HAS_WIDE
	if (__builtin_cpu_supports("avx2"))
		return encode_wide(ret, bytes, n);
#endif
	(void)ret;
	(void)bytes;
	(void)n;
	return 0;
}

static size_t
try_decode_wide(uint8_t *ret, const uint8_t *text, size_t len)
{
#ifdef HAS_WIDE
	if (__builtin_cpu_supports("avx2"))
		return decode_wide(ret, text, len);
#endif
	(void)ret;
	(void)text;
	(void)len;
	return 0;
}

void
b64_encode(uint8_t *ret, const uint8_t *bytes, size_t n)
{
	uint8_t last[5]; // EVP_EncodeBlock writes a NUL as well
	size_t now = try_encode_wide(ret, bytes, n);

	ret += now / 3 * 4;
	bytes += now;
	n -= now;
	for (; HAS_BLOCKS && n > BLOCK_BYTES; n -= BLOCK_BYTES) {
		encode_block(ret, bytes);
		ret += BLOCK_CHARS;
		bytes += BLOCK_BYTES;
	}
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

size_t
b64_decode_some(uint8_t *ret, const uint8_t *text, size_t len)
{
	size_t done = try_decode_wide(ret, text, len);

	for (; HAS_BLOCKS && len - done > BLOCK_CHARS; done += BLOCK_CHARS)
		if (!decode_block(ret + done / 4 * 3, text + done))
			break;
	return done;
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
	*ret_len = left = b64_decoded_len(text, len);
	memcpy(last, text + len - 4, 4); // decoding in place overwrites it
	now = try_decode_wide(ret, text, len);
	ret += now / 4 * 3;
	left -= now / 4 * 3;
	text += now;
	len -= now;
	// Not the last one: what follows overwrites its byte too many.
	for (; HAS_BLOCKS && len > BLOCK_CHARS; len -= BLOCK_CHARS) {
		if (!decode_block(ret, text))
			return -EILSEQ;
		ret += BLOCK_BYTES;
		left -= BLOCK_BYTES;
		text += BLOCK_CHARS;
	}
	if (memchr(text, '=', len - padding) != NULL)
		return -EILSEQ;
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
