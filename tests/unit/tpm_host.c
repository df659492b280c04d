// The attester of the product, on swtpm, with an authority of its own.
#include "tests/unit/tpm_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/pem.h>

#include "common/process.h"

const uint8_t tpm_host_node[32] = { 1 }, tpm_host_inference[32] = { 2 };
const struct evidence_waiter tpm_host_waiters[TPM_HOST_WAITERS] = {
	{ { 3 }, { 4 } }, { { 5 }, { 6 } }, { { 7 }, { 8 } }
};

// The authority's root, as the operator would add it, and its chain.
static void
trust_authority(struct tpm_host *h)
{
	char path[128];
	BIO *in, *out;
	X509 *cert;

	(void)snprintf(
	    h->chain, sizeof(h->chain), "%s/chain.pem", h->swtpm.dir);
	out = BIO_new_file(h->chain, "w");
	assert_non_null(out);
	for (int i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", h->swtpm.dir,
		    i == 0 ? "issuercert.pem"
			   : "swtpm-localca-rootca-cert.pem");
		in = BIO_new_file(path, "r");
		assert_non_null(in);
		cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
		assert_non_null(cert);
		BIO_free(in);
		assert_int_equal(PEM_write_bio_X509(out, cert), 1);
		assert_int_equal(ek_fingerprint(cert, h->root.fingerprint), 0);
		X509_free(cert);
	}
	BIO_free(out);
	h->root.vendor = "test authority";
	h->roots = (struct ek_roots){ &h->root, 1 };
}

void
tpm_host_make(struct tpm_host *h, size_t n_waiters)
{
	assert_int_equal(evidence_make(h->attester, &h->claims,
			     tpm_host_waiters, n_waiters, h->bytes, &h->len),
	    0);
	assert_int_equal(evidence_read(h->bytes, h->len, &h->e), 0);
}

int
tpm_host_setup(void **state)
{
	struct tpm_host *h = calloc(1, sizeof(*h));
	struct attester_config c = { .kind = ATTESTER_TPM2 };
	const char *why;

	*state = NULL;
	swtpm_start(&h->swtpm);
	*state = h;
	trust_authority(h);
	c.tcti = h->swtpm.tcti;
	assert_int_equal(chain_file_read(h->chain, &c.ek_chain, &why), 0);
	assert_int_equal(attester_new(&c, &h->attester), 0);
	if (attester_problem(h->attester) != NULL)
		fail_msg("%s", attester_problem(h->attester));
	memcpy(h->claims.endpoint_id, tpm_host_node, 32);
	memcpy(h->claims.inference_key, tpm_host_inference, 32);
	h->claims.made_ms = clock_unix_ms();
	h->question = (struct evidence_question){ .endpoint_id = tpm_host_node,
		.inference_key = tpm_host_inference,
		.nonce = tpm_host_waiters[1].nonce,
		.binding = tpm_host_waiters[1].binding,
		.now_ms = h->claims.made_ms,
		.roots = &h->roots,
		.n_roots = 1 };
	tpm_host_make(h, TPM_HOST_WAITERS);
	return 0;
}

int
tpm_host_teardown(void **state)
{
	struct tpm_host *h = *state;

	if (h == NULL)
		return 0;
	attester_free(h->attester);
	swtpm_stop(&h->swtpm);
	free(h);
	return 0;
}
