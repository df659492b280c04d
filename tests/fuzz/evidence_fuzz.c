// Target: evidence_verify, and the readers of the two fixed messages.
#include <stdlib.h>
#include <string.h>

#include "attestd/evidence.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t zeros[32];
	struct ek_roots roots = { ek_vendor_roots, EK_N_VENDOR_ROOTS };
	struct evidence_question q = { zeros, zeros, zeros, zeros,
		1778133600000, &roots, 1 };
	uint8_t fixed[EVIDENCE_CREDENTIAL_LEN] = { 0 };
	uint8_t again[EVIDENCE_V2_MAX];
	struct tpm_credential credential;
	struct evidence_result result;
	struct evidence_hello hello;
	struct evidence e;
	size_t len;

	evidence_verify(data, size, &q, &result);
	if (evidence_problem(&result) == NULL)
		abort(); // nobody signed for an all-zero key
	// What is read is written the same.
	if (evidence_read(data, size, &e) == 0 &&
	    (evidence_write(&e, again, sizeof(again), &len) < 0 ||
		len != size || memcmp(again, data, len) != 0))
		abort();
	memcpy(fixed, data, size < sizeof(fixed) ? size : sizeof(fixed));
	if (evidence_credential_read(fixed, &credential) == 0 &&
	    credential.secret_len > sizeof(credential.secret))
		abort();
	if (evidence_hello_read(fixed, &hello) == 0 &&
	    memcmp(hello.nonce, fixed + 8, 32) != 0)
		abort();
	return 0;
}
