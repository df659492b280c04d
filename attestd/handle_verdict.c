// The verifier's answer to proxyd.  Without verification every node is at
// the lowest level, whatever it claims: nobody gets a better verdict because
// something here is missing.
#include "attestd/attestd.h"

int
handle_verdict(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	static const char reason[] = "no evidence: this version verifies none";
	const Ipc__VerdictRequest *request = (const Ipc__VerdictRequest *)msg;
	Ipc__VerdictReply reply = IPC__VERDICT_REPLY__INIT;

	if (request->endpoint_id.len != ENDPOINT_ID_LEN ||
	    request->inference_key.len != INFERENCE_KEY_LEN)
		return -EPROTO;
	reply.level = IPC__LEVEL__LEVEL_NONE;
	// The generated structs know no const; packing only reads.
	reply.reason = (char *)(uintptr_t)reason;
	reply.expires_ms = clock_unix_ms() + ATTESTD_VERDICT_MS;
	return ipc_reply(
	    peer, frame, IPC__TYPE__IPC_VERDICT_REPLY, &reply.base);
}
