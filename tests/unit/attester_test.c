// The attesters: the software key, and a software TPM (swtpm, started here
// with an authority of its own; skipped where it is not installed).
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "attestd/attester_impl.h"
#include "attestd/blob.h"
#include "attestd/blob_make.h"
#include "common/hex.h"
#include "common/process.h"
#include "tests/unit/swtpm.h"

static const uint8_t node[32] = { 1 }, key[32] = { 2 };

static void
check_blob(
    struct attester *a, const struct machine *posture, enum blob_status wanted)
{
	char json[BLOB_MADE_MAX], node_text[65];
	struct blob_claims claims = { posture, node, key, clock_unix_ms() };
	struct blob_expected e = { .node_id = node_text,
		.inference_key = "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		.now = { (int64_t)(claims.now_ms / 1000), 0 },
		.max_age_seconds = 660 };
	size_t len;

	hex_endpoint_id(node, node_text);
	assert_int_equal(blob_make(a, &claims, json, &len), 0);
	assert_int_equal(blob_check(json, len, &e), wanted);
	json[30]++;
	assert_int_not_equal(blob_check(json, len, &e), BLOB_VERIFIED);
}

static const struct machine good = { FACT_YES, FACT_YES, FACT_YES, FACT_YES,
	FACT_YES, 1 << 30, "Test machine", "" };

static void
a_name_says_what_vouches(void **state)
{
	struct attester_config c;
	const char *why;

	(void)state;
	assert_int_equal(attester_parse(NULL, &c, &why), 0);
	assert_int_equal(c.kind, ATTESTER_NONE);
	assert_int_equal(attester_parse("software", &c, &why), 0);
	assert_int_equal(c.kind, ATTESTER_SOFTWARE);
	assert_int_equal(attester_parse("tpm2", &c, &why), 0);
	assert_string_equal(c.tcti, "device:/dev/tpmrm0");
	assert_int_equal(attester_parse("tpm2:swtpm:path=/x", &c, &why), 0);
	assert_int_equal(attester_parse("tpm2:swtpm", &c, &why), -EINVAL);
	assert_int_equal(attester_parse("tpm2x", &c, &why), -EINVAL);
	assert_int_equal(attester_parse("tpm", &c, &why), -EINVAL);
	assert_int_equal(attester_parse("", &c, &why), -EINVAL);
}

static void
a_software_key_makes_blobs_that_the_old_network_verifies(void **state)
{
	struct attester_config c = { .kind = ATTESTER_SOFTWARE };
	uint8_t der[P256_DER_MAX], point[P256_POINT_LEN];
	struct machine open = good;
	struct attester *a;
	size_t len;

	(void)state;
	assert_int_equal(attester_new(&c, &a), 0);
	check_blob(a, &good, BLOB_VERIFIED);
	open.lockdown = FACT_UNKNOWN;
	check_blob(a, &open, BLOB_INSECURE_POSTURE);
	// It does not sign what looks like a TPM's statement.
	assert_int_equal(attester_sign(a,
			     (const uint8_t *)"\xff"
					      "TCG",
			     4, der, &len, point),
	    -EPERM);
	attester_free(a);
}

static void
no_attester_and_no_tpm_sign_nothing(void **state)
{
	struct attester_config c = { .kind = ATTESTER_NONE };
	uint8_t point[P256_POINT_LEN];
	struct attester *a;

	(void)state;
	assert_int_equal(attester_new(&c, &a), 0);
	assert_int_equal(attester_point(a, point), -ENODEV);
	attester_free(a);
	c = (struct attester_config){ .kind = ATTESTER_TPM2,
		.tcti = "device:/nonexistent" };
	assert_int_equal(attester_new(&c, &a), 0);
	assert_int_equal(attester_point(a, point), -ENODEV);
	assert_string_equal(attester_problem(a), "the TPM cannot be opened");
	attester_free(a);
}

