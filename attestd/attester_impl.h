// What the attester's files share.
#ifndef ATTESTD_ATTESTER_IMPL_H
#define ATTESTD_ATTESTER_IMPL_H

#include "attestd/attester.h"
#include "attestd/tpm.h"

struct attester {
	enum attester_kind kind;
	EVP_PKEY *key;		 // ATTESTER_SOFTWARE
	struct tpm tpm;		 // ATTESTER_TPM2
	struct chain_file chain; // who certified the TPM
};

#endif
