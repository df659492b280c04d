// The last word on a channel before a planned end.  What it changes is the
// log: everything else goes by the end itself.
#include "common/leaving.h"

int
handle_leaving(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	(void)frame;
	(void)msg;
	ipc_peer_set_leaving(peer);
	return 0;
}

void
leaving_send(struct ipc_peer *peer)
{
	Ipc__Leaving msg = IPC__LEAVING__INIT;

	// Unsaid, our end is taken for a crash: a line too many.
	if (peer != NULL)
		(void)!ipc_notify(peer, IPC__TYPE__IPC_LEAVING, &msg.base, -1);
}
