// What proxyd takes from whom: its whole contract with the other processes.
#include "attestd/client.h"
#include "common/leaving.h"
#include "cryptod/client.h"
#include "gossipd/client.h"
#include "proxyd/proxyd.h"

enum {
	PROCESSES_BODY_MAX = 1024,
	MESH_INFO_BODY_MAX = IPC_BODY_MAX, // the token has all addresses
	PEER_UPDATE_BODY_MAX = 1024 + EVIDENCE_MAX,
	ID_BODY_MAX = 34,			    // one field of 32 bytes
	TUNNEL_INBOUND_BODY_MAX = ID_BODY_MAX + 11, // and a time
	TUNNEL_REPLY_MAX = 2,
};

// clang-format off
const struct ipc_rule proxyd_rules[] = {
	// siblings
	LEAVING_RULE(
	    FROM(ROLE_CRYPTOD) | FROM(ROLE_GOSSIPD) | FROM(ROLE_VERIFIER)),

	// parent
	{ IPC__TYPE__IPC_STOP, .from = FROM(ROLE_PARENT),
	    .phases = IPC_SERVING, .max_body = 0,
	    .descriptor = &ipc__stop__descriptor, .handle = handle_stop },
	{ IPC__TYPE__IPC_PROCESSES, .from = FROM(ROLE_PARENT),
	    .phases = IPC_SERVING, .max_body = PROCESSES_BODY_MAX,
	    .descriptor = &ipc__processes__descriptor,
	    .handle = handle_processes },
	{ IPC__TYPE__IPC_RELOAD_FILE,
	    .from = FROM(ROLE_PARENT) | FROM(ROLE_RELOADER),
	    .phases = IPC_SERVING, .max_body = IPC_BODY_MAX,
	    .descriptor = &ipc__reload_file__descriptor,
	    .handle = handle_reload_file },
	{ IPC__TYPE__IPC_RELOAD,
	    .from = FROM(ROLE_PARENT) | FROM(ROLE_RELOADER),
	    .phases = IPC_SERVING, .max_body = IPC_BODY_MAX,
	    .descriptor = &ipc__reload__descriptor,
	    .handle = handle_reload },
	{ IPC__TYPE__IPC_POSTURE, .from = FROM(ROLE_PARENT),
	    .phases = IPC_SERVING, .max_body = IPC_BODY_MAX,
	    .descriptor = &ipc__posture__descriptor,
	    .handle = handle_posture },
	{ IPC__TYPE__IPC_ATTESTER_STATE, .from = FROM(ROLE_PARENT),
	    .phases = IPC_SERVING, .max_body = 256,
	    .descriptor = &ipc__attester_state__descriptor,
	    .handle = handle_attester_state },

	// cryptod, gossipd, verifier: without a parent
	{ IPC__TYPE__IPC_MEASURED, .from = FROM(ROLE_CRYPTOD) |
		FROM(ROLE_GOSSIPD) | FROM(ROLE_VERIFIER),
	    .phases = IPC_SERVING, .max_body = MEASURED_BODY_MAX, .n_fds = 1,
	    .descriptor = &ipc__measured__descriptor,
	    .handle = handle_measured },

	// cryptod
	{ IPC__TYPE__IPC_KEYS_REPLY, .from = FROM(ROLE_CRYPTOD),
	    .phases = IPC_SERVING, .max_body = CRYPTOD_KEYS_REPLY_MAX,
	    .is_reply = true, .descriptor = &ipc__keys_reply__descriptor },
	{ IPC__TYPE__IPC_SEAL_REPLY, .from = FROM(ROLE_CRYPTOD),
	    .phases = IPC_SERVING, .max_body = CRYPTOD_SEAL_REPLY_MAX,
	    .is_reply = true, .descriptor = &ipc__seal_reply__descriptor },
	{ IPC__TYPE__IPC_OPEN_REPLY, .from = FROM(ROLE_CRYPTOD),
	    .phases = IPC_SERVING, .max_body = CRYPTOD_OPEN_REPLY_MAX,
	    .is_reply = true, .descriptor = &ipc__open_reply__descriptor },
	{ IPC__TYPE__IPC_KEY_CHANGED, .from = FROM(ROLE_CRYPTOD),
	    .phases = IPC_SERVING, .max_body = CRYPTOD_KEY_CHANGED_MAX,
	    .descriptor = &ipc__key_changed__descriptor,
	    .handle = handle_key_changed },

	// gossipd
	{ IPC__TYPE__IPC_MESH_INFO, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = MESH_INFO_BODY_MAX,
	    .descriptor = &ipc__mesh_info__descriptor,
	    .handle = handle_mesh_info },
	{ IPC__TYPE__IPC_PEER_UPDATE, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = PEER_UPDATE_BODY_MAX,
	    .descriptor = &ipc__peer_update__descriptor,
	    .handle = handle_peer_update },
	{ IPC__TYPE__IPC_PEER_MODELS, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = IPC_BODY_MAX,
	    .descriptor = &ipc__peer_models__descriptor,
	    .handle = handle_peer_models },
	{ IPC__TYPE__IPC_PEER_GONE, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = ID_BODY_MAX,
	    .descriptor = &ipc__peer_gone__descriptor,
	    .handle = handle_peer_gone },
	{ IPC__TYPE__IPC_TUNNEL_INBOUND, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = TUNNEL_INBOUND_BODY_MAX,
	    .n_fds = 1, .descriptor = &ipc__tunnel_inbound__descriptor,
	    .handle = handle_tunnel_inbound },
	{ IPC__TYPE__IPC_TUNNEL_REPLY, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = TUNNEL_REPLY_MAX,
	    .is_reply = true, .descriptor = &ipc__tunnel_reply__descriptor },
	{ IPC__TYPE__IPC_EVIDENCE_STREAM_REPLY, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING,
	    .max_body = GOSSIPD_EVIDENCE_STREAM_REPLY_MAX, .is_reply = true,
	    .descriptor = &ipc__evidence_stream_reply__descriptor },

	// attestd, verifier
	{ IPC__TYPE__IPC_VERDICT_REPLY, .from = FROM(ROLE_VERIFIER),
	    .phases = IPC_SERVING, .max_body = ATTESTD_VERDICT_REPLY_MAX,
	    .is_reply = true, .descriptor = &ipc__verdict_reply__descriptor },
	{ IPC__TYPE__IPC_EVIDENCE_COPY_REPLY, .from = FROM(ROLE_VERIFIER),
	    .phases = IPC_SERVING,
	    .max_body = ATTESTD_EVIDENCE_COPY_REPLY_MAX, .is_reply = true,
	    .descriptor = &ipc__evidence_copy_reply__descriptor },
	{ IPC__TYPE__IPC_VERDICTS_VOID, .from = FROM(ROLE_VERIFIER),
	    .phases = IPC_SERVING, .max_body = ID_BODY_MAX,
	    .descriptor = &ipc__verdicts_void__descriptor,
	    .handle = handle_verdicts_void },
	{ IPC__TYPE__IPC_SESSION_REPLY, .from = FROM(ROLE_VERIFIER),
	    .phases = IPC_SERVING, .max_body = ATTESTD_SESSION_REPLY_MAX,
	    .is_reply = true, .descriptor = &ipc__session_reply__descriptor },
};
// clang-format on

const size_t proxyd_n_rules = N_ELEMENTS(proxyd_rules);

const struct service_door proxyd_doors[PROXYD_DOORS] = {
	{ "cryptod-proxyd", "meshllm-crypto", "cryptod" },
	{ "gossipd-proxyd", "meshllm-gossip", "gossipd" },
	{ "verifier-proxyd", "meshllm-attest", "attestd-verifier" },
	{ "proxyd-reload", NULL, "meshllm-reload", .is_ours = true,
	    .is_visitor = true },
};
