// The stubs that other daemons link to ask cryptod something.  They trust
// cryptod with the content of an answer, but check its shape: a length that
// is wrong is an error here, never a read beyond the answer.  They must keep
// no copy of a key: answers are borrowed from the frame, which is wiped.
#include "cryptod/client.h"

#include <string.h>

static ProtobufCBinaryData
bytes(const uint8_t *data, size_t len)
{
	// The generated structs know no const; packing only reads.
	return (ProtobufCBinaryData){ len, (uint8_t *)(uintptr_t)data };
}

int
cryptod_keys_send(struct ipc_peer *peer, unsigned deadline_ms, ipc_reply_fn *fn,
    void *arg, uint32_t *ret_id)
{
	Ipc__KeysRequest msg = IPC__KEYS_REQUEST__INIT;

	return ipc_call(peer, IPC__TYPE__IPC_KEYS_REQUEST, &msg.base, -1,
	    IPC__TYPE__IPC_KEYS_REPLY, deadline_ms, fn, arg, ret_id);
}

int
cryptod_keys_read(
    int status, const ProtobufCMessage *msg, struct cryptod_keys *ret)
{
	const Ipc__KeysReply *reply = (const Ipc__KeysReply *)msg;

	if (status != 0)
		return status;
	if (reply->endpoint_id.len != ENDPOINT_ID_LEN ||
	    reply->inference_key.len != INFERENCE_KEY_LEN)
		return -EBADMSG;
	memcpy(ret->endpoint_id, reply->endpoint_id.data, ENDPOINT_ID_LEN);
	memcpy(
	    ret->inference_key, reply->inference_key.data, INFERENCE_KEY_LEN);
	ret->identity_in_secret_memory = reply->identity_in_secret_memory != 0;
	return 0;
}

int
cryptod_announce_send(struct ipc_peer *peer, unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id)
{
	Ipc__AnnounceRequest msg = IPC__ANNOUNCE_REQUEST__INIT;

	return ipc_call(peer, IPC__TYPE__IPC_ANNOUNCE_REQUEST, &msg.base, -1,
	    IPC__TYPE__IPC_ANNOUNCE_REPLY, deadline_ms, fn, arg, ret_id);
}

int
cryptod_announce_read(int status, const ProtobufCMessage *msg,
    uint8_t ret[static ANNOUNCEMENT_LEN])
{
	const Ipc__AnnounceReply *reply = (const Ipc__AnnounceReply *)msg;

	if (status != 0)
		return status;
	if (reply->announcement.len != ANNOUNCEMENT_LEN)
		return -EBADMSG;
	memcpy(ret, reply->announcement.data, ANNOUNCEMENT_LEN);
	return 0;
}

int
cryptod_liveness_send(struct ipc_peer *peer,
    const uint8_t inference_key[static INFERENCE_KEY_LEN],
    const uint8_t ephemeral_key[static INFERENCE_KEY_LEN],
    const uint8_t hash[static LIVENESS_HASH_LEN], unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id)
{
	Ipc__LivenessRequest msg = IPC__LIVENESS_REQUEST__INIT;

	msg.inference_key = bytes(inference_key, INFERENCE_KEY_LEN);
	msg.ephemeral_key = bytes(ephemeral_key, INFERENCE_KEY_LEN);
	msg.hash = bytes(hash, LIVENESS_HASH_LEN);
	return ipc_call(peer, IPC__TYPE__IPC_LIVENESS_REQUEST, &msg.base, -1,
	    IPC__TYPE__IPC_LIVENESS_REPLY, deadline_ms, fn, arg, ret_id);
}

int
cryptod_liveness_read(int status, const ProtobufCMessage *msg,
    uint8_t ret[static LIVENESS_MAC_LEN])
{
	const Ipc__LivenessReply *reply = (const Ipc__LivenessReply *)msg;

	if (status != 0)
		return status;
	if (reply->result != IPC__RESULT__RESULT_OK)
		return -ENOKEY;
	if (!reply->has_mac || reply->mac.len != LIVENESS_MAC_LEN)
		return -EBADMSG;
	memcpy(ret, reply->mac.data, LIVENESS_MAC_LEN);
	return 0;
}

int
cryptod_seal_send(struct ipc_peer *peer,
    const uint8_t recipient_key[static INFERENCE_KEY_LEN], unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id)
{
	Ipc__SealRequest msg = IPC__SEAL_REQUEST__INIT;

	msg.recipient_key = bytes(recipient_key, INFERENCE_KEY_LEN);
	return ipc_call(peer, IPC__TYPE__IPC_SEAL_REQUEST, &msg.base, -1,
	    IPC__TYPE__IPC_SEAL_REPLY, deadline_ms, fn, arg, ret_id);
}

