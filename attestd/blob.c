// Parses and judges what a peer claims about itself, byte for byte and in the
// order of the old network, so that both come to the same result.  Trusts
// nothing in it; a good result says only that one key signed these claims.
#include "attestd/blob.h"

#include <stddef.h>
#include <string.h>

#include "attestd/p256.h"

enum kind { TEXT, U64, BOOL };

static const struct field {
	const char *name;
	enum kind kind;
	size_t offset;
} fields[] = {
	// The order of the signed bytes.
	{ "chip_name", TEXT, offsetof(struct blob, chip_name) },
	{ "hardware_model", TEXT, offsetof(struct blob, hardware_model) },
	{ "unified_memory_bytes", U64, offsetof(struct blob, memory_bytes) },
	{ "sip_enabled", BOOL, offsetof(struct blob, sip_enabled) },
	{ "secure_boot_enabled", BOOL,
	    offsetof(struct blob, secure_boot_enabled) },
	{ "rdma_disabled", BOOL, offsetof(struct blob, rdma_disabled) },
	{ "node_endpoint_id", TEXT, offsetof(struct blob, node_id) },
	{ "inference_public_key", TEXT, offsetof(struct blob, inference_key) },
	{ "se_public_key", TEXT, offsetof(struct blob, se_key) },
	{ "binary_hash", TEXT, offsetof(struct blob, binary_hash) },
	{ "timestamp", TEXT, offsetof(struct blob, timestamp) },
};

enum { ALL_FIELDS = (1 << N_ELEMENTS(fields)) - 1 };

static const char domain[] = "mesh-llm-hardware-attestation-v1:";
static const char challenge_domain[] = "mesh-llm-challenge-v1:";

struct parsing {
	struct json_in in;
	struct blob *blob;
	char *room; // not yet used part of the blob's
};

// Each string takes its part of the room, which has the size of the text.
static int
take_string(struct parsing *p, struct json_in_text *ret)
{
	int r = json_in_string(&p->in, p->room, ret);

	if (r == 0)
		p->room += ret->len;
	return r;
}

static int
read_field(struct parsing *p, const struct field *f)
{
	char *at = (char *)p->blob + f->offset;

	switch (f->kind) {
	case TEXT:
		return take_string(p, (struct json_in_text *)(void *)at);
	case U64:
		return json_in_u64(&p->in, (uint64_t *)(void *)at);
	case BOOL:
		return json_in_bool(&p->in, (bool *)at);
	}
	return -EBADMSG;
}

static int
read_member(struct parsing *p, struct json_in_text name, unsigned *seen)
{
	for (size_t i = 0; i < N_ELEMENTS(fields); i++) {
		if (!json_in_text_is(name, fields[i].name))
			continue;
		if ((*seen & 1u << i) != 0)
			return -EBADMSG;
		*seen |= 1u << i;
		return read_field(p, &fields[i]);
	}
	return json_in_skip(&p->in, p->room);
}

static int
read_claims(struct parsing *p)
{
	struct json_in_text name;
	unsigned seen = 0;
	bool more = true;
	int r = json_in_object(&p->in);

	for (bool first = true; r == 0; first = false) {
		r = json_in_member(&p->in, first, p->room, &name, &more);
		if (r < 0 || !more)
			break;
		r = read_member(p, name, &seen);
	}
	return r == 0 && seen != ALL_FIELDS ? -EBADMSG : r;
}

static int
read_blob(struct parsing *p)
{
	bool has_claims = false, has_signature = false, more = true;
	struct json_in_text name;
	int r = json_in_object(&p->in);

	for (bool first = true; r == 0; first = false) {
		r = json_in_member(&p->in, first, p->room, &name, &more);
		if (r < 0 || !more)
			break;
		if (json_in_text_is(name, "attestation")) {
			r = has_claims ? -EBADMSG : read_claims(p);
			has_claims = true;
		} else if (json_in_text_is(name, "signature")) {
			r = has_signature ? -EBADMSG
					  : take_string(p, &p->blob->signature);
			has_signature = true;
		} else {
			r = json_in_skip(&p->in, p->room);
		}
	}
	if (r == 0)
		r = json_in_end(&p->in);
	return r == 0 && !(has_claims && has_signature) ? -EBADMSG : r;
}

int
blob_parse(const void *json, size_t len, struct blob *ret)
{
	struct parsing p = { .blob = ret };
	int r;

	if (len == 0 || len > BLOB_MAX)
		return -EBADMSG;
	if ((ret->room = malloc(len)) == NULL)
		return -ENOMEM;
	p.room = ret->room;
	r = json_in_init(&p.in, json, len);
	if (r == 0)
		r = read_blob(&p);
	if (r < 0)
		blob_done(ret);
	return r;
}

void
blob_done(struct blob *blob)
{
	free(blob->room);
	blob->room = NULL;
}

static uint8_t *
put(uint8_t *at, const void *bytes, size_t len)
{
	if (len != 0)
		memcpy(at, bytes, len);
	return at + len;
}

static uint8_t *
put_le(uint8_t *at, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*at++ = (uint8_t)(value >> 8 * i);
	return at;
}

static uint8_t *
put_text(uint8_t *at, const char *text, size_t len)
{
	return put(put_le(at, len, 4), text, len);
}

