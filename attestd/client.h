// What other daemons ask of attestd.  Linked by them, not by attestd.
#ifndef ATTESTD_CLIENT_H
#define ATTESTD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ipc.h"
#include "common/sizes.h"

enum {
	ATTESTD_REASON_MAX = 256,	 // bytes of a verdict's reason
	ATTESTD_VERDICT_REPLY_MAX = 292, // bytes of each answer
	ATTESTD_EVIDENCE_REPLY_MAX = IPC_BODY_MAX,
	ATTESTD_EVIDENCE_COPY_REPLY_MAX = 6,
	ATTESTD_EVIDENCE_COPY_MAX = 128 * 1024, // an evidence file
	ATTESTD_SESSION_REPLY_MAX = 300,
	ATTESTD_ATTEST_REPLY_MAX = 36,
	ATTESTD_ACTIVATE_REPLY_MAX = 36,
	// Two answers of a host, and the time to judge them.
	ATTESTD_SESSION_DEADLINE_MS = 12 * 1000,
	ATTESTD_BINDING_LEN = 32, // RFC 9266
	ATTESTD_HASH_LEN = 32,
	ATTESTD_PROOF_LEN = 32,
	ATTESTD_HELLO_LEN = 80, // of evidence v2: docs/wire-evidence.md
	ATTESTD_CREDENTIAL_LEN = 652,
	ATTESTD_ANSWER_MAX = 4 + 64 * 1024 + 32,
};

struct attestd_verdict {
	Ipc__Level level;
	const char *reason;  // in the answer: copy before the callback returns
	uint64_t expires_ms; // Unix; check it at use
	uint64_t made_ms;    // Unix: the evidence; 0: none counts
};

// What a session has found out.
struct attestd_session {
	bool is_judged; // false: there was no evidence to judge
	struct attestd_verdict verdict;
};

struct attestd_attest {
	const uint8_t *nonce;	      // 32
	const uint8_t *ephemeral_key; // 32
	const uint8_t *binding;	      // ATTESTD_BINDING_LEN
};

struct attestd_evidence {
	const uint8_t *bytes; // in the answer; NULL: no attester
	size_t len;
};

// All _send: 0, or what ipc_call() says; ret_id may be NULL.
// All _read: 0, status if it is an error, or -EBADMSG.

// proxyd asks the verifier: how far can this key of this node be trusted?
// evidence: the node's own, from gossip; binding: of its connection, or NULL.
MUST_CHECK int attestd_verdict_send(struct ipc_peer *,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN],
    const uint8_t inference_key[static INFERENCE_KEY_LEN],
    const struct attestd_evidence *, const uint8_t *binding,
    unsigned deadline_ms, ipc_reply_fn *fn, void *arg, uint32_t *ret_id);
MUST_CHECK int attestd_verdict_read(
    int status, const ProtobufCMessage *msg, struct attestd_verdict *ret);

// proxyd asks the verifier for an evidence file.  fd: taken, also on failure.
MUST_CHECK int attestd_evidence_copy_send(struct ipc_peer *,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN],
    const uint8_t inference_key[static INFERENCE_KEY_LEN],
    const struct attestd_evidence *, int fd, unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id);
MUST_CHECK int attestd_evidence_copy_read(
    int status, const ProtobufCMessage *msg, size_t *ret_len);

// gossipd asks the signer for this node's evidence.
MUST_CHECK int attestd_evidence_send(struct ipc_peer *, unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id);
MUST_CHECK int attestd_evidence_read(
    int status, const ProtobufCMessage *msg, struct attestd_evidence *ret);

// proxyd has the verifier ask a host.  fd: leads to it, taken also on failure;
// binding: of the connection that it uses.
MUST_CHECK int attestd_session_send(struct ipc_peer *,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN],
    const uint8_t inference_key[static INFERENCE_KEY_LEN],
    const uint8_t binding[static ATTESTD_BINDING_LEN], int fd, ipc_reply_fn *fn,
    void *arg, uint32_t *ret_id);
MUST_CHECK int attestd_session_read(
    int status, const ProtobufCMessage *msg, struct attestd_session *ret);

// gossipd has the signer answer a peer.  fd: the answer is written to it before
// the reply, at most ATTESTD_ANSWER_MAX bytes; taken also on failure.
MUST_CHECK int attestd_attest_send(struct ipc_peer *,
    const struct attestd_attest *, int fd, unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id);
// *ret_result: not OK, why not.  ret_hash only when OK.
MUST_CHECK int attestd_attest_read(int status, const ProtobufCMessage *msg,
    Ipc__Result *ret_result, uint8_t ret_hash[static ATTESTD_HASH_LEN]);
MUST_CHECK int attestd_activate_send(struct ipc_peer *,
    const uint8_t hash[static ATTESTD_HASH_LEN],
    const uint8_t credential[static ATTESTD_CREDENTIAL_LEN],
    unsigned deadline_ms, ipc_reply_fn *fn, void *arg, uint32_t *ret_id);
MUST_CHECK int attestd_activate_read(int status, const ProtobufCMessage *msg,
    Ipc__Result *ret_result, uint8_t ret_proof[static ATTESTD_PROOF_LEN]);

#endif
