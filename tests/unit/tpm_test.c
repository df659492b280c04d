// Structures of TPMs: real ones of several vendors (read from the folder of
// shared evidence, skipped when it is absent) and our own of a software TPM
// (tests/data/swtpm).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <jansson.h>
#include <sodium.h>

#include "attestd/ek_chain.h"
#include "attestd/tpm_attest.h"
#include "attestd/tpm_public.h"
#include "tests/unit/evidence_files.h"

struct quote {
	struct file ak, message, signature; // TPMT_SIGNATURE
};

// A signature as openssl writes it, as a TPM does.
static void
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

static void
signature_of_rsa(const struct file *raw, struct file *ret)
{
	memcpy(ret->bytes, "\x00\x14\x00\x0b\x01\x00", 6);
	memcpy(ret->bytes + 6, raw->bytes, raw->len);
	ret->len = 6 + raw->len;
}

static int
verify(const struct quote *q)
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
	int r = verify(q);
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

// Each byte changed in turn, and each shorter length.
static void
check_every_value(struct quote *q, struct file *f)
{
	uint8_t name[TPM_NAME_MAX];
	struct tpm_public ak;
	size_t len = f->len, name_len;
	uint8_t mask;

	assert_int_equal(verify(q), 0);
	assert_int_equal(tpm_public_parse(q->ak.bytes, q->ak.len, &ak), 0);
	assert_int_equal(tpm_public_name(&ak, name, &name_len), 0);
	for (size_t i = 0; i < len; i++) {
		for (unsigned n = 0; (mask = byte_change(n)) != 0; n++) {
			f->bytes[i] ^= mask;
			check_change(q, f, i, name);
			f->bytes[i] ^= mask;
		}
		f->len = i;
		assert_int_not_equal(verify(q), 0);
		f->len = len;
	}
	assert_int_equal(verify(q), 0);
}

static void
check_every_change(struct quote *q)
{
	check_every_value(q, &q->ak);
	check_every_value(q, &q->message);
	check_every_value(q, &q->signature);
}

// Each byte of each PCR, too.
static void
check_pcrs(const struct quote *q, struct file *pcrs)
{
	struct tpm_attest a;
	uint8_t mask;

	assert_int_equal(
	    tpm_attest_parse(q->message.bytes, q->message.len, &a), 0);
	// The digest is of the signature's hash, not of the bank's.
	assert_true(
	    tpm_pcr_values_match(&a, TPM_SHA256, pcrs->bytes, pcrs->len));
	for (size_t i = 0; i < pcrs->len; i++) {
		for (unsigned n = 0; (mask = byte_change(n)) != 0; n++) {
			pcrs->bytes[i] ^= mask;
			assert_false(tpm_pcr_values_match(
			    &a, TPM_SHA256, pcrs->bytes, pcrs->len));
			pcrs->bytes[i] ^= mask;
		}
	}
}

static void
our_quote(struct quote *q, const char *message, const char *signature)
{
	struct file der;

	*q = (struct quote){ 0 };
	load_own("swtpm/ak.tpmt", &q->ak);
	load_own(message, &q->message);
	load_own(signature, &der);
	signature_of_der(&der, &q->signature);
	q->signature.name = signature;
}

static void
our_quotes_verify_and_no_changed_one(void **state)
{
	struct quote q;

	(void)state;
	our_quote(&q, "swtpm/quote.msg", "swtpm/quote.sig");
	check_every_change(&q);
	our_quote(&q, "swtpm/time.msg", "swtpm/time.sig");
	check_every_change(&q);
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
		assert_int_equal(verify(&q), -EBADMSG);
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
google_quote(struct quote *q, const char *bank)
{
	char message[64], signature[64];
	struct file raw;

	*q = (struct quote){ 0 };
	(void)snprintf(message, sizeof(message), "tpm/gce_quote_%s.msg", bank);
	(void)snprintf(
	    signature, sizeof(signature), "tpm/gce_quote_%s.sig", bank);
	load_shared("tpm/gce_ak.tpmt", &q->ak);
	load_shared(message, &q->message);
	load_shared(signature, &raw);
	signature_of_rsa(&raw, &q->signature);
	q->message.name = q->signature.name = "google";
}

static void
real_google_quotes_verify_and_no_changed_one(void **state)
{
	static const char *const banks[] = { "sha1", "sha256", "sha384" };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(banks); i++) {
		struct file pcrs;
		struct tpm_public ak;
		struct quote q;
		char name[64];

		google_quote(&q, banks[i]);
		check_every_change(&q);
		assert_int_equal(
		    tpm_public_parse(q.ak.bytes, q.ak.len, &ak), 0);
		assert_null(tpm_public_why_no_ak(&ak));
		(void)snprintf(
		    name, sizeof(name), "tpm/gce_pcrs_%s.bin", banks[i]);
		load_shared(name, &pcrs);
		check_pcrs(&q, &pcrs);
	}
}

