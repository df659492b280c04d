// The signer's answer to gossipd: this node's evidence as it was made last.
// Without an attester it vouches for nothing: evidence is absent, never empty,
// stale or made up.
#include "attestd/attestd.h"

int
handle_evidence(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct attestd *d = ipc_peer_daemon(peer);
	Ipc__EvidenceReply reply = IPC__EVIDENCE_REPLY__INIT;
	uint64_t now = clock_unix_ms();

	(void)msg;
	signer_look_at_clock(d, now);
	reply.has_evidence = d->blob_len != 0 && now >= d->blob_made_ms &&
	    now - d->blob_made_ms < ATTESTD_STALE_MS;
	if (reply.has_evidence) {
		reply.evidence.data = (uint8_t *)d->blob;
		reply.evidence.len = d->blob_len;
	}
	return ipc_reply(
	    peer, frame, IPC__TYPE__IPC_EVIDENCE_REPLY, &reply.base);
}
