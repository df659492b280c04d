// Without a parent proxyd shows what was measured: of the machine, which it
// reads itself before its sandbox closes, and of the daemons, by their own
// word.  The signer's comes by way of gossipd, so that a gossipd that lies can
// spoil the status; it announces to other nodes what it likes anyhow.
#include "proxyd/measure.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/usage.h"
#include "gossipd/client.h"

static const struct {
	enum ipc_role role;
	bool keeps_keys;
} daemons[PROXYD_DAEMONS] = {
	{ ROLE_PROXYD, false },
	{ ROLE_CRYPTOD, true },
	{ ROLE_SIGNER, true },
	{ ROLE_VERIFIER, true },
	{ ROLE_GOSSIPD, false },
};

void
measure_machine(struct proxyd *d)
{
	AUTO_FD root = -1;

	if (d->service == NULL)
		return;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	posture_read(&d->machine, root);
	posture_set(&d->machine, POSTURE_USERS,
	    geteuid() != 0 ? TRI_TRUE : TRI_FALSE,
	    "each door lets in one user");
}

// 0, or the process is gone.
static int
read_usage(const struct measured *m, struct process_shown *ret)
{
	char text[USAGE_TEXT_MAX];
	ssize_t n;

	if (!m->is_known)
		return 0;
	n = pread(m->stat_fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return -ESRCH;
	text[n] = '\0';
	usage_parse(text, &ret->rss_bytes, &ret->cpu_ms);
	return 0;
}

static void
show_attester(struct proxyd *d, const struct measured *m, bool is_gone)
{
	struct self *self = &d->self;

	(void)snprintf(
	    self->attester, sizeof(self->attester), "%s", m->attester);
	(void)snprintf(self->attester_problem, sizeof(self->attester_problem),
	    "%s", is_gone ? "the signer is not running" : m->problem);
}

static void
show_process(struct proxyd *d, size_t i)
{
	struct process_shown *p = &d->self.processes[i];
	const struct measured *m = &d->measured[i];
	int r;

	*p = (struct process_shown){ .pid = m->pid };
	(void)snprintf(
	    p->name, sizeof(p->name), "%s", ipc_role_name(daemons[i].role));
	r = read_usage(m, p);
	if (daemons[i].role == ROLE_SIGNER && m->is_known)
		show_attester(d, m, r < 0);
}

void
measure_refresh(struct proxyd *d)
{
	for (size_t i = 0; d->service != NULL && i < d->self.n_processes; i++)
		show_process(d, i);
}

static void
show_image(struct proxyd *d, size_t i)
{
	struct image_shown *image = &d->self.images[d->self.n_images];

	if (!d->measured[i].is_known)
		return;
	d->self.n_images++;
	(void)snprintf(image->name, sizeof(image->name), "%s",
	    ipc_role_name(daemons[i].role));
	memcpy(image->sha256, d->measured[i].image, IMAGE_HASH_LEN);
}

static void
show_posture(struct proxyd *d, const struct posture *p)
{
	for (enum posture_id id = 0; id < POSTURE_N; id++) {
		struct posture_shown *shown = &d->self.posture[id];

		(void)snprintf(shown->name, sizeof(shown->name), "%s",
		    posture_items[id].name);
		(void)snprintf(shown->source, sizeof(shown->source), "%s",
		    p->items[id].source);
		shown->value = p->items[id].value;
	}
	d->self.n_posture = POSTURE_N;
	d->self.announced = posture_v1(p);
}

static void
tell_gossipd(struct proxyd *d)
{
	int r;

	if (d->gossipd == NULL)
		return;
	r = gossipd_posture_send(d->gossipd, d->self.announced);
	if (r < 0)
		LOG(LOG_WARNING, "posture-not-told", F("error", log_error(r)));
}

void
measure_show(struct proxyd *d)
{
	struct posture_daemon list[PROXYD_DAEMONS];
	struct posture now = d->machine;

	if (d->service == NULL)
		return;
	d->measured[0] =
	    measured_of(&d->measure, ROLE_PROXYD, service_own_pid(d->service));
	d->self.n_images = 0;
	d->self.n_processes = PROXYD_DAEMONS;
	for (size_t i = 0; i < PROXYD_DAEMONS; i++) {
		list[i] = (struct posture_daemon){
			.name = ipc_role_name(daemons[i].role),
			.keeps_keys = daemons[i].keeps_keys,
			.is_cryptod = daemons[i].role == ROLE_CRYPTOD,
			.is_proxyd = daemons[i].role == ROLE_PROXYD,
			.is_known = d->measured[i].is_known,
			.protection = d->measured[i].bits,
		};
		show_process(d, i);
		show_image(d, i);
	}
	posture_set_daemons(&now, list, PROXYD_DAEMONS);
	show_posture(d, &now);
	tell_gossipd(d);
}

int
handle_measured(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__Measured *in = (const Ipc__Measured *)msg;
	struct proxyd *d = ipc_peer_daemon(peer);
	enum ipc_role role = ipc_peer_role(peer);
	int r;

	if (role == ROLE_GOSSIPD && in->role == ROLE_SIGNER)
		role = ROLE_SIGNER;
	for (size_t i = 0; i < PROXYD_DAEMONS; i++) {
		if (daemons[i].role != role)
			continue;
		if ((r = measured_take(frame, in, role, &d->measured[i])) < 0)
			return r;
	}
	measure_show(d);
	return 0;
}
