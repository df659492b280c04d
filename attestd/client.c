// The stubs that other daemons link to ask attestd something.  They check
// the shape of an answer and nothing else; what a level is good for is the
// caller's policy.  They keep nothing.
#include "attestd/client.h"

#include <string.h>

static ProtobufCBinaryData
bytes(const uint8_t *data, size_t len)
{
	// The generated structs know no const; packing only reads.
	return (ProtobufCBinaryData){ len, (uint8_t *)(uintptr_t)data };
}

int
attestd_verdict_send(struct ipc_peer *peer,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN],
    const uint8_t inference_key[static INFERENCE_KEY_LEN],
    const struct attestd_evidence *evidence, const uint8_t *binding,
    unsigned deadline_ms, ipc_reply_fn *fn, void *arg, uint32_t *ret_id)
{
	Ipc__VerdictRequest msg = IPC__VERDICT_REQUEST__INIT;

	msg.endpoint_id = bytes(endpoint_id, ENDPOINT_ID_LEN);
	msg.inference_key = bytes(inference_key, INFERENCE_KEY_LEN);
	msg.has_evidence = evidence->bytes != NULL;
	msg.evidence = bytes(evidence->bytes, evidence->len);
	msg.has_binding = binding != NULL;
	msg.binding = bytes(binding, ATTESTD_BINDING_LEN);
	return ipc_call(peer, IPC__TYPE__IPC_VERDICT_REQUEST, &msg.base, -1,
	    IPC__TYPE__IPC_VERDICT_REPLY, deadline_ms, fn, arg, ret_id);
}

// A level that we do not know must not compare as a high one.
static bool
is_known_level(Ipc__Level level)
{
	return protobuf_c_enum_descriptor_get_value(
		   &ipc__level__descriptor, (int)level) != NULL;
}

int
attestd_verdict_read(
    int status, const ProtobufCMessage *msg, struct attestd_verdict *ret)
{
	const Ipc__VerdictReply *reply = (const Ipc__VerdictReply *)msg;

	if (status != 0)
		return status;
	if (!is_known_level(reply->level) ||
	    strlen(reply->reason) > ATTESTD_REASON_MAX)
		return -EBADMSG;
	ret->level = reply->level;
	ret->reason = reply->reason;
	ret->expires_ms = reply->expires_ms;
	ret->made_ms = reply->has_made_ms ? reply->made_ms : 0;
	return 0;
}

int
attestd_evidence_copy_send(struct ipc_peer *peer,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN],
    const uint8_t inference_key[static INFERENCE_KEY_LEN],
    const struct attestd_evidence *evidence, int fd, unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id)
{
	Ipc__EvidenceCopyRequest msg = IPC__EVIDENCE_COPY_REQUEST__INIT;

	msg.endpoint_id = bytes(endpoint_id, ENDPOINT_ID_LEN);
	msg.inference_key = bytes(inference_key, INFERENCE_KEY_LEN);
	msg.has_evidence = evidence->bytes != NULL;
	msg.evidence = bytes(evidence->bytes, evidence->len);
	return ipc_call(peer, IPC__TYPE__IPC_EVIDENCE_COPY_REQUEST, &msg.base,
	    fd, IPC__TYPE__IPC_EVIDENCE_COPY_REPLY, deadline_ms, fn, arg,
	    ret_id);
}

int
attestd_evidence_copy_read(
    int status, const ProtobufCMessage *msg, size_t *ret_len)
{
	const Ipc__EvidenceCopyReply *reply =
	    (const Ipc__EvidenceCopyReply *)msg;

	if (status != 0)
		return status;
	if (reply->length > ATTESTD_EVIDENCE_COPY_MAX)
		return -EBADMSG;
	*ret_len = reply->length;
	return 0;
}

int
attestd_evidence_send(struct ipc_peer *peer, unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id)
{
	Ipc__EvidenceRequest msg = IPC__EVIDENCE_REQUEST__INIT;

	return ipc_call(peer, IPC__TYPE__IPC_EVIDENCE_REQUEST, &msg.base, -1,
	    IPC__TYPE__IPC_EVIDENCE_REPLY, deadline_ms, fn, arg, ret_id);
}

int
attestd_evidence_read(
    int status, const ProtobufCMessage *msg, struct attestd_evidence *ret)
{
	const Ipc__EvidenceReply *reply = (const Ipc__EvidenceReply *)msg;

	if (status != 0)
		return status;
	ret->bytes = reply->has_evidence ? reply->evidence.data : NULL;
	ret->len = reply->has_evidence ? reply->evidence.len : 0;
	return 0;
}

