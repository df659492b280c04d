// What the parent says.  It may end cryptod, and nothing else.
#include "common/log.h"
#include "cryptod/cryptod.h"

int
handle_stop(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct cryptod *d = ipc_peer_daemon(peer);

	(void)frame;
	(void)msg;
	LOG(LOG_INFO, "stopping");
	d->is_stopped = true;
	return event_base_loopbreak(d->base) == -1 ? -EIO : 0;
}
