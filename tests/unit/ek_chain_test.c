// Certificates of endorsement keys: real ones of vendors up to their pinned
// roots, our own of swtpm's authority, and none that was touched.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "attestd/ek_chain.h"
#include "tests/unit/evidence_files.h"

static const struct ek_roots vendors = { ek_vendor_roots, EK_N_VENDOR_ROOTS };

struct chain {
	size_t n;
	struct file files[4];
};

static struct ek_result
verify_with(
    const struct chain *c, const struct ek_roots *roots, enum ek_use use)
{
	struct tpm_bytes certs[4];
	struct ek_result result;

	for (size_t i = 0; i < c->n; i++)
		certs[i] =
		    (struct tpm_bytes){ c->files[i].bytes, c->files[i].len };
	result = ek_chain_verify(certs, c->n, roots, 1, use);
	EVP_PKEY_free(result.key);
	return result;
}

static void
check_good(const struct chain *c, const struct ek_roots *roots, enum ek_use use,
    const char *vendor)
{
	struct ek_result r = verify_with(c, roots, use);

	if (r.problem != NULL)
		fail_msg("%s: %s", c->files[0].name, r.problem);
	assert_string_equal(r.root->vendor, vendor);
}

// Any bit of the leaf; a bit of each byte of the others.
static void
check_every_change(
    struct chain *c, const struct ek_roots *roots, enum ek_use use)
{
	for (size_t f = 0; f < c->n; f++)
		for (size_t i = 0; i < c->files[f].len; i++) {
			struct ek_result r;

			c->files[f].bytes[i] ^= 1;
			r = verify_with(c, roots, use);
			if (r.problem == NULL)
				fail_msg("%s: byte %zu changed and taken",
				    c->files[f].name, i);
			c->files[f].bytes[i] ^= 1;
		}
}

static void
load_chain(
    struct chain *c, const char *leaf, const char *middle, const char *root)
{
	*c = (struct chain){ 0 };
	load_shared_certificate(leaf, &c->files[c->n++]);
	if (middle != NULL)
		load_shared_certificate(middle, &c->files[c->n++]);
	if (root != NULL)
		load_shared_certificate(root, &c->files[c->n++]);
}

static const struct real {
	const char *leaf, *middle, *root, *vendor;
} reals[] = {
	{ "tpm/ekcert_nuvoton_malformed.der", NULL,
	    "tpm/vendor_roots/NUVO_2111.pem", "Nuvoton" },
	{ "tpm/ekcert_st_ecdsa_sha256_der.der",
	    "tpm/vendor_roots/STM_ECC_01I.pem",
	    "tpm/vendor_roots/STM_ECC_01RT.pem", "STMicroelectronics" },
	{ "tpm/ekcert_st_sha256_with_rsa_der.der",
	    "tpm/vendor_roots/STM_RSA_05I.pem",
	    "tpm/vendor_roots/STM_RSA_RT.pem", "STMicroelectronics" },
};

static void
real_certificates_lead_to_their_vendors_roots(void **state)
{
	struct chain c;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(reals); i++) {
		load_chain(&c, reals[i].leaf, reals[i].middle, reals[i].root);
		check_good(&c, &vendors, EK_USE_ENDORSEMENT, reals[i].vendor);
		check_every_change(&c, &vendors, EK_USE_ENDORSEMENT);
	}
}

static void
without_its_root_or_with_anothers_a_chain_is_refused(void **state)
{
	struct chain c;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(reals); i++) {
		load_chain(&c, reals[i].leaf, reals[i].middle, NULL);
		assert_string_equal(
		    verify_with(&c, &vendors, EK_USE_ENDORSEMENT).problem,
		    "the chain holds no root that is trusted here");
		load_chain(&c, reals[i].leaf, reals[i].middle,
		    "tpm/vendor_roots/INTEL_RT.pem");
		assert_string_equal(
		    verify_with(&c, &vendors, EK_USE_ENDORSEMENT).problem,
		    "the certificate chain does not lead to a trusted root");
	}
}

static void
a_root_is_not_an_endorsement_key(void **state)
{
	struct chain c;

	(void)state;
	load_chain(&c, "tpm/ekcert_nuvoton_ecdsa_sha256_der.der", NULL,
	    "tpm/vendor_roots/NUVO_2110.pem");
	assert_string_equal(
	    verify_with(&c, &vendors, EK_USE_ENDORSEMENT).problem,
	    "the certificate is a certification authority's, not a TPM key's");
}

static struct ek_root
operator_root(const struct file *cert)
{
	struct ek_root root = { .vendor = "operator", .source = "test" };
	X509 *x;

	assert_int_equal(ek_certificate_parse(cert->bytes, cert->len, &x), 0);
	assert_int_equal(ek_fingerprint(x, root.fingerprint), 0);
	X509_free(x);
	return root;
}

