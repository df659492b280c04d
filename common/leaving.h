// A daemon that was told to stop says so to its siblings, so that the end of
// their channel is told from a crash.  A lie lowers the priority of one line
// about the end of the liar, and nothing else.
#ifndef COMMON_LEAVING_H
#define COMMON_LEAVING_H

#include "common/ipc.h"

ipc_handler handle_leaving;

// For the table of a daemon; roles: its siblings, FROM() or'ed.
#define LEAVING_RULE(roles)                                                \
	{                                                                  \
		IPC__TYPE__IPC_LEAVING,                                    \
		    .from = (roles), .phases = IPC_SERVING, .max_body = 0, \
		    .descriptor = &ipc__leaving__descriptor,               \
		    .handle = handle_leaving                               \
	}

// NULL: there is no such channel now.
void leaving_send(struct ipc_peer *);

#endif