static uint8_t *
put_field(uint8_t *at, const struct blob *blob, const struct field *f)
{
	const char *value = (const char *)blob + f->offset;
	const struct json_in_text *text;

	switch (f->kind) {
	case TEXT:
		text = (const struct json_in_text *)(const void *)value;
		return put_text(at, text->at, text->len);
	case U64:
		return put_le(at, *(const uint64_t *)(const void *)value, 8);
	case BOOL:
		return put_le(at, *(const bool *)value ? 1 : 0, 1);
	}
	return at;
}

int
blob_canonical(const struct blob *blob, uint8_t **ret, size_t *ret_len)
{
	size_t size = sizeof(domain) + N_ELEMENTS(fields) * 8;
	uint8_t *bytes, *at;

	for (size_t i = 0; i < N_ELEMENTS(fields); i++)
		if (fields[i].kind == TEXT)
			size +=
			    ((const struct json_in_text *)(const void
				     *)((const char *)blob + fields[i].offset))
				->len;
	if ((bytes = malloc(size)) == NULL)
		return -ENOMEM;
	at = put(bytes, domain, sizeof(domain) - 1);
	for (size_t i = 0; i < N_ELEMENTS(fields); i++)
		at = put_field(at, blob, &fields[i]);
	*ret = bytes;
	*ret_len = (size_t)(at - bytes);
	return 0;
}

bool
blob_is_signed(const struct blob *blob)
{
	uint8_t *bytes;
	size_t len;
	int r;

	if (blob_canonical(blob, &bytes, &len) < 0)
		return false;
	r = p256_verify_texts(blob->se_key.at, blob->se_key.len,
	    blob->signature.at, blob->signature.len, bytes, len);
	free(bytes);
	return r == 0;
}

static bool
is_in_time(const struct blob *blob, const struct blob_expected *e)
{
	struct rfc3339_time made;
	int64_t age;

	if (rfc3339_parse(blob->timestamp.at, blob->timestamp.len, &made) < 0)
		return false;
	age = rfc3339_seconds_between(e->now, made);
	return age >= -BLOB_MAX_AHEAD_SECONDS && age <= e->max_age_seconds;
}

static bool
is_blessed(const struct blob *blob, const struct blob_expected *e)
{
	for (size_t i = 0; i < e->n_blessed; i++)
		if (json_in_text_is(blob->binary_hash, e->blessed[i]))
			return true;
	return e->blessed == NULL;
}

enum blob_status
blob_verify_signed(
    const struct blob *blob, const struct blob_expected *e, bool is_signed)
{
	if (!is_signed)
		return BLOB_INVALID_SIGNATURE;
	if (!json_in_text_is(blob->node_id, e->node_id))
		return BLOB_MISMATCHED_NODE_ID;
	if (!json_in_text_is(blob->inference_key, e->inference_key))
		return BLOB_MISMATCHED_INFERENCE_KEY;
	if (!blob->sip_enabled || !blob->secure_boot_enabled ||
	    !blob->rdma_disabled)
		return BLOB_INSECURE_POSTURE;
	if (!is_in_time(blob, e))
		return BLOB_EXPIRED;
	if (!is_blessed(blob, e))
		return BLOB_UNBLESSED_BINARY;
	return BLOB_VERIFIED;
}

enum blob_status
blob_verify(const struct blob *blob, const struct blob_expected *e)
{
	return blob_verify_signed(blob, e, blob_is_signed(blob));
}

enum blob_status
blob_check(const void *json, size_t len, const struct blob_expected *e)
{
	enum blob_status status;
	struct blob blob;

	if (e->inference_key == NULL || blob_parse(json, len, &blob) < 0)
		return BLOB_NONE;
	status = blob_verify(&blob, e);
	blob_done(&blob);
	return status;
}

const char *
blob_status_name(enum blob_status status)
{
	static const char *const names[] = {
		[BLOB_NONE] = "none",
		[BLOB_INVALID_SIGNATURE] = "invalid-signature",
		[BLOB_MISMATCHED_NODE_ID] = "mismatched-node-id",
		[BLOB_MISMATCHED_INFERENCE_KEY] = "mismatched-inference-key",
		[BLOB_INSECURE_POSTURE] = "insecure-posture",
		[BLOB_EXPIRED] = "expired",
		[BLOB_UNBLESSED_BINARY] = "unblessed",
		[BLOB_VERIFIED] = "verified",
	};

	return names[status];
}

int
challenge_canonical(const char *key_text, const uint8_t *nonce,
    size_t nonce_len, uint8_t **ret, size_t *ret_len)
{
	size_t key_len = strlen(key_text);
	uint8_t *bytes, *at;

	bytes = malloc(sizeof(challenge_domain) + 4 + key_len + nonce_len);
	if (bytes == NULL)
		return -ENOMEM;
	at = put(bytes, challenge_domain, sizeof(challenge_domain) - 1);
	at = put_text(at, key_text, key_len);
	at = put(at, nonce, nonce_len);
	*ret = bytes;
	*ret_len = (size_t)(at - bytes);
	return 0;
}

bool
challenge_is_signed(const char *key_text, const char *signature_text,
    const uint8_t *nonce, size_t nonce_len)
{
	uint8_t *bytes;
	size_t len;
	int r;

	if (challenge_canonical(key_text, nonce, nonce_len, &bytes, &len) < 0)
		return false;
	r = p256_verify_texts(key_text, strlen(key_text), signature_text,
	    strlen(signature_text), bytes, len);
	free(bytes);
	return r == 0;
}
