// What other daemons ask of attestd.  Linked by them, not by attestd.
#ifndef ATTESTD_CLIENT_H
#define ATTESTD_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ipc.h"
#include "common/sizes.h"

enum {
	ATTESTD_REASON_MAX = 256,	 // bytes of a verdict's reason
	ATTESTD_VERDICT_REPLY_MAX = 280, // bytes of each answer
	ATTESTD_EVIDENCE_REPLY_MAX = IPC_BODY_MAX,
	ATTESTD_EVIDENCE_COPY_REPLY_MAX = 6,
	ATTESTD_EVIDENCE_COPY_MAX = 128 * 1024, // an evidence file
};

struct attestd_verdict {
	Ipc__Level level;
	const char *reason;  // in the answer: copy before the callback returns
	uint64_t expires_ms; // Unix; check it at use
};

struct attestd_evidence {
	const uint8_t *bytes; // in the answer; NULL: no attester
	size_t len;
};

// All _send: 0, or what ipc_call() says; ret_id may be NULL.
// All _read: 0, status if it is an error, or -EBADMSG.

// proxyd asks the verifier: how far can this key of this node be trusted?
// evidence: the node's own, from gossip.
MUST_CHECK int attestd_verdict_send(struct ipc_peer *,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN],
    const uint8_t inference_key[static INFERENCE_KEY_LEN],
    const struct attestd_evidence *, unsigned deadline_ms, ipc_reply_fn *fn,
    void *arg, uint32_t *ret_id);
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

#endif
