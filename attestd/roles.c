// The two processes of this program, and what each of them is given.
#include <string.h>

#include "attestd/attestd.h"

static const struct service_door signer_doors[] = {
	{ "cryptod-signer", "meshllm-crypto", "cryptod" },
	{ "signer-gossipd", "meshllm-gossip", "gossipd", .is_ours = true },
};

static const struct service_door verifier_doors[] = {
	{ "verifier-proxyd", "meshllm-proxy", "proxyd", .is_ours = true },
};

static const struct attestd_role roles[] = {
	{ .option = "signer",
	    .name = "attestd-signer",
	    .self = ROLE_SIGNER,
	    .rules = attestd_signer_rules,
	    .n_rules = N_ELEMENTS(attestd_signer_rules),
	    .sandbox = attestd_signer_sandbox,
	    .n_sandbox = N_ELEMENTS(attestd_signer_sandbox),
	    .channels = { ROLE_CRYPTOD, ROLE_GOSSIPD },
	    .n_channels = 2,
	    .doors = signer_doors },
	{ .option = "verifier",
	    .name = "attestd-verifier",
	    .self = ROLE_VERIFIER,
	    .rules = attestd_verifier_rules,
	    .n_rules = N_ELEMENTS(attestd_verifier_rules),
	    .sandbox = attestd_verifier_sandbox,
	    .n_sandbox = N_ELEMENTS(attestd_verifier_sandbox),
	    .channels = { ROLE_PROXYD },
	    .n_channels = 1,
	    .doors = verifier_doors },
};

const struct attestd_role *
attestd_find_role(const char *option)
{
	for (size_t i = 0; i < N_ELEMENTS(roles); i++)
		if (strcmp(option, roles[i].option) == 0)
			return &roles[i];
	return NULL;
}
