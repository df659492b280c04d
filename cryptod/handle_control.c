// What the parent says.  It may end cryptod, and nothing else.
#include "cryptod/cryptod.h"

int
handle_stop(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct cryptod *d = ipc_peer_daemon(peer);

	(void)frame;
	(void)msg;
	cryptod_stop(d);
	return 0;
}
