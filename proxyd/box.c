// XSalsa20-Poly1305 in pieces.  Poly1305 is OpenSSL's, which is three times as
// fast as libsodium's; a piece is enciphered and authenticated while it is in
// the cache.  The key is trusted to be good for one nonce; it must be gone
// when the box is.
#include "proxyd/box.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <sodium.h>

enum {
	PIECE_LEN = 256 * SALSA_BLOCK_LEN,
	MAC_KEY_LEN = 32, // the first bytes of the key stream
};

// Static: made once, without a secret.
static EVP_MAC *poly1305;

int
box_prepare(void)
{
	if (poly1305 != NULL)
		return 0;
	// Its clean-up at exit would make system calls of its own (3.5: futex).
	if (OPENSSL_init_crypto(
		OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) !=
	    1)
		return -ENOMEM;
	poly1305 = EVP_MAC_fetch(NULL, "POLY1305", NULL);
	return poly1305 == NULL ? -ENOMEM : 0;
}

// With the key stream from that block of it on.
static void
xor_stream(const struct box *b, uint8_t *bytes, size_t n, uint64_t block)
{
	(void)crypto_stream_salsa20_xor_ic(
	    bytes, bytes, n, b->nonce, block, b->key);
}

int
box_init(struct box *b, const uint8_t key[static REQUEST_KEY_LEN],
    const uint8_t nonce[static BOX_NONCE_LEN])
{
	int r = box_prepare();

	*b = (struct box){ .at = MAC_KEY_LEN };
	if (r < 0 || (b->mac = EVP_MAC_CTX_new(poly1305)) == NULL)
		return -ENOMEM;
	(void)crypto_core_hsalsa20(b->key, nonce, key, NULL);
	memcpy(
	    b->nonce, nonce + BOX_NONCE_LEN - SALSA_NONCE_LEN, SALSA_NONCE_LEN);
	xor_stream(b, b->block, sizeof(b->block), 0);
	r = EVP_MAC_init(b->mac, b->block, MAC_KEY_LEN, NULL) == 1 ? 0
								   : -ENOMEM;
	sodium_memzero(b->block, MAC_KEY_LEN);
	if (r < 0)
		box_done(b);
	return r;
}

// Of one block; returns how many bytes.
static size_t
xor_part(struct box *b, uint8_t *bytes, size_t n)
{
	size_t at = b->at % SALSA_BLOCK_LEN, left = SALSA_BLOCK_LEN - at;

	if (at == 0) {
		memset(b->block, 0, sizeof(b->block));
		xor_stream(
		    b, b->block, sizeof(b->block), b->at / SALSA_BLOCK_LEN);
	}
	n = n < left ? n : left;
	for (size_t i = 0; i < n; i++)
		bytes[i] ^= b->block[at + i];
	return n;
}

static void
xor_piece(struct box *b, uint8_t *bytes, size_t n)
{
	size_t now;

	for (; n > 0; n -= now, bytes += now, b->at += now) {
		if (b->at % SALSA_BLOCK_LEN != 0 || n < SALSA_BLOCK_LEN) {
			now = xor_part(b, bytes, n);
			continue;
		}
		now = n - n % SALSA_BLOCK_LEN;
		xor_stream(b, bytes, now, b->at / SALSA_BLOCK_LEN);
	}
}

#ifdef __x86_64__
__attribute__((target("avx"))) static void
clear_upper(void)
{
	_mm256_zeroupper();
}
#endif

// OpenSSL's Poly1305 leaves the upper halves of the vector registers in use,
// and all code without AVX then has to preserve them: a scan of JSON took six
// times as long.
static void
leave_vectors(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx"))
		clear_upper();
#endif
}

static void
authenticate(struct box *b, const uint8_t *bytes, size_t n)
{
	b->is_broken |= EVP_MAC_update(b->mac, bytes, n) != 1;
	leave_vectors();
}

void
box_seal(struct box *b, uint8_t *bytes, size_t n)
{
	for (size_t now; n > 0; n -= now, bytes += now) {
		now = n < PIECE_LEN ? n : PIECE_LEN;
		xor_piece(b, bytes, now);
		authenticate(b, bytes, now);
	}
}

void
box_open(struct box *b, uint8_t *bytes, size_t n)
{
	for (size_t now; n > 0; n -= now, bytes += now) {
		now = n < PIECE_LEN ? n : PIECE_LEN;
		authenticate(b, bytes, now);
		xor_piece(b, bytes, now);
	}
}

int
box_tag(struct box *b, uint8_t ret[static BOX_TAG_LEN])
{
	size_t len;
	// It wipes its state.
	bool is_made =
	    EVP_MAC_final(b->mac, ret, &len, BOX_TAG_LEN) == 1 && !b->is_broken;

	leave_vectors();
	EVP_MAC_CTX_free(b->mac);
	b->mac = NULL; // where nothing is wiped (bare builds), too
	sodium_memzero(b, sizeof(*b));
	b->mac = NULL; // a bare build wipes nothing
	return is_made ? 0 : -EIO;
}

int
box_check(struct box *b, const uint8_t tag[static BOX_TAG_LEN])
{
	uint8_t own[BOX_TAG_LEN];
	int r = box_tag(b, own);

	if (r == 0 && sodium_memcmp(own, tag, sizeof(own)) != 0)
		r = -EBADMSG;
	sodium_memzero(own, sizeof(own));
	return r == 0 ? 0 : -EBADMSG;
}

void
box_done(struct box *b)
{
	uint8_t tag[BOX_TAG_LEN];

	if (b->mac != NULL)
		(void)!box_tag(b, tag);
	sodium_memzero(b, sizeof(*b));
}
