// What the daemons may tell their parent: that they are ready, once; the
// signer, how what vouches for this node is; proxyd, what became of a reload.
#include "ctl/suite.h"

// clang-format off
const struct ipc_rule parent_rules[] = {
	{ IPC__TYPE__IPC_READY,
	    .from = FROM(ROLE_CRYPTOD) | FROM(ROLE_SIGNER) |
		FROM(ROLE_VERIFIER) | FROM(ROLE_GOSSIPD) | FROM(ROLE_PROXYD),
	    .phases = IPC_SERVING, .max_body = 512,
	    .descriptor = &ipc__ready__descriptor, .handle = handle_ready },
	{ IPC__TYPE__IPC_RELOAD_REPLY, .from = FROM(ROLE_PROXYD),
	    .phases = IPC_SERVING, .max_body = 1024, .is_reply = true,
	    .descriptor = &ipc__reload_reply__descriptor },
	{ IPC__TYPE__IPC_ATTESTER_STATE, .from = FROM(ROLE_SIGNER),
	    .phases = IPC_SERVING, .max_body = 256,
	    .descriptor = &ipc__attester_state__descriptor,
	    .handle = handle_attester_state },
};
// clang-format on

const size_t parent_n_rules = N_ELEMENTS(parent_rules);