static struct attester *
attester_of(struct swtpm *s)
{
	struct attester_config c = { .kind = ATTESTER_TPM2, .tcti = s->tcti };
	struct attester *a;

	assert_int_equal(attester_new(&c, &a), 0);
	if (attester_problem(a) != NULL)
		fail_msg("%s", attester_problem(a));
	return a;
}

static void
check_quote(struct tpm *t)
{
	uint8_t attest[TPM_ATTEST_MAX], signature[TPM_SIGNATURE_MAX];
	uint8_t pcrs[32 * TPM_PCR_COUNT], nonce[32] = { 9 };
	size_t attest_len, signature_len, pcrs_len;
	struct tpm_signature s;
	struct tpm_public ak;
	struct tpm_attest a;

	assert_int_equal(
	    tpm_quote(t, nonce, attest, &attest_len, signature, &signature_len),
	    0);
	assert_int_equal(tpm_read_pcrs(t, pcrs, &pcrs_len), 0);
	assert_int_equal(tpm_public_parse(t->ak_area, t->ak_len, &ak), 0);
	assert_null(tpm_public_why_no_ak(&ak));
	assert_int_equal(tpm_attest_parse(attest, attest_len, &a), 0);
	assert_int_equal(tpm_signature_parse(signature, signature_len, &s), 0);
	assert_int_equal(tpm_signature_verify(&s, &ak, attest, attest_len), 0);
	assert_memory_equal(a.extra.at, nonce, 32);
	assert_int_equal(a.pcrs, ATTESTER_PCRS);
	assert_true(tpm_pcr_values_match(&a, TPM_SHA256, pcrs, pcrs_len));
}

static void
check_activation(struct tpm *t)
{
	uint8_t name[TPM_NAME_MAX], secret[32] = { 5, 6 }, out[32];
	struct tpm_public ek, ak;
	struct tpm_credential c;
	size_t n;

	assert_int_not_equal(t->ek_len, 0);
	assert_int_equal(tpm_public_parse(t->ek_area, t->ek_len, &ek), 0);
	assert_null(tpm_public_why_no_ek(&ek));
	assert_int_equal(tpm_public_parse(t->ak_area, t->ak_len, &ak), 0);
	assert_int_equal(tpm_public_name(&ak, name, &n), 0);
	for (size_t i = 0; i < 4; i++) { // no slot is lost
		assert_int_equal(
		    tpm_credential_make(&ek, name, n, secret, &c), 0);
		assert_int_equal(tpm_activate(t, &c, out), 0);
		assert_memory_equal(out, secret, sizeof(out));
	}
	name[5] ^= 1; // of another key
	assert_int_equal(tpm_credential_make(&ek, name, n, secret, &c), 0);
	assert_int_equal(tpm_activate(t, &c, out), -EACCES);
	c.secret[4] ^= 1;
	assert_int_equal(tpm_activate(t, &c, out), -EACCES);
}

static void
a_tpm_signs_quotes_and_activates(void **state)
{
	struct attester *a;
	struct swtpm s;

	(void)state;
	swtpm_start(&s);
	a = attester_of(&s);
	for (size_t i = 0; i < 5; i++)
		check_blob(a, &good, BLOB_VERIFIED);
	check_quote(&a->tpm);
	check_activation(&a->tpm);
	check_quote(&a->tpm);
	assert_non_null(a);
	attester_free(a);
	swtpm_stop(&s);
}

static void
one_tpm_has_one_key_for_ever(void **state)
{
	uint8_t first[P256_POINT_LEN], second[P256_POINT_LEN];
	struct attester *a;
	struct swtpm s;

	(void)state;
	swtpm_start(&s);
	a = attester_of(&s);
	assert_int_equal(attester_point(a, first), 0);
	attester_free(a);
	for (size_t i = 0; i < 5; i++) { // nothing is left behind
		a = attester_of(&s);
		assert_int_equal(attester_point(a, second), 0);
		assert_memory_equal(first, second, sizeof(first));
		attester_free(a);
	}
	swtpm_stop(&s);
}