static void
the_operator_adds_the_roots_of_a_cloud(void **state)
{
	struct ek_root root;
	struct ek_roots roots = { &root, 1 };
	struct chain c;

	(void)state;
	load_chain(
	    &c, "tpm/gce_ak_cert.der", NULL, "tpm/tpm_ek_intermediate_2.crt");
	assert_non_null(verify_with(&c, &vendors, EK_USE_ATTESTATION).problem);
	root = operator_root(&c.files[1]);
	check_good(&c, &roots, EK_USE_ATTESTATION, "operator");
	check_every_change(&c, &roots, EK_USE_ATTESTATION);
	// Its key signs; it is no endorsement key.
	assert_string_equal(verify_with(&c, &roots, EK_USE_ENDORSEMENT).problem,
	    "the certificate is for another use of its key");
	load_chain(&c, "tpm/gce_pca_tpm_ecc_sign_cert.pem",
	    "tpm/gcp_ek_ak_ca_intermediate_v3.crt",
	    "tpm/gcp_ek_ak_ca_root.crt");
	root = operator_root(&c.files[2]);
	check_good(&c, &roots, EK_USE_ATTESTATION, "operator");
	check_every_change(&c, &roots, EK_USE_ATTESTATION);
}

static void
every_vendor_root_is_a_certificate_we_know(void **state)
{
	static const char *const names[] = { "GS_TPM_RT", "IFX_RSA_RT",
		"INF_ECC_010RT", "INF_RSA_010RT", "INTEL_RT", "NTC1", "NTC2",
		"NUVO_0100", "NUVO_1110", "NUVO_1111", "NUVO_2110", "NUVO_2111",
		"Nationz_TPM_EK", "STM_ECC_01RT", "STM_RSA_RT" };
	struct ek_root root;
	struct file f;
	char path[64];

	(void)state;
	assert_int_equal(N_ELEMENTS(names), EK_N_VENDOR_ROOTS);
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		(void)snprintf(
		    path, sizeof(path), "tpm/vendor_roots/%s.pem", names[i]);
		load_shared_certificate(path, &f);
		root = operator_root(&f);
		assert_memory_equal(root.fingerprint,
		    ek_vendor_roots[i].fingerprint, EK_FINGERPRINT_LEN);
	}
}

static void
our_swtpm_certificate_matches_its_key(void **state)
{
	struct ek_root root;
	struct ek_roots roots = { &root, 1 };
	struct tpm_public ek;
	struct tpm_bytes certs[3];
	struct chain c = { .n = 3 };
	struct ek_result r;
	struct file area;

	(void)state;
	load_own("swtpm/ekcert_ecc.der", &c.files[0]);
	load_own("swtpm/issuer.der", &c.files[1]);
	load_own("swtpm/rootca.der", &c.files[2]);
	root = operator_root(&c.files[2]);
	check_good(&c, &roots, EK_USE_ENDORSEMENT, "operator");
	check_every_change(&c, &roots, EK_USE_ENDORSEMENT);
	for (size_t i = 0; i < 3; i++)
		certs[i] =
		    (struct tpm_bytes){ c.files[i].bytes, c.files[i].len };
	r = ek_chain_verify(certs, 3, &roots, 1, EK_USE_ENDORSEMENT);
	assert_null(r.problem);
	load_own("swtpm/ek.tpmt", &area);
	assert_int_equal(tpm_public_parse(area.bytes, area.len, &ek), 0);
	assert_true(ek_key_is(&r, &ek));
	load_own("swtpm/ak.tpmt", &area);
	assert_int_equal(tpm_public_parse(area.bytes, area.len, &ek), 0);
	assert_false(ek_key_is(&r, &ek));
	EVP_PKEY_free(r.key);
}

static void
odd_numbers_of_certificates_are_refused(void **state)
{
	struct tpm_bytes certs[9] = { 0 };

	(void)state;
	assert_non_null(
	    ek_chain_verify(certs, 0, &vendors, 1, EK_USE_ENDORSEMENT).problem);
	assert_non_null(
	    ek_chain_verify(certs, 9, &vendors, 1, EK_USE_ENDORSEMENT).problem);
	assert_non_null(
	    ek_chain_verify(certs, 1, &vendors, 1, EK_USE_ENDORSEMENT).problem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_certificates_lead_to_their_vendors_roots),
		cmocka_unit_test(
		    without_its_root_or_with_anothers_a_chain_is_refused),
		cmocka_unit_test(a_root_is_not_an_endorsement_key),
		cmocka_unit_test(the_operator_adds_the_roots_of_a_cloud),
		cmocka_unit_test(every_vendor_root_is_a_certificate_we_know),
		cmocka_unit_test(our_swtpm_certificate_matches_its_key),
		cmocka_unit_test(odd_numbers_of_certificates_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
