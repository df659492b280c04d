// Reads and verifies ownership certificates.  The bytes are a stranger's:
// decoded within a fixed arena, every length checked, and what was signed is
// rebuilt from the members, never taken from the wire.
#include "gossipd/ownership.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "common/arena.h"
#include "proto/node.pb-c.h"

#define OWNERSHIP_DOMAIN "mesh-llm-node-ownership-v1:"

enum {
	CERT_VERSION = 1,
	ARENA_BYTES = 3 * OWNERSHIP_CERT_MAX,
	SIGNED_MAX = OWNERSHIP_CERT_MAX + 256, // lengths and domain on top
};

struct text {
	size_t len;
	uint8_t bytes[SIGNED_MAX];
};

static void
put(struct text *t, const void *bytes, size_t len)
{
	// Cannot overflow: the members came out of OWNERSHIP_CERT_MAX bytes.
	memcpy(t->bytes + t->len, bytes, len);
	t->len += len;
}

// Little-endian, of 4 or 8 bytes.
static void
put_number(struct text *t, uint64_t n, size_t size)
{
	uint8_t bytes[8] = { 0 };

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(n >> (8 * i));
	put(t, bytes, size);
}

static void
put_string(struct text *t, const char *s)
{
	size_t len = s == NULL ? 0 : strlen(s);

	put_number(t, len, 8);
	put(t, s == NULL ? "" : s, len);
}

static void
put_optional(struct text *t, const char *s)
{
	put_number(t, s != NULL, 1);
	if (s != NULL)
		put_string(t, s);
}

static void
rebuild(const Node__SignedNodeOwnership *c, struct text *ret)
{
	ret->len = 0;
	put(ret, OWNERSHIP_DOMAIN, sizeof(OWNERSHIP_DOMAIN) - 1);
	put_number(ret, c->version, 4);
	put_string(ret, c->cert_id);
	put_string(ret, c->owner_id);
	put(ret, c->owner_sign_public_key.data, OWNER_KEY_LEN);
	put(ret, c->node_endpoint_id.data, ENDPOINT_ID_LEN);
	put_number(ret, c->issued_at_unix_ms, 8);
	put_number(ret, c->expires_at_unix_ms, 8);
	put_optional(ret, c->node_label);
	put_optional(ret, c->hostname_hint);
}

static bool
owner_id_is_of_key(
    const Node__SignedNodeOwnership *c, uint8_t ret_id[static OWNER_ID_LEN])
{
	char hex[2 * OWNER_ID_LEN + 1];

	(void)crypto_hash_sha256(
	    ret_id, c->owner_sign_public_key.data, OWNER_KEY_LEN);
	(void)sodium_bin2hex(hex, sizeof(hex), ret_id, OWNER_ID_LEN);
	return c->owner_id != NULL && strcmp(c->owner_id, hex) == 0;
}

static enum ownership
verify(const Node__SignedNodeOwnership *c, const uint8_t *node_id,
    uint64_t now_unix_ms, uint8_t *ret_owner_id)
{
	uint8_t owner_id[OWNER_ID_LEN];
	struct text text;

	if (c->version != CERT_VERSION)
		return OWNERSHIP_UNSUPPORTED_PROTOCOL;
	if (c->node_endpoint_id.len != ENDPOINT_ID_LEN ||
	    memcmp(c->node_endpoint_id.data, node_id, ENDPOINT_ID_LEN) != 0)
		return OWNERSHIP_MISMATCHED_NODE_ID;
	if (c->owner_sign_public_key.len != OWNER_KEY_LEN ||
	    c->signature.len != SIGNATURE_LEN ||
	    !owner_id_is_of_key(c, owner_id))
		return OWNERSHIP_INVALID_SIGNATURE;
	rebuild(c, &text);
	if (crypto_sign_verify_detached(c->signature.data, text.bytes, text.len,
		c->owner_sign_public_key.data) != 0)
		return OWNERSHIP_INVALID_SIGNATURE;
	memcpy(ret_owner_id, owner_id, OWNER_ID_LEN);
	return c->expires_at_unix_ms <= now_unix_ms ? OWNERSHIP_EXPIRED
						    : OWNERSHIP_VERIFIED;
}

enum ownership
ownership_verify(const uint8_t *cert, size_t len,
    const uint8_t node_id[static ENDPOINT_ID_LEN], uint64_t now_unix_ms,
    uint8_t ret_owner_id[static OWNER_ID_LEN])
{
	_Alignas(ARENA_ALIGN) uint8_t room[ARENA_BYTES];
	struct arena arena = { .bytes = room, .size = sizeof(room) };
	ProtobufCAllocator allocator = arena_allocator(&arena);
	Node__SignedNodeOwnership *c;

	if (len == 0)
		return OWNERSHIP_NONE;
	if (len > OWNERSHIP_CERT_MAX)
		return OWNERSHIP_INVALID_SIGNATURE;
	c = node__signed_node_ownership__unpack(&allocator, len, cert);
	if (c == NULL)
		return OWNERSHIP_INVALID_SIGNATURE;
	return verify(c, node_id, now_unix_ms, ret_owner_id);
}

const char *
ownership_name(enum ownership status)
{
	static const char *const names[] = {
		[OWNERSHIP_NONE] = "unsigned",
		[OWNERSHIP_UNSUPPORTED_PROTOCOL] = "unsupported_protocol",
		[OWNERSHIP_MISMATCHED_NODE_ID] = "mismatched_node_id",
		[OWNERSHIP_INVALID_SIGNATURE] = "invalid_signature",
		[OWNERSHIP_EXPIRED] = "expired",
		[OWNERSHIP_VERIFIED] = "verified",
	};

	return names[status];
}