static void
a_tpm_that_hangs_costs_a_deadline_and_comes_back(void **state)
{
	uint8_t der[P256_DER_MAX], point[P256_POINT_LEN];
	uint64_t start;
	struct attester *a;
	struct swtpm s;
	size_t len;

	(void)state;
	swtpm_start(&s);
	a = attester_of(&s);
	assert_int_equal(kill(s.pid, SIGSTOP), 0);
	start = clock_mono_ms();
	assert_int_equal(
	    attester_sign(a, key, 32, der, &len, point), -ETIMEDOUT);
	assert_true(clock_mono_ms() - start >= TPM_DEADLINE_MS - 100);
	assert_string_equal(attester_problem(a), "the TPM does not answer");
	// Not tried again at once.
	assert_int_equal(attester_sign(a, key, 32, der, &len, point), -ENODEV);
	assert_int_equal(kill(s.pid, SIGCONT), 0);
	a->tpm.retry_ms = 0;
	assert_int_equal(attester_sign(a, key, 32, der, &len, point), 0);
	assert_null(attester_problem(a));
	attester_free(a);
	swtpm_stop(&s);
}

static void
a_tpm_that_dies_is_opened_again_when_it_is_back(void **state)
{
	uint8_t der[P256_DER_MAX], before[P256_POINT_LEN];
	uint8_t after[P256_POINT_LEN];
	struct attester *a;
	struct swtpm s;
	size_t len;

	(void)state;
	swtpm_start(&s);
	a = attester_of(&s);
	assert_int_equal(attester_point(a, before), 0);
	swtpm_kill(&s);
	assert_int_equal(attester_sign(a, key, 32, der, &len, after), -ENODEV);
	assert_non_null(attester_problem(a));
	swtpm_run(&s);
	a->tpm.retry_ms = 0;
	assert_int_equal(attester_sign(a, key, 32, der, &len, after), 0);
	assert_memory_equal(before, after, sizeof(before));
	check_quote(&a->tpm);
	attester_free(a);
	swtpm_stop(&s);
}

static bool stop;

static bool
is_wanted(int fd)
{
	(void)fd;
	return stop;
}

static void
waiting_for_a_tpm_ends_when_we_are_to_stop(void **state)
{
	uint8_t der[P256_DER_MAX], point[P256_POINT_LEN];
	uint64_t start;
	struct attester *a;
	struct swtpm s;
	int pipe_fds[2];
	size_t len;

	(void)state;
	swtpm_start(&s);
	a = attester_of(&s);
	assert_int_equal(pipe(pipe_fds), 0);
	a->tpm.tcti.interrupt_fd = pipe_fds[0];
	a->tpm.tcti.is_interrupted = is_wanted;
	// Something else is no reason.
	assert_int_equal(write(pipe_fds[1], "y", 1), 1);
	assert_int_equal(attester_sign(a, key, 32, der, &len, point), 0);
	assert_int_equal(kill(s.pid, SIGSTOP), 0);
	stop = true;
	start = clock_mono_ms();
	assert_int_equal(
	    attester_sign(a, key, 32, der, &len, point), -ETIMEDOUT);
	assert_true(clock_mono_ms() - start < TPM_DEADLINE_MS);
	assert_int_equal(kill(s.pid, SIGCONT), 0);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	attester_free(a);
	swtpm_stop(&s);
}

static void
a_tpm_that_hangs_when_it_is_opened_costs_a_deadline(void **state)
{
	uint8_t der[P256_DER_MAX], point[P256_POINT_LEN];
	struct attester *a;
	struct swtpm s;
	uint64_t start;
	size_t len;

	(void)state;
	swtpm_start(&s);
	a = attester_of(&s);
	tpm_close(&a->tpm);
	a->tpm.retry_ms = 0;
	assert_int_equal(kill(s.pid, SIGSTOP), 0);
	start = clock_mono_ms();
	assert_int_equal(
	    attester_sign(a, key, 32, der, &len, point), -ETIMEDOUT);
	assert_true(clock_mono_ms() - start < TPM_OPEN_DEADLINE_MS);
	assert_int_equal(kill(s.pid, SIGCONT), 0);
	a->tpm.retry_ms = 0;
	assert_int_equal(attester_sign(a, key, 32, der, &len, point), 0);
	attester_free(a);
	swtpm_stop(&s);
}

