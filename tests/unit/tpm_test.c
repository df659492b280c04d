// What our software TPM made (tests/data/swtpm): its quotes, what a restricted
// key signed, and which keys are attestation or endorsement keys.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "attestd/tpm_attest.h"
#include "attestd/tpm_public.h"
#include "tests/unit/tpm_quote.h"

static void
our_quotes_verify_and_no_changed_one(void **state)
{
	struct quote q;

	(void)state;
	quote_load_own(&q, "swtpm/quote.msg", "swtpm/quote.sig");
	quote_check_every_change(&q);
	quote_load_own(&q, "swtpm/time.msg", "swtpm/time.sig");
	quote_check_every_change(&q);
}

static int
verify_text(const struct quote *q)
{
	struct tpm_signature s;
	struct tpm_public ak;
	int r;

	if ((r = tpm_public_parse(q->ak.bytes, q->ak.len, &ak)) < 0 ||
	    (r = tpm_signature_parse(
		 q->signature.bytes, q->signature.len, &s)) < 0)
		return r;
	return tpm_signature_verify(&s, &ak, q->message.bytes, q->message.len);
}

// By a ticket of the TPM's own hash, as blobs of the old dialect are: in one
// piece, and in a sequence.  It is no quote, whatever it says.
static void
what_a_restricted_key_signed_is_the_text_and_no_quote(void **state)
{
	static const char *const names[][2] = {
		{ "swtpm/v1.bin", "swtpm/v1.sig" },
		{ "swtpm/big.bin", "swtpm/big.sig" },
	};
	struct file der;
	uint8_t mask;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		struct quote q = { 0 };
		struct file *const parts[] = { &q.message, &q.signature };

		load_own("swtpm/ak.tpmt", &q.ak);
		(i == 0 ? load_own : load_shared)(names[i][0], &q.message);
		(i == 0 ? load_own : load_shared)(names[i][1], &der);
		signature_of_der(&der, &q.signature);
		assert_int_equal(verify_text(&q), 0);
		assert_int_equal(quote_verify(&q), -EBADMSG);
		for (size_t p = 0; p < N_ELEMENTS(parts); p++)
			for (size_t at = 0; at < parts[p]->len; at++)
				for (unsigned n = 0;
				     (mask = byte_change(n)) != 0; n++) {
					parts[p]->bytes[at] ^= mask;
					assert_int_not_equal(
					    verify_text(&q), 0);
					parts[p]->bytes[at] ^= mask;
				}
	}
}

static void
a_quote_says_what_was_asked(void **state)
{
	struct tpm_attest a;
	struct file f, pcrs;

	(void)state;
	load_own("swtpm/quote.msg", &f);
	load_own("swtpm/pcrs.bin", &pcrs);
	assert_int_equal(tpm_attest_parse(f.bytes, f.len, &a), 0);
	assert_int_equal(a.kind, TPM_ATTEST_QUOTE);
	assert_int_equal(a.extra.len, 32);
	assert_int_equal(a.clock.reset_count, 4);
	assert_int_equal(a.clock.restart_count, 0);
	assert_true(a.clock.is_safe);
	assert_int_equal(a.pcr_bank, TPM_SHA256);
	assert_int_equal(a.pcrs, 0x0047ff);
	assert_true(tpm_pcr_values_match(&a, TPM_SHA256, pcrs.bytes, pcrs.len));
	for (size_t i = 0; i < pcrs.len; i++) {
		pcrs.bytes[i] ^= 1;
		assert_false(
		    tpm_pcr_values_match(&a, TPM_SHA256, pcrs.bytes, pcrs.len));
		pcrs.bytes[i] ^= 1;
	}
	assert_false(
	    tpm_pcr_values_match(&a, TPM_SHA256, pcrs.bytes, pcrs.len - 32));
	load_own("swtpm/certify.msg", &f);
	assert_int_equal(tpm_attest_parse(f.bytes, f.len, &a), 0);
	assert_int_equal(a.name.len, 34);
}

static void
the_blob_key_has_the_name_that_its_tpm_computes(void **state)
{
	uint8_t name[TPM_NAME_MAX], wrong[88];
	struct tpm_public ak;
	struct file f;
	size_t n;

	(void)state;
	load_own("swtpm/ak.tpmt", &f);
	assert_int_equal(tpm_public_parse(f.bytes, f.len, &ak), 0);
	assert_null(tpm_public_why_no_ak(&ak));
	assert_non_null(tpm_public_why_no_ek(&ak));
	assert_int_equal(tpm_public_name(&ak, name, &n), 0);
	assert_int_equal(n, 34);
	assert_int_equal(name[1], TPM_SHA256);
	// Any attribute more or less is another kind of key.
	for (unsigned bit = 0; bit < 32; bit++) {
		memcpy(wrong, f.bytes, sizeof(wrong));
		wrong[4 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(
		    tpm_public_parse(wrong, sizeof(wrong), &ak), 0);
		// noDA is the one that does not matter.
		if (ak.attributes == 0x00050072)
			assert_null(tpm_public_why_no_ak(&ak));
		else
			assert_non_null(tpm_public_why_no_ak(&ak));
	}
}

static void
a_point_off_the_curve_is_no_key(void **state)
{
	struct tpm_public ak;
	EVP_PKEY *key;
	struct file f;

	(void)state;
	load_own("swtpm/ak.tpmt", &f);
	f.bytes[f.len - 1] ^= 1;
	assert_int_equal(tpm_public_parse(f.bytes, f.len, &ak), 0);
	assert_int_equal(tpm_public_key(&ak, &key), -EBADMSG);
}

static void
an_endorsement_key_is_known_by_its_template(void **state)
{
	struct tpm_public ek;
	struct file f;

	(void)state;
	load_own("swtpm/ek.tpmt", &f);
	assert_int_equal(tpm_public_parse(f.bytes, f.len, &ek), 0);
	assert_int_equal(ek.curve, TPM_P384);
	assert_null(tpm_public_why_no_ek(&ek));
	assert_non_null(tpm_public_why_no_ak(&ek));
	for (unsigned bit = 0; bit < 32; bit++) {
		f.bytes[4 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(tpm_public_parse(f.bytes, f.len, &ek), 0);
		if ((ek.attributes ^ 0x000300f2) != TPM_USER_WITH_AUTH)
			assert_non_null(tpm_public_why_no_ek(&ek));
		f.bytes[4 + bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_quotes_verify_and_no_changed_one),
		cmocka_unit_test(
		    what_a_restricted_key_signed_is_the_text_and_no_quote),
		cmocka_unit_test(a_quote_says_what_was_asked),
		cmocka_unit_test(
		    the_blob_key_has_the_name_that_its_tpm_computes),
		cmocka_unit_test(a_point_off_the_curve_is_no_key),
		cmocka_unit_test(an_endorsement_key_is_known_by_its_template),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
