// One number from the parent.  Nothing but the log depends on it.
#include "common/log_level.h"

int
handle_log_level(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__LogLevel *in = (const Ipc__LogLevel *)msg;

	(void)peer;
	(void)frame;
	if (log_level_name((enum log_level)in->level) == NULL)
		return -EBADMSG;
	log_set_level((enum log_level)in->level);
	return 0;
}

int
log_level_send(struct ipc_peer *peer, enum log_level level)
{
	Ipc__LogLevel msg = IPC__LOG_LEVEL__INIT;

	msg.level = level;
	return ipc_notify(peer, IPC__TYPE__IPC_LOG_LEVEL, &msg.base, -1);
}
