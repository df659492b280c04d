// Writes and reads evidence files.  The reader takes one shape, no byte left
// over.
#include "attestd/evidence_file.h"

#include <string.h>

static const char magic[8] = "mshlevf1";

static uint8_t *
put(uint8_t *at, const void *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

static uint8_t *
put_uint(uint8_t *at, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*at++ = (uint8_t)(value >> 8 * (n - 1 - i));
	return at;
}

void
evidence_file_write(
    const struct evidence_file *f, uint8_t ret[static EVIDENCE_FILE_HEAD_LEN])
{
	ret = put(ret, magic, sizeof(magic));
	ret = put_uint(ret, f->kind, 1);
	ret = put_uint(ret, f->is_activated, 1);
	ret = put_uint(ret, f->level, 1);
	ret = put_uint(ret, f->taken_ms, 8);
	ret = put(ret, f->node, sizeof(f->node));
	ret = put(ret, f->inference_key, sizeof(f->inference_key));
	ret = put(ret, f->nonce, sizeof(f->nonce));
	ret = put(ret, f->binding, sizeof(f->binding));
	(void)put_uint(ret, f->evidence.len, 4);
}

static void
take(struct tpm_reader *r, uint8_t ret[static 32])
{
	struct tpm_bytes b = tpm_read_bytes(r, 32);

	if (b.len != 0)
		memcpy(ret, b.at, b.len);
}

static bool
is_zero(const uint8_t bytes[static 32])
{
	static const uint8_t zeros[32];

	return memcmp(bytes, zeros, sizeof(zeros)) == 0;
}

int
evidence_file_read(const uint8_t *bytes, size_t len, struct evidence_file *ret)
{
	struct tpm_reader r = tpm_reader_of(bytes, len);
	struct evidence_file f = { 0 };
	struct tpm_bytes head = tpm_read_bytes(&r, sizeof(magic));
	uint8_t kind = tpm_read_u8(&r), activated = tpm_read_u8(&r);
	uint8_t level = tpm_read_u8(&r);
	size_t n;

	f.taken_ms = tpm_read_uint(&r, 8);
	take(&r, f.node);
	take(&r, f.inference_key);
	take(&r, f.nonce);
	take(&r, f.binding);
	n = tpm_read_u32(&r);
	f.evidence = tpm_read_bytes(&r, n);
	if (!tpm_read_end(&r) || head.at == NULL ||
	    memcmp(head.at, magic, sizeof(magic)) != 0 ||
	    (kind != EVIDENCE_FILE_BLOB && kind != EVIDENCE_FILE_V2) ||
	    activated > 1 || level > LEVEL_HARDWARE || n > EVIDENCE_V2_MAX)
		return -EBADMSG;
	f.kind = (enum evidence_file_kind)kind;
	f.is_activated = activated == 1;
	f.level = (enum level)level;
	if (f.kind == EVIDENCE_FILE_BLOB &&
	    (f.is_activated || !is_zero(f.nonce) || !is_zero(f.binding)))
		return -EBADMSG;
	*ret = f;
	return 0;
}
