// The file of --ek-chain: all of its certificates, or a reason.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "attestd/chain_file.h"

enum { PEM_MAX = 4096 };

struct one {
	char path[32];
	char pem[PEM_MAX]; // of one certificate
	uint8_t *der;
	int der_len;
};

static int
setup(void **state)
{
	struct one *o = calloc(1, sizeof(*o));
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	BIO *out = BIO_new(BIO_s_mem());
	int fd;

	if (o == NULL || key == NULL || cert == NULL || out == NULL)
		return -1;
	(void)snprintf(o->path, sizeof(o->path), "/tmp/chain-XXXXXX");
	fd = mkstemp(o->path);
	(void)close(fd);
	if (fd == -1 || X509_set_pubkey(cert, key) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), 0) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(cert), 60) == NULL ||
	    X509_sign(cert, key, EVP_sha256()) == 0 ||
	    PEM_write_bio_X509(out, cert) != 1 ||
	    BIO_read(out, o->pem, PEM_MAX - 1) <= 0 ||
	    (o->der_len = i2d_X509(cert, &o->der)) <= 0)
		return -1;
	BIO_free(out);
	X509_free(cert);
	EVP_PKEY_free(key);
	*state = o;
	return 0;
}

static int
teardown(void **state)
{
	struct one *o = *state;

	(void)unlink(o->path);
	OPENSSL_free(o->der);
	free(o);
	return 0;
}

static int
read_back(const struct one *o, const char *text, size_t times, const char *end,
    struct chain_file *ret, const char **ret_why)
{
	FILE *f = fopen(o->path, "w");

	assert_non_null(f);
	for (size_t i = 0; i < times; i++)
		assert_true(fputs(text, f) >= 0);
	assert_true(fputs(end, f) >= 0);
	assert_int_equal(fclose(f), 0);
	*ret_why = NULL;
	return chain_file_read(o->path, ret, ret_why);
}

static void
all_certificates_are_read(void **state)
{
	const struct one *o = *state;
	struct chain_file c;
	const char *why;

	for (size_t n = 1; n <= CHAIN_FILE_CERTS_MAX; n++) {
		assert_int_equal(
		    read_back(o, o->pem, n, "and a remark\n", &c, &why), 0);
		assert_int_equal(c.n, n);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(c.len[i], o->der_len);
			assert_memory_equal(
			    c.der[i], o->der, (size_t)o->der_len);
		}
		chain_file_done(&c);
		assert_int_equal(c.n, 0);
	}
}

static void
refused(const struct one *o, const char *text, size_t times, const char *end,
    int wanted, const char *wanted_why)
{
	struct chain_file c;
	const char *why;

	assert_int_equal(read_back(o, text, times, end, &c, &why), wanted);
	assert_string_equal(why, wanted_why);
	assert_int_equal(c.n, 0);
}

static void
what_is_wrong_is_said_and_nothing_kept(void **state)
{
	const char *damaged = "a certificate in it is damaged";
	struct one *o = *state;
	char cut[PEM_MAX], changed[PEM_MAX];
	struct chain_file c;
	const char *why;

	refused(o, "", 0, "", -EBADMSG, "no certificate in PEM is in it");
	refused(o, "text\n", 3, "", -EBADMSG, "no certificate in PEM is in it");
	refused(o, o->pem, CHAIN_FILE_CERTS_MAX + 1, "", -EMSGSIZE,
	    "more than 6 certificates");
	// Behind a good one: what follows it is not just left out.
	(void)snprintf(
	    cut, sizeof(cut), "%.*s", (int)strlen(o->pem) / 2, o->pem);
	refused(o, o->pem, 1, cut, -EBADMSG, damaged);
	memcpy(changed, o->pem, sizeof(changed));
	changed[strlen("-----BEGIN CERTIFICATE-----\n")] = '*';
	refused(o, o->pem, 1, changed, -EBADMSG, damaged);
	changed[strlen("-----BEGIN CERTIFICATE-----\n")] = 'A';
	refused(o, o->pem, 1, changed, -EBADMSG, damaged);
	refused(o, "0123456789abcde\n", 4097, "", -EFBIG, "File too large");
	assert_int_equal(
	    chain_file_read("/nonexistent/chain", &c, &why), -ENOENT);
	assert_string_equal(why, "No such file or directory");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_certificates_are_read),
		cmocka_unit_test(what_is_wrong_is_said_and_nothing_kept),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
