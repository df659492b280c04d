// One key for one request: sealed by us, or sealed to us.  The public keys
// come from the network, by way of proxyd.  proxyd gets the request key and
// never the secret key that made it.
#include "cryptod/cryptod.h"

static ProtobufCBinaryData
bytes(const uint8_t *data, size_t len)
{
	// The generated structs know no const; packing only reads.
	return (ProtobufCBinaryData){ len, (uint8_t *)(uintptr_t)data };
}

int
handle_seal(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct cryptod *d = ipc_peer_daemon(peer);
	const Ipc__SealRequest *request = (const Ipc__SealRequest *)msg;
	Ipc__SealReply reply = IPC__SEAL_REPLY__INIT;
	struct ephemeral_sealed sealed;
	int r;

	if (request->recipient_key.len != INFERENCE_KEY_LEN)
		return -EPROTO;
	reply.result = IPC__RESULT__RESULT_BAD_KEY;
	r = ephemeral_seal(d->ephemeral, request->recipient_key.data, &sealed);
	if (r == 0) {
		reply.result = IPC__RESULT__RESULT_OK;
		reply.has_ephemeral_key = reply.has_request_key = true;
		reply.ephemeral_key =
		    bytes(sealed.ephemeral_key, INFERENCE_KEY_LEN);
		reply.request_key = bytes(sealed.request_key, REQUEST_KEY_LEN);
	}
	r = ipc_reply(peer, frame, IPC__TYPE__IPC_SEAL_REPLY, &reply.base);
	ephemeral_wipe(d->ephemeral);
	cryptod_refill_later(d);
	return r;
}

static int
reply_opened(struct ipc_peer *peer, const struct ipc_frame *frame,
    const struct inference_opened *opened)
{
	Ipc__OpenReply reply = IPC__OPEN_REPLY__INIT;
	Ipc__OpenReply__Candidate candidates[INFERENCE_KEYS_MAX];
	Ipc__OpenReply__Candidate *list[INFERENCE_KEYS_MAX];

	for (size_t i = 0; i < opened->n; i++) {
		ipc__open_reply__candidate__init(&candidates[i]);
		candidates[i].inference_key = bytes(
		    opened->candidates[i].inference_key, INFERENCE_KEY_LEN);
		candidates[i].request_key =
		    bytes(opened->candidates[i].request_key, REQUEST_KEY_LEN);
		list[i] = &candidates[i];
	}
	reply.result = opened->result;
	reply.candidates = list;
	reply.n_candidates = opened->n;
	return ipc_reply(peer, frame, IPC__TYPE__IPC_OPEN_REPLY, &reply.base);
}

int
handle_open(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct cryptod *d = ipc_peer_daemon(peer);
	const Ipc__OpenRequest *request = (const Ipc__OpenRequest *)msg;
	uint64_t now = clock_boot_ms();
	struct inference_opened opened;
	int r;

	if (request->ephemeral_key.len != INFERENCE_KEY_LEN)
		return -EPROTO;
	inference_open(d->inference, request->ephemeral_key.data, now, &opened);
	r = reply_opened(peer, frame, &opened);
	inference_wipe(d->inference);
	// This one may have filled the replay memory.
	if (inference_idle_ms(d->inference, now) == 0)
		cryptod_tick(d);
	return r;
}
