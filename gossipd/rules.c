// The contract of gossipd: who may tell it what.
#include "gossipd/gossipd.h"

#include "attestd/client.h"
#include "cryptod/client.h"
#include "common/leaving.h"
#include "common/log_level.h"

// clang-format off
const struct ipc_rule gossipd_rules[] = {
	{ IPC__TYPE__IPC_STOP, .from = FROM(ROLE_PARENT),
	    .phases = IPC_SERVING, .max_body = 0,
	    .descriptor = &ipc__stop__descriptor, .handle = handle_stop },
	LOG_LEVEL_RULE,
	LEAVING_RULE(
	    FROM(ROLE_CRYPTOD) | FROM(ROLE_PROXYD) | FROM(ROLE_SIGNER)),
	{ IPC__TYPE__IPC_POSTURE, .from = FROM(ROLE_PARENT) | FROM(ROLE_PROXYD),
	    .phases = IPC_SERVING, .max_body = 8,
	    .descriptor = &ipc__posture__descriptor,
	    .handle = handle_posture },

	{ IPC__TYPE__IPC_KEYS_REPLY, .from = FROM(ROLE_CRYPTOD),
	    .phases = IPC_SERVING,
	    .max_body = CRYPTOD_KEYS_REPLY_MAX, .is_reply = true,
	    .descriptor = &ipc__keys_reply__descriptor },
	{ IPC__TYPE__IPC_ANNOUNCE_REPLY, .from = FROM(ROLE_CRYPTOD),
	    .phases = IPC_SERVING,
	    .max_body = CRYPTOD_ANNOUNCE_REPLY_MAX, .is_reply = true,
	    .descriptor = &ipc__announce_reply__descriptor },
	{ IPC__TYPE__IPC_SIGN_REPLY, .from = FROM(ROLE_CRYPTOD),
	    .phases = IPC_SERVING,
	    .max_body = CRYPTOD_SIGN_REPLY_MAX, .is_reply = true,
	    .descriptor = &ipc__sign_reply__descriptor },
	{ IPC__TYPE__IPC_KEY_CHANGED, .from = FROM(ROLE_CRYPTOD),
	    .phases = IPC_SERVING, .max_body = 0,
	    .descriptor = &ipc__key_changed__descriptor,
	    .handle = handle_key_changed },

	{ IPC__TYPE__IPC_MEASURED, .from = FROM(ROLE_SIGNER),
	    .phases = IPC_SERVING, .max_body = MEASURED_BODY_MAX, .n_fds = 1,
	    .descriptor = &ipc__measured__descriptor,
	    .handle = handle_measured },
	{ IPC__TYPE__IPC_EVIDENCE_REPLY, .from = FROM(ROLE_SIGNER),
	    .phases = IPC_SERVING,
	    .max_body = ATTESTD_EVIDENCE_REPLY_MAX, .is_reply = true,
	    .descriptor = &ipc__evidence_reply__descriptor },
	{ IPC__TYPE__IPC_ATTEST_REPLY, .from = FROM(ROLE_SIGNER),
	    .phases = IPC_SERVING,
	    .max_body = ATTESTD_ATTEST_REPLY_MAX, .is_reply = true,
	    .descriptor = &ipc__attest_reply__descriptor },
	{ IPC__TYPE__IPC_ACTIVATE_REPLY, .from = FROM(ROLE_SIGNER),
	    .phases = IPC_SERVING,
	    .max_body = ATTESTD_ACTIVATE_REPLY_MAX, .is_reply = true,
	    .descriptor = &ipc__activate_reply__descriptor },

	{ IPC__TYPE__IPC_TUNNEL_REQUEST, .from = FROM(ROLE_PROXYD),
	    .phases = IPC_SERVING, .max_body = 40, .n_fds = 1,
	    .descriptor = &ipc__tunnel_request__descriptor,
	    .handle = handle_tunnel_request },
	{ IPC__TYPE__IPC_EVIDENCE_STREAM_REQUEST, .from = FROM(ROLE_PROXYD),
	    .phases = IPC_SERVING, .max_body = 34, .n_fds = 1,
	    .descriptor = &ipc__evidence_stream_request__descriptor,
	    .handle = handle_evidence_stream_request },
	{ IPC__TYPE__IPC_SELF_UPDATE, .from = FROM(ROLE_PROXYD),
	    .phases = IPC_SERVING, .max_body = 32,
	    .descriptor = &ipc__self_update__descriptor,
	    .handle = handle_self_update },
	{ IPC__TYPE__IPC_SELF_MODELS, .from = FROM(ROLE_PROXYD),
	    .phases = IPC_SERVING, .max_body = IPC_BODY_MAX,
	    .descriptor = &ipc__self_models__descriptor,
	    .handle = handle_self_models },
};
// clang-format on

const size_t gossipd_n_rules = N_ELEMENTS(gossipd_rules);

const struct service_door gossipd_doors[GOSSIPD_CHANNELS] = {
	{ "cryptod-gossipd", "meshllm-crypto", "cryptod" },
	{ "cryptod-gossipd-tls", "meshllm-crypto", "cryptod (handshakes)" },
	{ "gossipd-proxyd", "meshllm-proxy", "proxyd", .is_ours = true },
	{ "signer-gossipd", "meshllm-attest", "attestd-signer" },
};
