// What vouches for this node: a TPM 2.0, a software key for development, or
// nothing.  Only the signer has one.
#ifndef ATTESTD_ATTESTER_H
#define ATTESTD_ATTESTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attestd/chain_file.h"
#include "attestd/p256.h"
#include "attestd/tpm_alg.h"
#include "attestd/tpm_attest.h"
#include "attestd/tpm_credential.h"
#include "attestd/tpm_public.h"
#include "common/cleanup.h"

enum attester_kind { ATTESTER_NONE, ATTESTER_SOFTWARE, ATTESTER_TPM2 };

enum {
	ATTESTER_PCRS = 0x7fff, // 0 to 14: firmware, boot, Secure Boot, MOK
};

struct attester_config {
	enum attester_kind kind;
	const char *tcti; // device:PATH or swtpm:path=PATH
	// Who certified the TPM: the attester's, once it is there.
	struct chain_file ek_chain;
	// NULL, or asked when interrupt_fd can be read: shall we not wait for
	// the TPM any more?
	bool (*is_interrupted)(int fd);
	int interrupt_fd;
};

struct attester;

// "none", "software", "tpm2", "tpm2:TCTI".  *ret_why: what is wrong, static.
MUST_CHECK int attester_parse(
    const char *name, struct attester_config *ret, const char **ret_why);
// Before the sandbox.  A TPM that is not there is no error: it may come.
MUST_CHECK int attester_new(
    const struct attester_config *, struct attester **ret);
void attester_free(struct attester *);
enum attester_kind attester_kind_of(const struct attester *);
// NULL: it is fine.  Else why it cannot vouch now, in words.
const char *attester_problem(const struct attester *);

// The public half.  -ENODEV, -ETIMEDOUT.
MUST_CHECK int attester_point(
    struct attester *, uint8_t ret[static P256_POINT_LEN]);
// ECDSA over any text that does not begin like a TPM's own statement (-EPERM);
// the key's point goes with it.  -ENODEV: see attester_problem; -ETIMEDOUT.
MUST_CHECK int attester_sign(struct attester *, const uint8_t *message,
    size_t len, uint8_t ret_der[static P256_DER_MAX], size_t *ret_der_len,
    uint8_t ret_point[static P256_POINT_LEN]);

#endif
