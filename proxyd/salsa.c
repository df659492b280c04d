// Salsa20: sixteen blocks at a time where the CPU has AVX-512, all else by
// libsodium, which knows vectors of half the width and has no use for the
// rotations and the 32 registers of these.
//
// Additions, rotations and XOR only: nothing depends on what the bytes are.
// It must leave neither key nor key stream on the stack.
#include "proxyd/salsa.h"

#include <string.h>

#include <sodium.h>

#if defined(__x86_64__) && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define HAS_WIDE 1
#endif
#endif

#ifdef HAS_WIDE

enum {
	WORDS = 16,
	LANES = 16, // blocks
	WIDE_LEN = LANES * SALSA_BLOCK_LEN,
	DOUBLE_ROUNDS = 10,
	STACK_BYTES = 8 * 1024, // below salsa_xor(): its vectors, and copies
};

#define WIDE __attribute__((target("avx512f")))

typedef uint32_t v16 __attribute__((vector_size(4 * LANES)));

WIDE static inline void
quarter(v16 *x, size_t a, size_t b, size_t c, size_t d)
{
	v16 t;

	t = x[a] + x[d];
	x[b] ^= t << 7 | t >> 25;
	t = x[b] + x[a];
	x[c] ^= t << 9 | t >> 23;
	t = x[c] + x[b];
	x[d] ^= t << 13 | t >> 19;
	t = x[d] + x[c];
	x[a] ^= t << 18 | t >> 14;
}

WIDE static inline void
double_round(v16 *x)
{
	quarter(x, 0, 4, 8, 12);
	quarter(x, 5, 9, 13, 1);
	quarter(x, 10, 14, 2, 6);
	quarter(x, 15, 3, 7, 11);
	quarter(x, 0, 1, 2, 3);
	quarter(x, 5, 6, 7, 4);
	quarter(x, 10, 11, 8, 9);
	quarter(x, 15, 12, 13, 14);
}

// Of a pair of rows: the lanes with this bit of their number clear, and set.
#define CLEAR_1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define SET_1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#define CLEAR_2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define SET_2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define CLEAR_4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define SET_4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define CLEAR_8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define SET_8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31

#define EXCHANGE(x, bit, clear, set)                                       \
	for (size_t i = 0; i < WORDS; i++)                                 \
		if ((i & (bit)) == 0) {                                    \
			v16 one = (x)[i], two = (x)[i + (bit)];            \
                                                                           \
			(x)[i] = __builtin_shufflevector(one, two, clear); \
			(x)[i + (bit)] =                                   \
			    __builtin_shufflevector(one, two, set);        \
		}

// From a word of all blocks in each vector to all words of a block.
WIDE static inline void
transpose(v16 *x){ EXCHANGE(x, 1, CLEAR_1, SET_1) EXCHANGE(x, 2, CLEAR_2, SET_2)
	    EXCHANGE(x, 4, CLEAR_4, SET_4) EXCHANGE(x, 8, CLEAR_8, SET_8) }

WIDE static void xor_wide_block(
    uint8_t *bytes, const uint32_t *start, uint64_t block)
{
	v16 x[WORDS], first[WORDS], text;

	for (size_t i = 0; i < WORDS; i++)
		first[i] = (v16){ 0 } + start[i];
	for (size_t i = 0; i < LANES; i++) {
		first[8][i] = (uint32_t)(block + i);
		first[9][i] = (uint32_t)((block + i) >> 32);
	}
	memcpy(x, first, sizeof(x));
	for (size_t i = 0; i < DOUBLE_ROUNDS; i++)
		double_round(x);
	for (size_t i = 0; i < WORDS; i++)
		x[i] += first[i];
	transpose(x);
	for (size_t i = 0; i < LANES; i++) {
		memcpy(&text, bytes + i * sizeof(text), sizeof(text));
		text ^= x[i];
		memcpy(bytes + i * sizeof(text), &text, sizeof(text));
	}
}

// x86 has its words in the order that Salsa20 reads them in.
static void
put_start(uint32_t ret[static WORDS], const uint8_t *nonce, const uint8_t *key)
{
	static const char sigma[] = "expand 32-byte k";

	memset(ret, 0, WORDS * sizeof(*ret));
	memcpy(&ret[0], sigma, 4);
	memcpy(&ret[1], key, 16);
	memcpy(&ret[5], sigma + 4, 4);
	memcpy(&ret[6], nonce, SALSA_NONCE_LEN); // 8 and 9: the block
	memcpy(&ret[10], sigma + 8, 4);
	memcpy(&ret[11], key + 16, 16);
	memcpy(&ret[15], sigma + 12, 4);
}

static void
xor_wide(uint8_t *bytes, size_t n, const uint8_t *nonce, uint64_t block,
    const uint8_t *key)
{
	uint32_t start[WORDS];

	put_start(start, nonce, key);
	for (; n > 0; n -= WIDE_LEN, bytes += WIDE_LEN, block += LANES)
		xor_wide_block(bytes, start, block);
}
#endif

// How much that was.
static size_t
try_wide(uint8_t *bytes, size_t n, const uint8_t *nonce, uint64_t block,
    const uint8_t *key)
{
#ifdef HAS_WIDE
	n -= n % WIDE_LEN;
	if (n == 0 || !__builtin_cpu_supports("avx512f"))
		return 0;
	xor_wide(bytes, n, nonce, block, key);
	sodium_stackzero(STACK_BYTES);
	return n;
#else
	(void)bytes;
	(void)n;
	(void)nonce;
	(void)block;
	(void)key;
	return 0;
#endif
}

void
salsa_xor(uint8_t *bytes, size_t n, const uint8_t nonce[static SALSA_NONCE_LEN],
    uint64_t block, const uint8_t key[static SALSA_KEY_LEN])
{
	size_t done = try_wide(bytes, n, nonce, block, key);

	if (done < n)
		(void)crypto_stream_salsa20_xor_ic(bytes + done, bytes + done,
		    n - done, nonce, block + done / SALSA_BLOCK_LEN, key);
}
