// A host with a software TPM and its own authority.
#ifndef TESTS_UNIT_TPM_HOST_H
#define TESTS_UNIT_TPM_HOST_H

#include "attestd/attester.h"
#include "attestd/evidence.h"
#include "attestd/evidence_make.h"
#include "tests/unit/swtpm.h"

enum { TPM_HOST_WAITERS = 3 };

extern const uint8_t tpm_host_node[32], tpm_host_inference[32];
extern const struct evidence_waiter tpm_host_waiters[TPM_HOST_WAITERS];

struct tpm_host {
	struct swtpm swtpm;
	struct attester *attester;
	char chain[128]; // PEM file
	struct ek_root root;
	struct ek_roots roots;
	struct evidence_claims claims;
	struct evidence_question question; // of waiter 1
	uint8_t bytes[EVIDENCE_V2_MAX];
	size_t len;
	struct evidence e; // of bytes
	uint8_t forged[EVIDENCE_V2_MAX];
};

// *state: the host, with evidence for all waiters.  Skips without swtpm.
int tpm_host_setup(void **state);
int tpm_host_teardown(void **state);
// New evidence, for the first waiters.
void tpm_host_make(struct tpm_host *, size_t n_waiters);

#endif