static void
a_tpm_that_is_cleared_goes_on_with_the_same_key(void **state)
{
	uint8_t der[P256_DER_MAX], before[P256_POINT_LEN];
	uint8_t after[P256_POINT_LEN];
	struct attester *a;
	struct swtpm s;
	size_t len;

	(void)state;
	swtpm_start(&s);
	a = attester_of(&s);
	assert_int_equal(attester_point(a, before), 0);
	assert_int_equal(Esys_Clear(a->tpm.esys, ESYS_TR_RH_LOCKOUT,
			     ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE),
	    0);
	// The key that was loaded is gone, and no other takes its place.
	assert_int_equal(attester_sign(a, key, 32, der, &len, after), -ENODEV);
	assert_non_null(attester_problem(a));
	a->tpm.retry_ms = 0;
	assert_int_equal(attester_sign(a, key, 32, der, &len, after), 0);
	assert_memory_equal(before, after, sizeof(before));
	check_quote(&a->tpm);
	check_activation(&a->tpm);
	attester_free(a);
	swtpm_stop(&s);
}

static void
set_password(struct tpm *t, ESYS_TR hierarchy, const char *old, const char *new)
{
	TPM2B_AUTH was = { .size = (uint16_t)strlen(old) };
	TPM2B_AUTH is = { .size = (uint16_t)strlen(new) };

	memcpy(was.buffer, old, was.size);
	memcpy(is.buffer, new, is.size);
	tpm_start_clock(t, TPM_DEADLINE_MS);
	assert_int_equal(Esys_TR_SetAuth(t->esys, hierarchy, &was), 0);
	assert_int_equal(Esys_HierarchyChangeAuth(t->esys, hierarchy,
			     ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &is),
	    0);
}

static void
passwords_of_the_tpm_are_named_or_not_needed(void **state)
{
	uint8_t der[P256_DER_MAX], point[P256_POINT_LEN];
	struct attester *a;
	struct swtpm s;
	size_t len;

	(void)state;
	swtpm_start(&s);
	a = attester_of(&s);
	// Of the owner: certificates are read with their own authority.
	set_password(&a->tpm, ESYS_TR_RH_OWNER, "", "secret");
	attester_free(a);
	a = attester_of(&s);
	assert_int_not_equal(a->tpm.ek_cert_len, 0);
	check_activation(&a->tpm);
	// Of the endorsement hierarchy: no key can be made.
	set_password(&a->tpm, ESYS_TR_RH_ENDORSEMENT, "", "secret");
	tpm_close(&a->tpm);
	a->tpm.retry_ms = 0;
	assert_int_equal(attester_sign(a, key, 32, der, &len, point), -ENODEV);
	assert_string_equal(attester_problem(a),
	    "the TPM's endorsement hierarchy has a password");
	attester_free(a);
	swtpm_stop(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_says_what_vouches),
		cmocka_unit_test(
		    a_software_key_makes_blobs_that_the_old_network_verifies),
		cmocka_unit_test(no_attester_and_no_tpm_sign_nothing),
		cmocka_unit_test(a_tpm_signs_quotes_and_activates),
		cmocka_unit_test(one_tpm_has_one_key_for_ever),
		cmocka_unit_test(
		    a_tpm_that_hangs_costs_a_deadline_and_comes_back),
		cmocka_unit_test(
		    a_tpm_that_dies_is_opened_again_when_it_is_back),
		cmocka_unit_test(waiting_for_a_tpm_ends_when_we_are_to_stop),
		cmocka_unit_test(
		    a_tpm_that_hangs_when_it_is_opened_costs_a_deadline),
		cmocka_unit_test(
		    a_tpm_that_is_cleared_goes_on_with_the_same_key),
		cmocka_unit_test(passwords_of_the_tpm_are_named_or_not_needed),
	};

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
