// Reads files of evidence for tests; what is missing in tests/data fails the
// test, what is missing in the shared folder skips it.
#include "tests/unit/evidence_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static void
load(const char *path, const char *name, struct file *ret)
{
	FILE *f = fopen(path, "rb");

	if (f == NULL)
		fail_msg("%s is missing", path);
	ret->name = name;
	ret->len = fread(ret->bytes, 1, sizeof(ret->bytes), f);
	(void)fclose(f);
	assert_in_range(ret->len, 1, sizeof(ret->bytes) - 1);
}

void
load_own(const char *name, struct file *ret)
{
	char path[512];

	(void)snprintf(path, sizeof(path), TEST_DATA "/%s", name);
	load(path, name, ret);
}

const char *
shared_path(const char *name)
{
	static char path[512];
	const char *dir = getenv("MESHLLM_SHARED");

	(void)snprintf(path, sizeof(path), "%s/evidence/%s",
	    dir == NULL ? TEST_SHARED : dir, name);
	if (access(path, R_OK) < 0) {
		(void)printf("absent, so skipped: evidence/%s\n", name);
		skip();
	}
	return path;
}

void
load_shared(const char *name, struct file *ret)
{
	load(shared_path(name), name, ret);
}

void
load_shared_certificate(const char *name, struct file *ret)
{
	FILE *f = fopen(shared_path(name), "rb");
	uint8_t *at = ret->bytes;
	X509 *cert;
	int n;

	assert_non_null(f);
	cert = PEM_read_X509(f, NULL, NULL, NULL);
	(void)fclose(f);
	if (cert == NULL) {
		load_shared(name, ret);
		return;
	}
	n = i2d_X509(cert, NULL);
	assert_in_range(n, 1, FILE_BYTES_MAX);
	ret->len = (size_t)i2d_X509(cert, &at);
	ret->name = name;
	X509_free(cert);
}

EVP_PKEY *
load_shared_public(const char *name)
{
	FILE *f = fopen(shared_path(name), "rb");
	EVP_PKEY *key;

	assert_non_null(f);
	key = PEM_read_PUBKEY(f, NULL, NULL, NULL);
	(void)fclose(f);
	assert_non_null(key);
	return key;
}

json_t *
load_shared_json(const char *name)
{
	json_t *json = json_load_file(shared_path(name), 0, NULL);

	assert_non_null(json);
	return json;
}

uint8_t
byte_change(unsigned n)
{
	if (getenv("EVERY_VALUE") != NULL)
		return (uint8_t)(n + 1);
	return (uint8_t)(n < 8 ? 1u << n : n == 8 ? 0xff : 0);
}