int
cryptod_seal_read(
    int status, const ProtobufCMessage *msg, struct cryptod_sealed *ret)
{
	const Ipc__SealReply *reply = (const Ipc__SealReply *)msg;
	struct cryptod_sealed sealed = { 0 };

	if (status != 0)
		return status;
	sealed.result = reply->result;
	if (reply->result == IPC__RESULT__RESULT_OK) {
		if (!reply->has_ephemeral_key || !reply->has_request_key ||
		    reply->ephemeral_key.len != INFERENCE_KEY_LEN ||
		    reply->request_key.len != REQUEST_KEY_LEN)
			return -EBADMSG;
		sealed.ephemeral_key = reply->ephemeral_key.data;
		sealed.request_key = reply->request_key.data;
	}
	*ret = sealed;
	return 0;
}

int
cryptod_open_send(struct ipc_peer *peer,
    const uint8_t ephemeral_key[static INFERENCE_KEY_LEN], unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id)
{
	Ipc__OpenRequest msg = IPC__OPEN_REQUEST__INIT;

	msg.ephemeral_key = bytes(ephemeral_key, INFERENCE_KEY_LEN);
	return ipc_call(peer, IPC__TYPE__IPC_OPEN_REQUEST, &msg.base, -1,
	    IPC__TYPE__IPC_OPEN_REPLY, deadline_ms, fn, arg, ret_id);
}

int
cryptod_open_read(
    int status, const ProtobufCMessage *msg, struct cryptod_opened *ret)
{
	const Ipc__OpenReply *reply = (const Ipc__OpenReply *)msg;
	struct cryptod_opened opened = { 0 };

	if (status != 0)
		return status;
	opened.result = reply->result;
	opened.n_candidates = reply->n_candidates;
	if (opened.n_candidates > CRYPTOD_CANDIDATES_MAX ||
	    (opened.n_candidates != 0) !=
		(reply->result == IPC__RESULT__RESULT_OK))
		return -EBADMSG;
	for (size_t i = 0; i < opened.n_candidates; i++) {
		const Ipc__OpenReply__Candidate *c = reply->candidates[i];

		if (c->inference_key.len != INFERENCE_KEY_LEN ||
		    c->request_key.len != REQUEST_KEY_LEN)
			return -EBADMSG;
		opened.candidates[i].inference_key = c->inference_key.data;
		opened.candidates[i].request_key = c->request_key.data;
	}
	*ret = opened;
	return 0;
}

struct wait {
	int result; // of reading the answer
	union {
		uint8_t *signature;	   // borrowed, SIGNATURE_LEN
		struct cryptod_keys *keys; // borrowed
	};
};

static void
on_signature(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__SignReply *reply = (const Ipc__SignReply *)msg;
	struct wait *wait = arg;

	(void)frame;
	wait->result = status;
	if (status != 0)
		return;
	wait->result = reply->signature.len == SIGNATURE_LEN ? 0 : -EBADMSG;
	if (wait->result == 0)
		memcpy(wait->signature, reply->signature.data, SIGNATURE_LEN);
}

int
cryptod_sign_wait(struct ipc_peer *peer, const uint8_t *content, size_t len,
    unsigned deadline_ms, uint8_t ret_signature[static SIGNATURE_LEN])
{
	Ipc__SignRequest msg = IPC__SIGN_REQUEST__INIT;
	struct wait wait = { .result = -EPIPE, .signature = ret_signature };
	int r;

	msg.content = bytes(content, len);
	r = ipc_call_wait(peer, IPC__TYPE__IPC_SIGN_REQUEST, &msg.base,
	    IPC__TYPE__IPC_SIGN_REPLY, deadline_ms, on_signature, &wait);
	return r < 0 ? r : wait.result;
}

int
cryptod_sign(void *arg, const uint8_t *content, size_t len,
    uint8_t ret_signature[static SIGNATURE_LEN])
{
	return cryptod_sign_wait(
	    arg, content, len, CRYPTOD_SIGN_DEADLINE_MS, ret_signature);
}

static void
on_keys(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct wait *wait = arg;

	(void)frame;
	wait->result = cryptod_keys_read(status, msg, wait->keys);
}

int
cryptod_keys_wait(
    struct ipc_peer *peer, unsigned deadline_ms, struct cryptod_keys *ret)
{
	Ipc__KeysRequest msg = IPC__KEYS_REQUEST__INIT;
	struct wait wait = { .result = -EPIPE, .keys = ret };
	int r;

	r = ipc_call_wait(peer, IPC__TYPE__IPC_KEYS_REQUEST, &msg.base,
	    IPC__TYPE__IPC_KEYS_REPLY, deadline_ms, on_keys, &wait);
	return r < 0 ? r : wait.result;
}
