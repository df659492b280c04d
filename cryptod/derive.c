// X25519 and the request key made from it.  The public key may come from
// anybody.  libsodium's crypto_box_beforenm leaves the shared secret on the
// stack, so it is done here in two steps with memory of the caller.  No
// secret may be left on the stack by any of these functions.
#include "cryptod/derive.h"

#include <sodium.h>

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

void
derive_key_pair(uint8_t ret_secret[static X25519_SECRET_LEN],
    uint8_t ret_public[static INFERENCE_KEY_LEN])
{
	// Cannot fail: any 32 bytes are a secret key.
	(void)crypto_box_keypair(ret_public, ret_secret);
	sodium_stackzero(DERIVE_STACK_BYTES);
}
