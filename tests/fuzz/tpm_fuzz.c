// Target: tpm_attest_parse, tpm_public_parse, tpm_signature_parse and what
// is done with a result.  The first byte says which.
#include <stdlib.h>
#include <string.h>

#include "attestd/tpm_attest.h"
#include "attestd/tpm_credential.h"
#include "attestd/tpm_public.h"
#include "tests/fuzz/fuzz.h"

static const uint8_t ak[] = "\x00\x23\x00\x0b\x00\x05\x04\x72\x00\x00\x00\x10"
			    "\x00\x18\x00\x0b\x00\x03\x00\x10\x00\x20";

static void
fuzz_attest(const uint8_t *data, size_t size)
{
	struct tpm_attest a;

	if (tpm_attest_parse(data, size, &a) == 0)
		(void)tpm_pcr_values_match(&a, TPM_SHA256, data, size);
}

static void
fuzz_public(const uint8_t *data, size_t size)
{
	static const uint8_t name[34], secret[TPM_CREDENTIAL_SECRET_LEN];
	uint8_t computed[TPM_NAME_MAX];
	struct tpm_credential credential;
	struct tpm_public p;
	size_t n;

	if (tpm_public_parse(data, size, &p) < 0)
		return;
	if (tpm_public_why_no_ak(&p) == NULL &&
	    tpm_public_why_no_ek(&p) == NULL)
		abort(); // one key cannot be both
	if (tpm_public_name(&p, computed, &n) < 0 || n > sizeof(computed))
		abort();
	if (tpm_credential_make(&p, name, sizeof(name), secret, &credential) ==
		0 &&
	    credential.id_object_len > sizeof(credential.id_object))
		abort();
}

static void
fuzz_signature(const uint8_t *data, size_t size)
{
	struct tpm_signature s;
	struct tpm_public p;
	uint8_t area[88] = { 0 };

	memcpy(area, ak, sizeof(ak) - 1);
	memset(area + sizeof(ak) - 1, 7, 32);
	area[sizeof(ak) - 1 + 33] = 32;
	if (tpm_signature_parse(data, size, &s) == 0 &&
	    tpm_public_parse(area, sizeof(area), &p) == 0 &&
	    tpm_signature_verify(&s, &p, data, size) == 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		fuzz_attest(data + 1, size - 1);
		break;
	case 1:
		fuzz_public(data + 1, size - 1);
		break;
	default:
		fuzz_signature(data + 1, size - 1);
		break;
	}
	return 0;
}
