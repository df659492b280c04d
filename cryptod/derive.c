// X25519 and the request key made from it.  The public key may come from
// anybody.  libsodium's crypto_box_beforenm leaves the shared secret on the
// stack, so it is done here in two steps with memory of the caller.  No
// secret may be left on the stack by any of these functions.
#include "cryptod/derive.h"

#include <sodium.h>

#include "cryptod/birational.h"

int
derive_shared(const uint8_t secret[static X25519_SECRET_LEN],
    const uint8_t public[static INFERENCE_KEY_LEN],
    uint8_t ret[static X25519_SHARED_LEN])
{
	int r = crypto_scalarmult(ret, secret, public);

	sodium_stackzero(DERIVE_STACK_BYTES);
	return r == 0 ? 0 : -EINVAL;
}

int
derive_request_key(const uint8_t secret[static X25519_SECRET_LEN],
    const uint8_t public[static INFERENCE_KEY_LEN],
    uint8_t scratch[static X25519_SHARED_LEN],
    uint8_t ret[static REQUEST_KEY_LEN])
{
	static const uint8_t zero[crypto_core_hsalsa20_INPUTBYTES] = { 0 };
	int r = derive_shared(secret, public, scratch);

	if (r == 0)
		(void)crypto_core_hsalsa20(ret, zero, scratch, NULL);
	sodium_memzero(scratch, X25519_SHARED_LEN);
	sodium_stackzero(DERIVE_STACK_BYTES);
	return r;
}

// The multiple of the fixed point is made on the Edwards form of the curve,
// for which libsodium has a table: half the price of its ladder, constant in
// time as well.  Only what is public already is brought back to curve25519.
static int
public_by_table(const uint8_t secret[static X25519_SECRET_LEN],
    uint8_t ret[static INFERENCE_KEY_LEN])
{
#ifdef HAS_BIRATIONAL
	// It clamps as X25519 does.
	if (crypto_scalarmult_ed25519_base(ret, secret) != 0)
		return -EINVAL;
	birational_u(ret, ret);
	return 0;
#else
	(void)secret;
	(void)ret;
	return -EOPNOTSUPP;
#endif
}

void
derive_public(const uint8_t secret[static X25519_SECRET_LEN],
    uint8_t ret[static INFERENCE_KEY_LEN])
{
	// Cannot fail: any 32 bytes are a secret key.
	if (public_by_table(secret, ret) < 0)
		(void)crypto_scalarmult_base(ret, secret);
	sodium_stackzero(DERIVE_STACK_BYTES);
}

void
derive_key_pair(uint8_t ret_secret[static X25519_SECRET_LEN],
    uint8_t ret_public[static INFERENCE_KEY_LEN])
{
	randombytes_buf(ret_secret, X25519_SECRET_LEN);
	derive_public(ret_secret, ret_public);
}
