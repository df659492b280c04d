// Target: ek_chain_verify.  Certificates with 16-bit lengths before them; the
// last one is trusted, so that whole chains are walked.
#include <stdlib.h>

#include "attestd/ek_chain.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ek_root root = { .vendor = "fuzz", .source = "fuzz" };
	struct ek_roots lists[] = { { ek_vendor_roots, EK_N_VENDOR_ROOTS },
		{ &root, 1 } };
	struct tpm_bytes certs[EK_CHAIN_MAX];
	struct tpm_reader r = tpm_reader_of(data, size);
	struct ek_result result;
	size_t n = 0;
	X509 *last;

	while (n < EK_CHAIN_MAX && r.left > 2 && !r.is_bad)
		certs[n++] = tpm_read_2b(&r, EK_CERTIFICATE_MAX);
	if (r.is_bad || n == 0)
		return 0;
	if (ek_certificate_parse(certs[n - 1].at, certs[n - 1].len, &last) ==
	    0) {
		if (ek_fingerprint(last, root.fingerprint) < 0)
			abort();
		X509_free(last);
	}
	result = ek_chain_verify(certs, n, lists, 2, EK_USE_ENDORSEMENT);
	if (result.problem == NULL && result.key == NULL)
		abort();
	EVP_PKEY_free(result.key);
	return 0;
}
