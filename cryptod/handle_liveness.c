// The signer's question for a proof that our inference key is here.  The
// ephemeral key and, through the hash, the nonce come from a peer.  What is
// answered is a MAC and never a key: it opens no request, and tells nothing
// about the key of one that was sealed with the same ephemeral key.
#include "cryptod/cryptod.h"

int
handle_liveness(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__LivenessRequest *in = (const Ipc__LivenessRequest *)msg;
	struct cryptod *d = ipc_peer_daemon(peer);
	Ipc__LivenessReply reply = IPC__LIVENESS_REPLY__INIT;
	uint8_t mac[LIVENESS_MAC_LEN];
	int r;

	if (in->inference_key.len != INFERENCE_KEY_LEN ||
	    in->ephemeral_key.len != INFERENCE_KEY_LEN ||
	    in->hash.len != LIVENESS_HASH_LEN)
		return -EPROTO;
	r = inference_prove(d->inference, in->inference_key.data,
	    in->ephemeral_key.data, in->hash.data, clock_boot_ms(), mac);
	reply.result = IPC__RESULT__RESULT_BAD_KEY;
	if (r == 0) {
		reply.result = IPC__RESULT__RESULT_OK;
		reply.has_mac = true;
		reply.mac = (ProtobufCBinaryData){ sizeof(mac), mac };
	}
	return ipc_reply(
	    peer, frame, IPC__TYPE__IPC_LIVENESS_REPLY, &reply.base);
}
