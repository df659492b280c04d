// Judges one node's evidence by this node's trust store.  The evidence is a
// peer's; the level is ours.  Fails to the lowest level, whatever goes wrong.
#include "attestd/level.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attestd/blob_cache.h"
#include "attestd/p256.h"
#include "common/hex.h"

void
level_say(struct verdict *v, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(v->reason, sizeof(v->reason), format, args);
	va_end(args);
}

void
level_add(struct verdict *v, const char *format, ...)
{
	size_t len = strlen(v->reason);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(v->reason + len, sizeof(v->reason) - len, format, args);
	va_end(args);
}

void
level_take_better(struct verdict *v, const struct verdict *second)
{
	if (second->level >= v->level)
		*v = *second;
	else
		level_add(v, "; %s", second->reason);
}

static const char *const names[] = {
	[LEVEL_NONE] = "none",
	[LEVEL_SELF_SIGNED] = "self-signed",
	[LEVEL_TOFU] = "tofu",
	[LEVEL_PINNED] = "pinned",
	[LEVEL_HARDWARE] = "hardware",
};

const char *
level_name(enum level level)
{
	return names[level];
}

int
level_find(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

int
level_blob_key(const struct blob *blob, uint8_t ret[static TRUST_ID_LEN])
{
	uint8_t point[P256_POINT_LEN], full[P256_POINT_LEN];
	EVP_PKEY *key;
	size_t len;
	int ok;

	if (sodium_base642bin(point, sizeof(point), blob->se_key.at,
		blob->se_key.len, NULL, &len, NULL,
		sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    len == 0 || p256_key(point, len, &key) < 0)
		return -EBADMSG;
	// One key has one name, however its point was written.
	ok = EVP_PKEY_set_utf8_string_param(
		 key, "point-format", "uncompressed") == 1 &&
	    EVP_PKEY_get_octet_string_param(
		key, "pub", full, sizeof(full), &len) == 1 &&
	    len == sizeof(full) &&
	    EVP_Digest(full, sizeof(full), ret, NULL, EVP_sha256(), NULL) == 1;
	EVP_PKEY_free(key);
	return ok ? 0 : -EBADMSG;
}

static void
key_changed(
    struct verdict *v, const uint8_t *was, const uint8_t *is, const char *what)
{
	char old[17], new[17];

	hex_encode(old, was, 8);
	hex_encode(new, is, 8);
	v->level = LEVEL_NONE;
	level_say(v,
	    "THE ATTESTATION KEY OF THIS HOST HAS CHANGED: %s %s, now %s. "
	    "Somebody may be posing as it. If you know why it changed: meshllm "
	    "trust unpin NODE",
	    what, old, new);
}

// The operator has said so after it was seen.
static bool
is_forgotten(const struct trust_store *store, const struct trust_line *seen)
{
	const struct trust_line *forget =
	    trust_find(&store->decided, TRUST_FORGET, seen->id);

	return forget != NULL && forget->time >= seen->time &&
	    memcmp(forget->key, seen->key, TRUST_ID_LEN) == 0;
}

static void
first_use(struct trust_store *store, const uint8_t *node, const uint8_t *key,
    uint64_t now_ms, struct verdict *ret)
{
	const struct trust_line *seen =
	    trust_find(&store->seen, TRUST_SEEN, node);
	int r;

	if (seen != NULL && memcmp(seen->key, key, TRUST_ID_LEN) != 0 &&
	    is_forgotten(store, seen)) {
		(void)trust_remove(&store->seen, TRUST_SEEN, node);
		seen = NULL;
	}
	if (seen != NULL && memcmp(seen->key, key, TRUST_ID_LEN) != 0) {
		key_changed(ret, seen->key, key, "first seen was");
		return;
	}
	ret->level = LEVEL_TOFU;
	level_say(ret,
	    "the key is the one seen first; you have not named it (meshllm "
	    "trust pin)");
	if (seen != NULL)
		return;
	r = trust_store_see(store, node, key, now_ms / 1000);
	if (r == 0)
		return;
	ret->level = LEVEL_SELF_SIGNED;
	if (store->is_read_only) {
		level_say(ret, "the key is new to this node");
		return;
	}
	level_say(ret, "the key is new, and it could not be remembered: %s",
	    r == -EAGAIN ? "too many new keys came at once"
			 : strerrordesc_np(-r));
}

void
level_of_key(struct trust_store *store, const uint8_t node[static 32],
    const uint8_t key[static TRUST_ID_LEN], uint64_t now_ms,
    struct verdict *ret)
{
	const struct trust_line *pin =
	    trust_find(&store->decided, TRUST_PIN, node);

	ret->level = LEVEL_NONE;
	if (store->is_damaged) {
		level_say(ret,
		    "the trust file of this node is damaged, line "
		    "%zu",
		    store->bad_line);
		return;
	}
	if (trust_is_revoked(store, node) || trust_is_revoked(store, key)) {
		level_say(ret, "revoked here: %s",
		    trust_is_revoked(store, key) ? "its attestation key"
						 : "the node");
		return;
	}
	if (pin != NULL && memcmp(pin->key, key, TRUST_ID_LEN) != 0) {
		key_changed(ret, pin->key, key, "pinned is");
		return;
	}
	if (pin == NULL &&
	    trust_find(&store->decided, TRUST_ALLOW_KEY, key) == NULL) {
		first_use(store, node, key, now_ms, ret);
		return;
	}
	ret->level = LEVEL_PINNED;
	level_say(ret,
	    "the key is the one you named; no TPM has shown that it "
	    "holds it");
}

const char *
level_blob_problem(enum blob_status status)
{
	switch (status) {
	case BLOB_NONE:
		return "the evidence cannot be read";
	case BLOB_INVALID_SIGNATURE:
		return "the evidence's signature is wrong";
	case BLOB_MISMATCHED_NODE_ID:
		return "the evidence is another node's";
	case BLOB_MISMATCHED_INFERENCE_KEY:
		return "the evidence vouches for another inference key";
	case BLOB_INSECURE_POSTURE:
		return "the host says that it is not locked down (secure boot, "
		       "kernel lockdown, RDMA)";
	case BLOB_EXPIRED:
		return "the evidence is too old, or our clocks differ";
	case BLOB_UNBLESSED_BINARY:
		return "unblessed: the host's program is not on your list";
	case BLOB_VERIFIED:
		break;
	}
	return "";
}

// The host's program as the list has it, or not in it: as a list of one name,
// or none.
static void
set_blessed(const struct trust_store *store, const struct blob *blob,
    const char *const list[1], char name[static 2 * TRUST_ID_LEN + 1],
    struct blob_expected *e)
{
	uint8_t image[TRUST_ID_LEN];

	if (trust_find(&store->decided, TRUST_IMAGE, NULL) == NULL)
		return;
	e->blessed = list;
	if (hex_decode(blob->binary_hash.at, blob->binary_hash.len, image,
		sizeof(image)) < 0 ||
	    trust_find(&store->decided, TRUST_IMAGE, image) == NULL)
		return;
	hex_encode(name, image, sizeof(image));
	e->n_blessed = 1;
}

enum blob_status
level_blob_status(struct trust_store *store, const struct level_question *q,
    const struct blob *blob, bool is_signed)
{
	char node[ENDPOINT_ID_HEX_LEN + 1];
	char key[sodium_base64_ENCODED_LEN(
	    INFERENCE_KEY_LEN, sodium_base64_VARIANT_ORIGINAL)];
	char image[2 * TRUST_ID_LEN + 1];
	const char *const images[] = { image };
	struct blob_expected e = { .node_id = node,
		.inference_key = key,
		.max_age_seconds = BLOB_MAX_AGE_SECONDS };

	hex_endpoint_id(q->node, node);
	(void)sodium_bin2base64(key, sizeof(key), q->inference_key,
	    INFERENCE_KEY_LEN, sodium_base64_VARIANT_ORIGINAL);
	e.now.seconds = (int64_t)(q->now_ms / 1000);
	e.now.nanoseconds = (uint32_t)(q->now_ms % 1000) * 1000000;
	set_blessed(store, blob, images, image, &e);
	return blob_verify_signed(blob, &e, is_signed);
}

// Not longer than the evidence itself is good for.
static void
set_expiry(const struct blob *blob, uint64_t now_ms, struct verdict *v)
{
	struct rfc3339_time made;
	uint64_t end;

	v->expires_ms = now_ms + LEVEL_VERDICT_MS;
	if (v->level == LEVEL_NONE ||
	    rfc3339_parse(blob->timestamp.at, blob->timestamp.len, &made) < 0)
		return;
	v->made_ms = (uint64_t)made.seconds * 1000 + made.nanoseconds / 1000000;
	end = (uint64_t)(made.seconds + BLOB_MAX_AGE_SECONDS + 1) * 1000 +
	    made.nanoseconds / 1000000;
	if (end < v->expires_ms)
		v->expires_ms = end;
}

static void
judge(struct trust_store *store, const struct level_question *q,
    const struct blob *blob, struct verdict *ret)
{
	struct blob_facts facts;
	enum blob_status status;

	blob_facts_find(q->cache, q->blob, q->blob_len, blob, &facts);
	status = level_blob_status(store, q, blob, facts.is_signed);
	if (status != BLOB_VERIFIED)
		level_say(ret, "%s", level_blob_problem(status));
	else
		level_of_key(store, q->node, facts.key, q->now_ms, ret);
	set_expiry(blob, q->now_ms, ret);
}

void
level_of_blob(struct trust_store *store, const struct level_question *q,
    struct verdict *ret)
{
	struct blob blob;

	*ret = (struct verdict){ .level = LEVEL_NONE,
		.expires_ms = q->now_ms + LEVEL_VERDICT_MS };
	if (q->blob == NULL) {
		level_say(ret, "the host has sent no evidence");
		return;
	}
	if (blob_parse(q->blob, q->blob_len, &blob) < 0) {
		level_say(ret, "%s", level_blob_problem(BLOB_NONE));
		return;
	}
	judge(store, q, &blob, ret);
	blob_done(&blob);
}
