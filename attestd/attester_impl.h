// What the attester's files share.
#ifndef ATTESTD_ATTESTER_IMPL_H
#define ATTESTD_ATTESTER_IMPL_H

#include "attestd/attester.h"
#include "attestd/tpm.h"

struct attester {
	enum attester_kind kind;
	EVP_PKEY *key;	// ATTESTER_SOFTWARE
	struct tpm tpm; // ATTESTER_TPM2
	// Who certified the TPM, DER; owned.
	uint8_t *chain[ATTESTER_CHAIN_MAX];
	size_t chain_len[ATTESTER_CHAIN_MAX];
	size_t n_chain;
};

#endif