int
attestd_session_send(struct ipc_peer *peer,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN],
    const uint8_t inference_key[static INFERENCE_KEY_LEN],
    const uint8_t binding[static ATTESTD_BINDING_LEN], int fd, ipc_reply_fn *fn,
    void *arg, uint32_t *ret_id)
{
	Ipc__SessionRequest msg = IPC__SESSION_REQUEST__INIT;

	msg.endpoint_id = bytes(endpoint_id, ENDPOINT_ID_LEN);
	msg.inference_key = bytes(inference_key, INFERENCE_KEY_LEN);
	msg.binding = bytes(binding, ATTESTD_BINDING_LEN);
	return ipc_call(peer, IPC__TYPE__IPC_SESSION_REQUEST, &msg.base, fd,
	    IPC__TYPE__IPC_SESSION_REPLY, ATTESTD_SESSION_DEADLINE_MS, fn, arg,
	    ret_id);
}

int
attestd_session_read(
    int status, const ProtobufCMessage *msg, struct attestd_session *ret)
{
	const Ipc__SessionReply *reply = (const Ipc__SessionReply *)msg;

	if (status != 0)
		return status;
	if (!is_known_level(reply->level) ||
	    strlen(reply->reason) > ATTESTD_REASON_MAX ||
	    (!reply->judged && reply->level != IPC__LEVEL__LEVEL_NONE))
		return -EBADMSG;
	*ret = (struct attestd_session){ .is_judged = reply->judged != 0,
		.verdict = { .level = reply->level,
		    .reason = reply->reason,
		    .expires_ms = reply->expires_ms,
		    .made_ms = reply->has_made_ms ? reply->made_ms : 0 } };
	return 0;
}

int
attestd_attest_send(struct ipc_peer *peer, const struct attestd_attest *a,
    int fd, unsigned deadline_ms, ipc_reply_fn *fn, void *arg, uint32_t *ret_id)
{
	Ipc__AttestRequest msg = IPC__ATTEST_REQUEST__INIT;

	msg.nonce = bytes(a->nonce, 32);
	msg.ephemeral_key = bytes(a->ephemeral_key, 32);
	msg.binding = bytes(a->binding, ATTESTD_BINDING_LEN);
	return ipc_call(peer, IPC__TYPE__IPC_ATTEST_REQUEST, &msg.base, fd,
	    IPC__TYPE__IPC_ATTEST_REPLY, deadline_ms, fn, arg, ret_id);
}

// 32 bytes when the result is OK, nothing else.
static int
read_fixed(Ipc__Result result, bool has, const ProtobufCBinaryData *in,
    uint8_t ret[static 32])
{
	bool ok = result == IPC__RESULT__RESULT_OK;

	if (ok != has || (ok && in->len != 32))
		return -EBADMSG;
	if (ok)
		memcpy(ret, in->data, 32);
	return 0;
}

int
attestd_attest_read(int status, const ProtobufCMessage *msg,
    Ipc__Result *ret_result, uint8_t ret_hash[static ATTESTD_HASH_LEN])
{
	const Ipc__AttestReply *reply = (const Ipc__AttestReply *)msg;

	if (status != 0)
		return status;
	*ret_result = reply->result;
	return read_fixed(
	    reply->result, reply->has_hash != 0, &reply->hash, ret_hash);
}

int
attestd_activate_send(struct ipc_peer *peer,
    const uint8_t hash[static ATTESTD_HASH_LEN],
    const uint8_t credential[static ATTESTD_CREDENTIAL_LEN],
    unsigned deadline_ms, ipc_reply_fn *fn, void *arg, uint32_t *ret_id)
{
	Ipc__ActivateRequest msg = IPC__ACTIVATE_REQUEST__INIT;

	msg.hash = bytes(hash, ATTESTD_HASH_LEN);
	msg.credential = bytes(credential, ATTESTD_CREDENTIAL_LEN);
	return ipc_call(peer, IPC__TYPE__IPC_ACTIVATE_REQUEST, &msg.base, -1,
	    IPC__TYPE__IPC_ACTIVATE_REPLY, deadline_ms, fn, arg, ret_id);
}

int
attestd_activate_read(int status, const ProtobufCMessage *msg,
    Ipc__Result *ret_result, uint8_t ret_proof[static ATTESTD_PROOF_LEN])
{
	const Ipc__ActivateReply *reply = (const Ipc__ActivateReply *)msg;

	if (status != 0)
		return status;
	*ret_result = reply->result;
	return read_fixed(
	    reply->result, reply->has_proof != 0, &reply->proof, ret_proof);
}
