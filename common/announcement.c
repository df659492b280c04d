// Signed announcements of inference keys: the bytes of common/announcement.h.
// Trusts nothing but the endpoint id it is given; the bytes come from the
// network.  It must never accept a key to which everybody knows the shared
// secret, and never looks at a clock: the caller brings the time.
#include "common/announcement.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

enum { ANNOUNCEMENT_VERSION = 1 };

static void
store64_le(uint8_t *p, uint64_t v)
{
	for (size_t i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t
load64_le(const uint8_t *p)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static void
encode_unsigned(
    const struct announcement *a, uint8_t ret[static ANNOUNCEMENT_UNSIGNED_LEN])
{
	ret[0] = ANNOUNCEMENT_VERSION;
	memcpy(ret + 1, a->inference_key, INFERENCE_KEY_LEN);
	store64_le(ret + 33, a->sequence);
	store64_le(ret + 41, a->not_before_ms);
	store64_le(ret + 49, a->not_after_ms);
}

static void
signed_bytes(const uint8_t unsigned_part[static ANNOUNCEMENT_UNSIGNED_LEN],
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN],
    uint8_t ret[static ANNOUNCEMENT_SIGNED_LEN])
{
	const size_t domain_len = sizeof(ANNOUNCEMENT_DOMAIN) - 1;

	memcpy(ret, ANNOUNCEMENT_DOMAIN, domain_len);
	memcpy(ret + domain_len, endpoint_id, ENDPOINT_ID_LEN);
	memcpy(ret + domain_len + ENDPOINT_ID_LEN, unsigned_part,
	    ANNOUNCEMENT_UNSIGNED_LEN);
}

// libsodium refuses the points for which every secret gives the same result,
// in all their encodings (RFC 7748, 6.1: the all-zero check).
static bool
is_small_order(const uint8_t key[static INFERENCE_KEY_LEN])
{
	static const uint8_t scalar[crypto_scalarmult_SCALARBYTES] = { 8 };
	uint8_t out[crypto_scalarmult_BYTES];

	return crypto_scalarmult(out, scalar, key) != 0;
}

bool
announcement_key_is_usable(const uint8_t key[static INFERENCE_KEY_LEN])
{
	return !is_small_order(key);
}

void
announcement_to_sign(const struct announcement *a,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN],
    uint8_t ret[static ANNOUNCEMENT_SIGNED_LEN])
{
	uint8_t part[ANNOUNCEMENT_UNSIGNED_LEN];

	encode_unsigned(a, part);
	signed_bytes(part, endpoint_id, ret);
}

void
announcement_encode(const struct announcement *a,
    const uint8_t signature[static SIGNATURE_LEN],
    uint8_t ret[static ANNOUNCEMENT_LEN])
{
	encode_unsigned(a, ret);
	memcpy(ret + ANNOUNCEMENT_UNSIGNED_LEN, signature, SIGNATURE_LEN);
}

int
announcement_open(const uint8_t *bytes, size_t len,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN], struct announcement *ret)
{
	uint8_t message[ANNOUNCEMENT_SIGNED_LEN];

	if (len != ANNOUNCEMENT_LEN || bytes[0] != ANNOUNCEMENT_VERSION)
		return -EBADMSG;
	if (is_small_order(bytes + 1))
		return -EBADMSG;
	signed_bytes(bytes, endpoint_id, message);
	if (crypto_sign_verify_detached(bytes + ANNOUNCEMENT_UNSIGNED_LEN,
		message, sizeof(message), endpoint_id) != 0)
		return -EACCES;
	memcpy(ret->inference_key, bytes + 1, INFERENCE_KEY_LEN);
	ret->sequence = load64_le(bytes + 33);
	ret->not_before_ms = load64_le(bytes + 41);
	ret->not_after_ms = load64_le(bytes + 49);
	return 0;
}

int
announcement_check_time(const struct announcement *a, uint64_t now_ms)
{
	if (a->not_after_ms < a->not_before_ms)
		return -ETIME;
	if (now_ms < a->not_before_ms &&
	    a->not_before_ms - now_ms > ANNOUNCEMENT_SKEW_MS)
		return -ETIME;
	if (now_ms > a->not_after_ms &&
	    now_ms - a->not_after_ms > ANNOUNCEMENT_SKEW_MS)
		return -ETIME;
	return 0;
}
