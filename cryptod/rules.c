// Who may ask cryptod what.  This table is all that another process can make
// it do; sizes are those of the one well-formed message of each type.
#include "cryptod/cryptod.h"

#include "common/leaving.h"
#include "common/log_level.h"

// clang-format off
const struct ipc_rule cryptod_rules[] = {
	{ IPC__TYPE__IPC_STOP, .from = FROM(ROLE_PARENT),
	    .phases = IPC_SERVING, .max_body = 0,
	    .descriptor = &ipc__stop__descriptor, .handle = handle_stop },
	LOG_LEVEL_RULE,
	LEAVING_RULE(FROM(ROLE_PROXYD) | FROM(ROLE_GOSSIPD) |
	    FROM(ROLE_GOSSIPD_TLS) | FROM(ROLE_SIGNER)),
	{ IPC__TYPE__IPC_KEYS_REQUEST,
	    .from = FROM(ROLE_GOSSIPD) | FROM(ROLE_PROXYD) | FROM(ROLE_SIGNER),
	    .phases = IPC_SERVING, .max_body = 0,
	    .descriptor = &ipc__keys_request__descriptor,
	    .handle = handle_keys },
	{ IPC__TYPE__IPC_SIGN_REQUEST, .from = FROM(ROLE_GOSSIPD_TLS),
	    .phases = IPC_SERVING, .max_body = 149,
	    .descriptor = &ipc__sign_request__descriptor,
	    .handle = handle_sign },
	{ IPC__TYPE__IPC_ANNOUNCE_REQUEST, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = 0,
	    .descriptor = &ipc__announce_request__descriptor,
	    .handle = handle_announce },
	{ IPC__TYPE__IPC_SEAL_REQUEST, .from = FROM(ROLE_PROXYD),
	    .phases = IPC_SERVING, .max_body = 34,
	    .descriptor = &ipc__seal_request__descriptor,
	    .handle = handle_seal },
	{ IPC__TYPE__IPC_OPEN_REQUEST, .from = FROM(ROLE_PROXYD),
	    .phases = IPC_SERVING, .max_body = 34,
	    .descriptor = &ipc__open_request__descriptor,
	    .handle = handle_open },
	{ IPC__TYPE__IPC_LIVENESS_REQUEST, .from = FROM(ROLE_SIGNER),
	    .phases = IPC_SERVING, .max_body = 102,
	    .descriptor = &ipc__liveness_request__descriptor,
	    .handle = handle_liveness },
};
// clang-format on
const size_t cryptod_n_rules = N_ELEMENTS(cryptod_rules);

const enum ipc_role cryptod_channels[] = {
	ROLE_PROXYD,
	ROLE_GOSSIPD,
	ROLE_GOSSIPD_TLS,
	ROLE_SIGNER,
};
const size_t cryptod_n_channels = N_ELEMENTS(cryptod_channels);

// The same, where systemd starts us: all come to us.
const struct service_door cryptod_doors[] = {
	{ "cryptod-proxyd", "meshllm-proxy", "proxyd", .is_ours = true },
	{ "cryptod-gossipd", "meshllm-gossip", "gossipd", .is_ours = true },
	{ "cryptod-gossipd-tls", "meshllm-gossip", "gossipd (handshakes)",
	    .is_ours = true },
	{ "cryptod-signer", "meshllm-attest", "attestd-signer",
	    .is_ours = true },
};
_Static_assert(N_ELEMENTS(cryptod_doors) == N_ELEMENTS(cryptod_channels),
    "a door for each channel");
