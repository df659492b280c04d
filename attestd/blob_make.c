// Says of this node what was measured, in the old network's words.  The old
// network has no word for unknown: it is written as false.  Texts are ours
// and need no escape; machine.c sees to it.
#include "attestd/blob_make.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "attestd/blob.h"
#include "common/hex.h"

enum { VARIANT = sodium_base64_VARIANT_ORIGINAL };

struct texts {
	char node[ENDPOINT_ID_HEX_LEN + 1];
	char key[sodium_base64_ENCODED_LEN(INFERENCE_KEY_LEN, VARIANT)];
	char point[sodium_base64_ENCODED_LEN(P256_POINT_LEN, VARIANT)];
	char signature[sodium_base64_ENCODED_LEN(P256_DER_MAX, VARIANT)];
	char time[RFC3339_TEXT_LEN + 1];
};

static struct json_in_text
text(const char *s)
{
	return (struct json_in_text){ s, strlen(s) };
}

static const char *
chip_name(const struct attester *a)
{
	return attester_kind_of(a) == ATTESTER_TPM2
	    ? "TPM 2.0"
	    : "software key (development)";
}

static void
fill(const struct attester *a, const struct blob_claims *c, struct texts *t,
    struct blob *ret)
{
	struct rfc3339_time now = { (int64_t)(c->now_ms / 1000),
		(uint32_t)(c->now_ms % 1000) * 1000000 };

	hex_endpoint_id(c->endpoint_id, t->node);
	(void)sodium_bin2base64(t->key, sizeof(t->key), c->inference_key,
	    INFERENCE_KEY_LEN, VARIANT);
	rfc3339_format(now, t->time);
	*ret = (struct blob){
		.chip_name = text(chip_name(a)),
		.hardware_model = text(c->machine->model),
		.memory_bytes = c->machine->memory_bytes,
		.sip_enabled = machine_is_locked_down(c->machine),
		.secure_boot_enabled = c->machine->secure_boot == FACT_YES,
		.rdma_disabled = c->machine->rdma_absent == FACT_YES,
		.node_id = text(t->node),
		.inference_key = text(t->key),
		.binary_hash = text(c->machine->image),
		.timestamp = text(t->time),
	};
}

static int
sign(struct attester *a, struct blob *blob, struct texts *t, uint8_t *point)
{
	uint8_t *bytes, der[P256_DER_MAX];
	size_t len, der_len = 0;
	int r;

	(void)sodium_bin2base64(
	    t->point, sizeof(t->point), point, P256_POINT_LEN, VARIANT);
	blob->se_key = text(t->point);
	if ((r = blob_canonical(blob, &bytes, &len)) < 0)
		return r;
	r = attester_sign(a, bytes, len, der, &der_len, point);
	free(bytes);
	if (r == 0)
		(void)sodium_bin2base64(
		    t->signature, sizeof(t->signature), der, der_len, VARIANT);
	return r;
}

static const char *
word(bool b)
{
	return b ? "true" : "false";
}

static int
write_json(const struct blob *b, const struct texts *t,
    char ret[static BLOB_MADE_MAX], size_t *ret_len)
{
	int n = snprintf(ret, BLOB_MADE_MAX,
	    "{\"attestation\":{\"chip_name\":\"%s\",\"hardware_model\":\"%s\","
	    "\"unified_memory_bytes\":%" PRIu64 ",\"sip_enabled\":%s,"
	    "\"secure_boot_enabled\":%s,\"rdma_disabled\":%s,"
	    "\"node_endpoint_id\":\"%s\",\"inference_public_key\":\"%s\","
	    "\"se_public_key\":\"%s\",\"binary_hash\":\"%s\","
	    "\"timestamp\":\"%s\"},\"signature\":\"%s\"}",
	    b->chip_name.at, b->hardware_model.at, b->memory_bytes,
	    word(b->sip_enabled), word(b->secure_boot_enabled),
	    word(b->rdma_disabled), t->node, t->key, t->point,
	    b->binary_hash.at, t->time, t->signature);

	if (n < 0 || n >= BLOB_MADE_MAX)
		return -EMSGSIZE;
	*ret_len = (size_t)n;
	return 0;
}

int
blob_make(struct attester *a, const struct blob_claims *c,
    char ret[static BLOB_MADE_MAX], size_t *ret_len)
{
	uint8_t point[P256_POINT_LEN], again[P256_POINT_LEN];
	struct texts t;
	struct blob blob;
	int r;

	if ((r = attester_point(a, point)) < 0)
		return r;
	memcpy(again, point, sizeof(again));
	fill(a, c, &t, &blob);
	if ((r = sign(a, &blob, &t, point)) < 0)
		return r;
	// Another TPM may have taken the place of the one that was asked.
	if (memcmp(point, again, sizeof(again)) != 0)
		return -EAGAIN;
	return write_json(&blob, &t, ret, ret_len);
}