// The next field of a protobuf message: its number, and its bytes when it has
// some.
static unsigned
next_field(struct tpm_bytes *m, struct tpm_bytes *ret)
{
	uint64_t values[2] = { 0, 0 };

	*ret = (struct tpm_bytes){ NULL, 0 };
	for (size_t k = 0; k < 2; k++) {
		unsigned shift = 0;

		do {
			assert_int_not_equal(m->len, 0);
			values[k] |= (uint64_t)(*m->at & 0x7f) << shift;
			shift += 7;
			m->len--;
		} while ((*m->at++ & 0x80) != 0);
	}
	if ((values[0] & 7) != 2)
		return (unsigned)(values[0] >> 3);
	assert_true(values[1] <= m->len);
	*ret = (struct tpm_bytes){ m->at, (size_t)values[1] };
	m->at += values[1];
	m->len -= values[1];
	return (unsigned)(values[0] >> 3);
}

static void
put(struct file *ret, struct tpm_bytes b)
{
	assert_true(b.len <= sizeof(ret->bytes));
	memcpy(ret->bytes, b.at, b.len);
	ret->len = b.len;
	ret->name = "a field of the message";
}

// The values of the PCRs in any order, as a map.
static size_t
put_pcrs(struct tpm_bytes m, struct file *ret)
{
	struct tpm_bytes entry, value;
	size_t n = 0, len = 0;

	while (m.len > 0)
		if (next_field(&m, &entry) == 2) {
			size_t number = entry.at[1];

			entry.at += 2;
			entry.len -= 2;
			assert_int_equal(next_field(&entry, &value), 2);
			len = value.len;
			memcpy(ret->bytes + number * len, value.at, len);
			n++;
		}
	ret->len = n * len;
	return n;
}

// Whole attestations of machines of Google, as they were sent.
static void
real_google_attestations_verify(void **state)
{
	static const char *const names[] = { "tpm/gce-cos-85-no-nonce.pb",
		"tpm/gce-cos-85-nonce9009.pb" };
	static struct file all, pcrs;
	size_t n_quotes = 0;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		struct tpm_bytes m, field, part;
		struct quote q = { 0 };

		load_shared(names[i], &all);
		m = (struct tpm_bytes){ all.bytes, all.len };
		while (m.len > 0) {
			unsigned number = next_field(&m, &field);

			if (number == 1)
				put(&q.ak, field);
			if (number != 2)
				continue;
			while (field.len > 0) {
				number = next_field(&field, &part);
				if (number == 3)
					(void)put_pcrs(part, &pcrs);
				else
					put(number == 1 ? &q.message
							: &q.signature,
					    part);
			}
			check_every_change(&q);
			check_pcrs(&q, &pcrs);
			n_quotes++;
		}
	}
	assert_int_equal(n_quotes, 6);
}

// A quote of one machine under the key of another, and message and signature
// that do not belong together.
static void
foreign_quotes_are_refused(void **state)
{
	struct quote google, other;

	(void)state;
	google_quote(&google, "sha1");
	google_quote(&other, "sha256");
	other.message = google.message;
	assert_int_equal(verify(&other), -EACCES);
	our_quote(&other, "swtpm/quote.msg", "swtpm/quote.sig");
	other.ak = google.ak;
	assert_int_equal(verify(&other), -EACCES);
	our_quote(&other, "swtpm/quote.msg", "swtpm/time.sig");
	assert_int_equal(verify(&other), -EACCES);
}

