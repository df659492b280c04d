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
		p->rss_bytes = in->processes[i]->rss_bytes;
		p->cpu_ms = in->processes[i]->cpu_ms;
	}
	d->self.n_processes = in->n_processes;
	return 0;
}

int
handle_posture(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__Posture *in = (const Ipc__Posture *)msg;
	struct proxyd *d = ipc_peer_daemon(peer);

	(void)frame;
	if (in->n_items > POSTURE_N || in->n_images > PROCESSES_SHOWN_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < in->n_images; i++)
		if (in->images[i]->sha256.len != IMAGE_HASH_LEN)
			return -EBADMSG;
	for (size_t i = 0; i < in->n_items; i++) {
		struct posture_shown *p = &d->self.posture[i];

		(void)snprintf(
		    p->name, sizeof(p->name), "%s", in->items[i]->name);
		(void)snprintf(
		    p->source, sizeof(p->source), "%s", in->items[i]->source);
		p->value = (enum tri)in->items[i]->value;
	}
	for (size_t i = 0; i < in->n_images; i++) {
		struct image_shown *image = &d->self.images[i];

		(void)snprintf(image->name, sizeof(image->name), "%s",
		    in->images[i]->name);
		memcpy(
		    image->sha256, in->images[i]->sha256.data, IMAGE_HASH_LEN);
	}
	d->self.n_posture = in->n_items;
	d->self.n_images = in->n_images;
	d->self.announced = in->announced;
	return 0;
}

int
handle_attester_state(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__AttesterState *in = (const Ipc__AttesterState *)msg;
	struct proxyd *d = ipc_peer_daemon(peer);
	struct self *self = &d->self;

	(void)frame;
	(void)snprintf(self->attester, sizeof(self->attester), "%s", in->name);
	(void)snprintf(self->attester_problem, sizeof(self->attester_problem),
	    "%s", in->problem == NULL ? "" : in->problem);
	return 0;
}
