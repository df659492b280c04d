// Verifies and changes a quote as its tests want it; see the header.
#include "tests/unit/tpm_quote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/ecdsa.h>

#include "attestd/tpm_attest.h"
#include "attestd/tpm_public.h"

void
signature_of_der(const struct file *der, struct file *ret)
{
	const uint8_t *at = der->bytes;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)der->len);
	uint8_t *p = ret->bytes;

	assert_non_null(sig);
	memcpy(p, "\x00\x18\x00\x0b\x00\x20", 6);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), p + 6, 32), 32);
	memcpy(p + 38, "\x00\x20", 2);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), p + 40, 32), 32);
	ret->len = 72;
	ECDSA_SIG_free(sig);
}

void
quote_load_own(struct quote *q, const char *message, const char *signature)
{
	struct file der;

	*q = (struct quote){ 0 };
	load_own("swtpm/ak.tpmt", &q->ak);
	load_own(message, &q->message);
	load_own(signature, &der);
	signature_of_der(&der, &q->signature);
	q->signature.name = signature;
}

int
quote_verify(const struct quote *q)
{
	struct tpm_signature s;
	struct tpm_public ak;
	struct tpm_attest a;
	int r;

	if ((r = tpm_public_parse(q->ak.bytes, q->ak.len, &ak)) < 0 ||
	    (r = tpm_signature_parse(
		 q->signature.bytes, q->signature.len, &s)) < 0 ||
	    (r = tpm_attest_parse(q->message.bytes, q->message.len, &a)) < 0)
		return r;
	return tpm_signature_verify(&s, &ak, q->message.bytes, q->message.len);
}

// What the changed quote is refused for: its shape or its signature.  A key
// may differ in what no signature shows; it has another name then.
static void
check_change(struct quote *q, struct file *f, size_t i, const uint8_t *name)
{
	uint8_t other[TPM_NAME_MAX];
	struct tpm_public ak;
	int r = quote_verify(q);
	size_t n;

	if (r == 0 && f == &q->ak) {
		assert_int_equal(
		    tpm_public_parse(q->ak.bytes, q->ak.len, &ak), 0);
		assert_int_equal(tpm_public_name(&ak, other, &n), 0);
		if (memcmp(name, other, n) != 0)
			return;
	}
	if (r != -EBADMSG && r != -EACCES)
		fail_msg("%s, byte %zu: %d", f->name, i, r);
}

void
quote_check_every_value(struct quote *q, struct file *f)
{
	uint8_t name[TPM_NAME_MAX];
	struct tpm_public ak;
	size_t len = f->len, name_len;
	uint8_t mask;

	assert_int_equal(quote_verify(q), 0);
	assert_int_equal(tpm_public_parse(q->ak.bytes, q->ak.len, &ak), 0);
	assert_int_equal(tpm_public_name(&ak, name, &name_len), 0);
	for (size_t i = 0; i < len; i++) {
		for (unsigned n = 0; (mask = byte_change(n)) != 0; n++) {
			f->bytes[i] ^= mask;
			check_change(q, f, i, name);
			f->bytes[i] ^= mask;
		}
		f->len = i;
		assert_int_not_equal(quote_verify(q), 0);
		f->len = len;
	}
	assert_int_equal(quote_verify(q), 0);
}

void
quote_check_every_change(struct quote *q)
{
	quote_check_every_value(q, &q->ak);
	quote_check_every_value(q, &q->message);
	quote_check_every_value(q, &q->signature);
}
