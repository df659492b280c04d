// What real TPMs of several vendors made: quotes and keys of Google, Azure,
// Keylime and Windows, read from the folder of shared evidence and skipped when
// it is absent.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <jansson.h>
#include <sodium.h>

#include "attestd/ek_chain.h"
#include "attestd/tpm_attest.h"
#include "attestd/tpm_public.h"
#include "tests/unit/tpm_quote.h"

static void
signature_of_rsa(const struct file *raw, struct file *ret)
{
	memcpy(ret->bytes, "\x00\x14\x00\x0b\x01\x00", 6);
	memcpy(ret->bytes + 6, raw->bytes, raw->len);
	ret->len = 6 + raw->len;
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
		quote_check_every_change(&q);
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
			quote_check_every_change(&q);
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
	assert_int_equal(quote_verify(&other), -EACCES);
	quote_load_own(&other, "swtpm/quote.msg", "swtpm/quote.sig");
	other.ak = google.ak;
	assert_int_equal(quote_verify(&other), -EACCES);
	quote_load_own(&other, "swtpm/quote.msg", "swtpm/time.sig");
	assert_int_equal(quote_verify(&other), -EACCES);
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
	quote_check_every_change(&q);
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
	quote_check_every_change(&q);
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
	quote_check_every_value(&q, &q.message);
	part = json_object_get(root, "Quote");
	from_json(part, "Quote", &q.message);
	from_json(part, "Signature", &q.signature);
	quote_check_every_change(&q);
	json_decref(root);
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
		cmocka_unit_test(real_google_quotes_verify_and_no_changed_one),
		cmocka_unit_test(real_google_attestations_verify),
		cmocka_unit_test(foreign_quotes_are_refused),
		cmocka_unit_test(
		    the_real_keylime_quote_verifies_and_no_changed_one),
		cmocka_unit_test(
		    the_real_azure_quote_verifies_and_no_changed_one),
		cmocka_unit_test(
		    real_windows_evidence_verifies_and_no_changed_one),
		cmocka_unit_test(
		    a_real_endorsement_key_is_known_by_its_template),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
