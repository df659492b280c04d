// Who may ask attestd what: one table for each of its two processes.
#include "attestd/attestd.h"

#include "common/leaving.h"
#include "common/log_level.h"

// clang-format off
#define STOP_RULE							\
	{ IPC__TYPE__IPC_STOP, .from = FROM(ROLE_PARENT),		\
	    .phases = IPC_SERVING, .max_body = 0,			\
	    .descriptor = &ipc__stop__descriptor, .handle = handle_stop }

const struct ipc_rule attestd_signer_rules[ATTESTD_N_SIGNER_RULES] = {
	STOP_RULE,
	LOG_LEVEL_RULE,
	LEAVING_RULE(FROM(ROLE_CRYPTOD) | FROM(ROLE_GOSSIPD)),
	{ IPC__TYPE__IPC_KEYS_REPLY, .from = FROM(ROLE_CRYPTOD),
	    .phases = IPC_SERVING, .max_body = CRYPTOD_KEYS_REPLY_MAX,
	    .is_reply = true, .descriptor = &ipc__keys_reply__descriptor },
	{ IPC__TYPE__IPC_KEY_CHANGED, .from = FROM(ROLE_CRYPTOD),
	    .phases = IPC_SERVING, .max_body = CRYPTOD_KEY_CHANGED_MAX,
	    .descriptor = &ipc__key_changed__descriptor,
	    .handle = handle_key_changed },
	{ IPC__TYPE__IPC_EVIDENCE_REQUEST, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = 0,
	    .descriptor = &ipc__evidence_request__descriptor,
	    .handle = handle_evidence },
	{ IPC__TYPE__IPC_ATTEST_REQUEST, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = 3 * 34, .n_fds = 1,
	    .descriptor = &ipc__attest_request__descriptor,
	    .handle = handle_attest },
	{ IPC__TYPE__IPC_ACTIVATE_REQUEST, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = 34 + 3 + EVIDENCE_CREDENTIAL_LEN,
	    .descriptor = &ipc__activate_request__descriptor,
	    .handle = handle_activate },
	{ IPC__TYPE__IPC_LIVENESS_REPLY, .from = FROM(ROLE_CRYPTOD),
	    .phases = IPC_SERVING, .max_body = CRYPTOD_LIVENESS_REPLY_MAX,
	    .is_reply = true, .descriptor = &ipc__liveness_reply__descriptor },
};

const struct ipc_rule attestd_verifier_rules[ATTESTD_N_VERIFIER_RULES] = {
	STOP_RULE,
	LOG_LEVEL_RULE,
	LEAVING_RULE(FROM(ROLE_PROXYD)),
	{ IPC__TYPE__IPC_VERDICT_REQUEST, .from = FROM(ROLE_PROXYD),
	    .phases = IPC_SERVING, .max_body = 3 * 34 + 3 + EVIDENCE_MAX,
	    .descriptor = &ipc__verdict_request__descriptor,
	    .handle = handle_verdict },
	{ IPC__TYPE__IPC_EVIDENCE_COPY_REQUEST, .from = FROM(ROLE_PROXYD),
	    .phases = IPC_SERVING, .max_body = 68 + 3 + EVIDENCE_MAX,
	    .n_fds = 1, .descriptor = &ipc__evidence_copy_request__descriptor,
	    .handle = handle_evidence_copy },
	{ IPC__TYPE__IPC_SESSION_REQUEST, .from = FROM(ROLE_PROXYD),
	    .phases = IPC_SERVING, .max_body = 3 * 34, .n_fds = 1,
	    .descriptor = &ipc__session_request__descriptor,
	    .handle = handle_session },
};
// clang-format on
