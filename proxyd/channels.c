// The other processes of this node as channels: given by a parent, or one by
// one through doors.  Without a parent a lost one comes back; what was in
// flight through it has failed by then, everything else goes on.
#include "proxyd/channels.h"

#include "common/leaving.h"
#include "common/log.h"
#include "proxyd/measure.h"
#include "proxyd/reload.h"
#include "proxyd/verdict.h"

// In the order of proxyd_doors and of the descriptors of a parent.
static const enum ipc_role roles[PROXYD_DOORS] = { ROLE_CRYPTOD, ROLE_GOSSIPD,
	ROLE_VERIFIER, ROLE_RELOADER };

static struct ipc_peer **
slot_of(struct proxyd *d, enum ipc_role role)
{
	switch (role) {
	case ROLE_PARENT:
		return &d->parent;
	case ROLE_CRYPTOD:
		return &d->cryptod;
	case ROLE_GOSSIPD:
		return &d->gossipd;
	case ROLE_RELOADER:
		return &d->reloader;
	default:
		return &d->verifier;
	}
}

// The next gossipd says which of them are still there.
static void
forget_peers(struct proxyd *d)
{
	uint64_t now = clock_unix_ms();

	for (size_t i = d->peers.n; i-- > 0;)
		peers_remove(&d->peers, d->peers.at[i]->id, now);
}

static void
lost(struct proxyd *d, enum ipc_role role)
{
	service_role_lost(d->service, roles, PROXYD_CHANNELS, role);
	if (role == ROLE_GOSSIPD && d->service != NULL)
		forget_peers(d);
}

static void
on_closed(struct ipc_peer *peer, int reason)
{
	struct proxyd *d = ipc_peer_daemon(peer);
	enum ipc_role role = ipc_peer_role(peer);

	*slot_of(d, role) = NULL;
	if (role == ROLE_RELOADER) {
		reload_drop(d);
		return;
	}
	service_log_lost(
	    d->service, peer, ipc_role_name(role), reason, d->is_stopping);
	if (role == ROLE_PARENT)
		proxyd_stop(d, EXIT_FAILURE);
	else
		lost(d, role);
	events_changed(d, EVENTS_NODE);
}

static int
open_channel(struct proxyd *d, int *fd, enum ipc_role role)
{
	struct ipc_channel_config config = {
		.base = d->base,
		.fd = take_fd(fd),
		.self = ROLE_PROXYD,
		.role = role,
		.rules = proxyd_rules,
		.n_rules = proxyd_n_rules,
		.daemon = d,
		.closed = on_closed,
	};

	return ipc_peer_new(slot_of(d, role), &config);
}

// A new process on the other side: it knows nothing, and what it told before
// may be different now.
static void
greet(struct proxyd *d, enum ipc_role role)
{
	if (role == ROLE_CRYPTOD)
		proxyd_ask_keys(d);
	else if (role == ROLE_VERIFIER)
		evidence_start_over(d);
	else if (role == ROLE_RELOADER)
		reload_drop(d); // what the one before had not finished
	else if (proxyd_knows_self(d))
		proxyd_tell_self(d);
	if (role == ROLE_GOSSIPD)
		measure_show(d);
}

static int
on_channel(void *arg, size_t door, int fd)
{
	struct proxyd *d = arg;
	enum ipc_role role = roles[door];
	int r;

	ipc_peer_free(*slot_of(d, role));
	*slot_of(d, role) = NULL;
	r = open_channel(d, &fd, role);
	if (r < 0)
		return r;
	greet(d, role);
	return 0;
}

static void
on_stop(void *arg)
{
	LOG(LOG_INFO, "stopping");
	proxyd_stop(arg, EXIT_SUCCESS);
}

void
channels_leave(struct proxyd *d)
{
	leaving_send(d->cryptod);
	leaving_send(d->gossipd);
	leaving_send(d->verifier);
}

int
channels_open(struct proxyd *d)
{
	static const struct service_events events = { on_channel, on_stop };
	int r;

	measure_show(d);
	if (d->service != NULL)
		return service_watch(d->service, d->base, &events, d);
	r = open_channel(d, &d->channels.parent_fd, ROLE_PARENT);
	for (size_t i = 0; r == 0 && i < PROXYD_CHANNELS; i++)
		r = open_channel(d, &d->channels.fds[i], roles[i]);
	return r;
}
