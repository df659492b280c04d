// Statements of the node's identity: its keys, a handshake signature, an
// announcement.  The askers are not trusted with what is signed: they name
// the kind of statement, its content comes from here or is checked in full.
#include "common/announcement.h"
#include "cryptod/cryptod.h"

static ProtobufCBinaryData
bytes(const uint8_t *data, size_t len)
{
	// The generated structs know no const; packing only reads.
	return (ProtobufCBinaryData){ len, (uint8_t *)(uintptr_t)data };
}

int
handle_keys(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct cryptod *d = ipc_peer_daemon(peer);
	Ipc__KeysReply reply = IPC__KEYS_REPLY__INIT;

	(void)msg;
	reply.endpoint_id =
	    bytes(identity_endpoint_id(d->identity), ENDPOINT_ID_LEN);
	reply.inference_key =
	    bytes(inference_key(d->inference), INFERENCE_KEY_LEN);
	reply.identity_in_secret_memory = secret_pool_is_memfd(d->pool);
	return ipc_reply(peer, frame, IPC__TYPE__IPC_KEYS_REPLY, &reply.base);
}

int
handle_sign(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct cryptod *d = ipc_peer_daemon(peer);
	const Ipc__SignRequest *request = (const Ipc__SignRequest *)msg;
	Ipc__SignReply reply = IPC__SIGN_REPLY__INIT;
	uint8_t signature[SIGNATURE_LEN];
	int r;

	// Whoever asks for a signature over something else is hostile.
	r = identity_sign_handshake(d->identity, request->content.data,
	    request->content.len, signature);
	if (r < 0)
		return r;
	reply.signature = bytes(signature, sizeof(signature));
	return ipc_reply(peer, frame, IPC__TYPE__IPC_SIGN_REPLY, &reply.base);
}

int
handle_announce(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct cryptod *d = ipc_peer_daemon(peer);
	Ipc__AnnounceReply reply = IPC__ANNOUNCE_REPLY__INIT;
	uint8_t announcement[ANNOUNCEMENT_LEN];
	uint64_t now = clock_unix_ms();

	(void)msg;
	identity_announce(d->identity, inference_key(d->inference), now,
	    now + inference_usable_ms(d->inference, clock_boot_ms()),
	    announcement);
	reply.announcement = bytes(announcement, sizeof(announcement));
	return ipc_reply(
	    peer, frame, IPC__TYPE__IPC_ANNOUNCE_REPLY, &reply.base);
}
