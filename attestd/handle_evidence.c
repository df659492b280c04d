// The signer's answer to gossipd.  There is no attester in this version, so
// it vouches for nothing: evidence is absent, never empty or made up.
#include "attestd/attestd.h"

int
handle_evidence(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	Ipc__EvidenceReply reply = IPC__EVIDENCE_REPLY__INIT;

	(void)msg;
	return ipc_reply(
	    peer, frame, IPC__TYPE__IPC_EVIDENCE_REPLY, &reply.base);
}
