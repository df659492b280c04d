// What the parent says, and what cryptod says about its key.
#include "attestd/attestd.h"

int
handle_stop(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct attestd *d = ipc_peer_daemon(peer);

	(void)frame;
	(void)msg;
	attestd_stop(d);
	return 0;
}

int
handle_key_changed(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	(void)frame;
	(void)msg;
	return attestd_ask_keys(ipc_peer_daemon(peer));
}
