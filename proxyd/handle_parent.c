// What the parent says: who else runs here, and when to stop.
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "proxyd/proxyd.h"

int
handle_stop(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	(void)frame;
	(void)msg;
	LOG(LOG_INFO, "stopping");
	proxyd_stop(ipc_peer_daemon(peer), EXIT_SUCCESS);
	return 0;
}

int
handle_processes(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__Processes *in = (const Ipc__Processes *)msg;
	struct proxyd *d = ipc_peer_daemon(peer);

	(void)frame;
	if (in->n_processes > PROCESSES_SHOWN_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < in->n_processes; i++) {
		struct process_shown *p = &d->self.processes[i];

		(void)snprintf(
		    p->name, sizeof(p->name), "%s", in->processes[i]->name);
		p->pid = in->processes[i]->pid;
	}
	d->self.n_processes = in->n_processes;
	return 0;
}