// The public area of a key that is known as PEM only.
static void
public_of_pem(const char *name, uint16_t hash, struct file *ret)
{
	BIGNUM *n = NULL;
	EVP_PKEY *key;

	key = load_shared_public(name);
	assert_int_equal(
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
	memcpy(ret->bytes,
	    "\x00\x01\x00\x0b\x00\x05\x04\x72\x00\x00\x00\x10\x00\x14\x00\x0b"
	    "\x08\x00\x00\x00\x00\x00\x01\x00",
	    24);
	ret->bytes[15] = (uint8_t)hash;
	assert_int_equal(BN_bn2binpad(n, ret->bytes + 24, 256), 256);
	ret->len = 280;
	BN_free(n);
	EVP_PKEY_free(key);
}

static void
the_real_keylime_quote_verifies_and_no_changed_one(void **state)
{
	struct quote q = { 0 };

	(void)state;
	public_of_pem("tpm/keylime_akpub.pem", TPM_SHA256, &q.ak);
	load_shared("tpm/keylime_quote.out", &q.message);
	load_shared("tpm/keylime_quotesig.out", &q.signature);
	check_every_change(&q);
}

static void
the_real_azure_quote_verifies_and_no_changed_one(void **state)
{
	struct file all, raw = { .len = 256 };
	struct quote q = { 0 };

	// u32 256, u32 0, RSA signature, 8 bytes, then the message.
	(void)state;
	load_shared("azure/quote.bin", &all);
	public_of_pem("azure/akpub.pem", TPM_SHA256, &q.ak);
	memcpy(raw.bytes, all.bytes + 8, 256);
	signature_of_rsa(&raw, &q.signature);
	q.message.len = 0x18a - 0x110;
	memcpy(q.message.bytes, all.bytes + 0x110, q.message.len);
	q.message.name = q.signature.name = "azure";
	check_every_change(&q);
}

static void
from_json(const json_t *json, const char *key, struct file *ret)
{
	const char *text = json_string_value(json_object_get(json, key));
	size_t len;

	assert_non_null(text);
	assert_int_equal(
	    sodium_base642bin(ret->bytes, sizeof(ret->bytes), text,
		strlen(text), NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL),
	    0);
	ret->len = len;
	ret->name = key;
}

static void
real_windows_evidence_verifies_and_no_changed_one(void **state)
{
	struct quote q = { 0 };
	struct tpm_public ak;
	json_t *root, *part;

	(void)state;
	root = load_shared_json("tpm/windows_gcp_shielded_vm.json");
	part = json_object_get(root, "AK");
	from_json(part, "Public", &q.ak);
	from_json(part, "CreateAttestation", &q.message);
	from_json(part, "CreateSignature", &q.signature);
	// Their key signs with SHA-1: the signature is real, but it is no
	// attestation key for us.
	assert_int_equal(tpm_public_parse(q.ak.bytes, q.ak.len, &ak), 0);
	assert_non_null(tpm_public_why_no_ak(&ak));
	check_every_value(&q, &q.message);
	part = json_object_get(root, "Quote");
	from_json(part, "Quote", &q.message);
	from_json(part, "Signature", &q.signature);
	check_every_change(&q);
	json_decref(root);
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

static void
a_real_endorsement_key_is_known_by_its_template(void **state)
{
	struct ek_result known;
	struct tpm_public ek;
	struct file f;
	uint8_t mask;

	(void)state;
	load_shared("tpm/keylime_ek.pub", &f); // TPM2B_PUBLIC
	assert_int_equal(tpm_public_parse(f.bytes + 2, f.len - 2, &ek), 0);
	assert_null(tpm_public_why_no_ek(&ek));
	known = (struct ek_result){ .key = load_shared_public(
					"tpm/keylime_ekpub.pem") };
	assert_true(ek_key_is(&known, &ek));
	// Another kind of key, another key, or none.
	for (size_t i = 2; i < f.len; i++)
		for (unsigned n = 0; (mask = byte_change(n)) != 0; n++) {
			f.bytes[i] ^= mask;
			assert_true(
			    tpm_public_parse(f.bytes + 2, f.len - 2, &ek) < 0 ||
			    tpm_public_why_no_ek(&ek) != NULL ||
			    ek.attributes == 0x000300f2 ||
			    !ek_key_is(&known, &ek));
			f.bytes[i] ^= mask;
		}
	EVP_PKEY_free(known.key);
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
		cmocka_unit_test(real_google_quotes_verify_and_no_changed_one),
		cmocka_unit_test(real_google_attestations_verify),
		cmocka_unit_test(foreign_quotes_are_refused),
		cmocka_unit_test(
		    the_real_keylime_quote_verifies_and_no_changed_one),
		cmocka_unit_test(
		    the_real_azure_quote_verifies_and_no_changed_one),
		cmocka_unit_test(
		    real_windows_evidence_verifies_and_no_changed_one),
		cmocka_unit_test(an_endorsement_key_is_known_by_its_template),
		cmocka_unit_test(
		    a_real_endorsement_key_is_known_by_its_template),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
