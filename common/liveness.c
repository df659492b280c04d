// The one formula, for the node that proves and the one that checks.  It is
// given a shared secret and must leave nothing of it on the stack.
#include "common/liveness.h"

#include <sodium.h>

enum { STACK_BYTES = 4096 }; // what the two MACs may have left below us

static void
derive_key(const uint8_t *shared, const uint8_t *ephemeral_key,
    const uint8_t *inference_key, uint8_t *ret)
{
	static const uint8_t domain[] = "meshllm-live-v2"; // with its zero
	crypto_auth_hmacsha256_state state;

	(void)crypto_auth_hmacsha256_init(&state, shared, 32);
	(void)crypto_auth_hmacsha256_update(&state, domain, sizeof(domain));
	(void)crypto_auth_hmacsha256_update(
	    &state, ephemeral_key, INFERENCE_KEY_LEN);
	(void)crypto_auth_hmacsha256_update(
	    &state, inference_key, INFERENCE_KEY_LEN);
	(void)crypto_auth_hmacsha256_final(&state, ret);
	sodium_memzero(&state, sizeof(state));
}

void
liveness_mac(const uint8_t shared[static 32],
    const uint8_t ephemeral_key[static INFERENCE_KEY_LEN],
    const uint8_t inference_key[static INFERENCE_KEY_LEN],
    const uint8_t hash[static LIVENESS_HASH_LEN],
    uint8_t scratch[static LIVENESS_KEY_LEN],
    uint8_t ret[static LIVENESS_MAC_LEN])
{
	derive_key(shared, ephemeral_key, inference_key, scratch);
	(void)crypto_auth_hmacsha256(ret, hash, LIVENESS_HASH_LEN, scratch);
	sodium_memzero(scratch, LIVENESS_KEY_LEN);
	sodium_stackzero(STACK_BYTES);
}
