// Evidence for tests: our own in tests/data, others' in the folder of shared
// evidence beside the source tree (or in $MESHLLM_SHARED/evidence).  A test
// that wants a file of an absent folder is skipped, with its name.
#ifndef TESTS_UNIT_EVIDENCE_FILES_H
#define TESTS_UNIT_EVIDENCE_FILES_H

#include <jansson.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

enum { FILE_BYTES_MAX = 32 * 1024 };

struct file {
	const char *name;
	size_t len;
	uint8_t bytes[FILE_BYTES_MAX];
};

void load_own(const char *name, struct file *ret);
void load_shared(const char *name, struct file *ret);
// PEM or DER, as DER.
void load_shared_certificate(const char *name, struct file *ret);
EVP_PKEY *load_shared_public(const char *name);
json_t *load_shared_json(const char *name);
const char *shared_path(const char *name); // skips; static

// Change number n of a byte, 0 after the last: each bit and all of them, or
// with EVERY_VALUE in the environment (minutes) all 255.
uint8_t byte_change(unsigned n);

#endif
