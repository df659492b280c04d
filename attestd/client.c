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
    const struct attestd_evidence *evidence, unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id)
{
	Ipc__VerdictRequest msg = IPC__VERDICT_REQUEST__INIT;

	msg.endpoint_id = bytes(endpoint_id, ENDPOINT_ID_LEN);
	msg.inference_key = bytes(inference_key, INFERENCE_KEY_LEN);
	msg.has_evidence = evidence->bytes != NULL;
	msg.evidence = bytes(evidence->bytes, evidence->len);
	return ipc_call(peer, IPC__TYPE__IPC_VERDICT_REQUEST, &msg.base, -1,
	    IPC__TYPE__IPC_VERDICT_REPLY, deadline_ms, fn, arg, ret_id);
}

int
attestd_verdict_read(
    int status, const ProtobufCMessage *msg, struct attestd_verdict *ret)
{
	const Ipc__VerdictReply *reply = (const Ipc__VerdictReply *)msg;

	if (status != 0)
		return status;
	// A level that we do not know must not compare as a high one.
	if (protobuf_c_enum_descriptor_get_value(
		&ipc__level__descriptor, (int)reply->level) == NULL)
		return -EBADMSG;
	if (strlen(reply->reason) > ATTESTD_REASON_MAX)
		return -EBADMSG;
	ret->level = reply->level;
	ret->reason = reply->reason;
	ret->expires_ms = reply->expires_ms;
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
