// The parent changes what a daemon logs, while it runs.
#ifndef COMMON_LOG_LEVEL_H
#define COMMON_LOG_LEVEL_H

#include "common/ipc.h"
#include "common/log.h"

ipc_handler handle_log_level;

// For the table of a daemon that has a parent.
#define LOG_LEVEL_RULE                                                        \
	{                                                                     \
		IPC__TYPE__IPC_LOG_LEVEL,                                     \
		    .from = FROM(ROLE_PARENT), .phases = IPC_SERVING,         \
		    .max_body = 2, .descriptor = &ipc__log_level__descriptor, \
		    .handle = handle_log_level                                \
	}

MUST_CHECK int log_level_send(struct ipc_peer *, enum log_level);

#endif
