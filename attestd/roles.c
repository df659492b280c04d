// The two processes of this program, and what each of them is given.
#include <string.h>

#include "attestd/attestd.h"

static const struct attestd_role roles[] = {
	{ .option = "signer",
	    .name = "attestd-signer",
	    .self = ROLE_SIGNER,
	    .rules = attestd_signer_rules,
	    .n_rules = N_ELEMENTS(attestd_signer_rules),
	    .sandbox = attestd_signer_sandbox,
	    .n_sandbox = N_ELEMENTS(attestd_signer_sandbox),
	    .channels = { ROLE_CRYPTOD, ROLE_GOSSIPD },
	    .n_channels = 2 },
	{ .option = "verifier",
	    .name = "attestd-verifier",
	    .self = ROLE_VERIFIER,
	    .rules = attestd_verifier_rules,
	    .n_rules = N_ELEMENTS(attestd_verifier_rules),
	    .sandbox = attestd_verifier_sandbox,
	    .n_sandbox = N_ELEMENTS(attestd_verifier_sandbox),
	    .channels = { ROLE_PROXYD },
	    .n_channels = 1 },
};

const struct attestd_role *
attestd_find_role(const char *option)
{
	for (size_t i = 0; i < N_ELEMENTS(roles); i++)
		if (strcmp(option, roles[i].option) == 0)
			return &roles[i];
	return NULL;
}
