// The other processes of this node as channels: given by a parent, or one by
// one through doors.  A channel that is lost costs what was in flight through
// it; with a parent the loss is the parent's to judge, without one it comes
// back and both sides tell each other anew what they must know.
#include "gossipd/gossipd.h"

#include <string.h>

#include "common/leaving.h"
#include "common/log.h"
#include "cryptod/client.h"

// In the order of gossipd_doors and of the descriptors of a parent.
enum { DOOR_CRYPTOD, DOOR_CRYPTOD_TLS, DOOR_PROXYD, DOOR_SIGNER };

// ---- lost

static void
drop_tls(struct gossipd *d)
{
	// It is in no loop that would free it.
	if (d->tls_event != NULL)
		event_free(d->tls_event);
	d->tls_event = NULL;
	ipc_peer_free(d->cryptod_tls);
	d->cryptod_tls = NULL;
}

static void
lose_tls(struct gossipd *d)
{
	if (d->cryptod_tls == NULL)
		return;
	drop_tls(d);
	service_lost(d->service, DOOR_CRYPTOD_TLS);
}

static void
lose_proxyd(struct gossipd *d)
{
	d->proxyd = NULL;
	d->incoming.open = false;
	// Nobody waits for these any more; the next proxyd has other numbers.
	mesh_forget_pending(d);
	service_lost(d->service, DOOR_PROXYD);
}

static void
lose(struct gossipd *d, enum ipc_role role)
{
	switch (role) {
	case ROLE_CRYPTOD:
		d->cryptod = NULL;
		service_lost(d->service, DOOR_CRYPTOD);
		lose_tls(d); // the same process
		break;
	case ROLE_PROXYD:
		lose_proxyd(d);
		break;
	case ROLE_SIGNER:
		d->signer = NULL;
		service_lost(d->service, DOOR_SIGNER);
		break;
	default:
		break;
	}
}

static void
on_closed(struct ipc_peer *peer, int reason)
{
	struct gossipd *d = ipc_peer_daemon(peer);
	enum ipc_role role = ipc_peer_role(peer);

	// Without the parent nobody would end us.
	if (role == ROLE_PARENT) {
		d->parent = NULL;
		gossipd_stop(d);
		return;
	}
	service_log_lost(
	    d->service, peer, ipc_role_name(role), reason, d->stopping);
	lose(d, role);
}

static void
on_tls_closed(struct ipc_peer *peer, int reason)
{
	struct gossipd *d = ipc_peer_daemon(peer);

	service_log_lost(
	    d->service, peer, "cryptod, handshakes", reason, d->stopping);
	d->tls_is_lost = true;
	// It watches the descriptor, which is closed when this returns.
	if (d->tls_event != NULL)
		(void)event_del(d->tls_event);
}

// ---- opened

static int
open_channel(
    struct gossipd *d, int fd, enum ipc_role role, struct ipc_peer **ret)
{
	struct ipc_channel_config config = { .base = d->base,
		.fd = fd,
		.self = ROLE_GOSSIPD,
		.role = role,
		.rules = gossipd_rules,
		.n_rules = gossipd_n_rules,
		.daemon = d,
		.closed = on_closed };

	return ipc_peer_new(ret, &config);
}

// Between two signatures: the Hello of cryptod, or its end.
static void
on_tls_readable(evutil_socket_t fd, short what, void *arg)
{
	struct gossipd *d = arg;

	(void)fd;
	(void)what;
	ipc_read(d->cryptod_tls);
	if (d->tls_is_lost)
		lose_tls(d);
}

// Not in the loop: the handshake waits for each signature.
static int
open_tls(struct gossipd *d, int fd)
{
	struct ipc_channel_config config = { .fd = fd,
		.self = ROLE_GOSSIPD_TLS,
		.role = ROLE_CRYPTOD,
		.rules = gossipd_rules,
		.n_rules = gossipd_n_rules,
		.daemon = d,
		.closed = on_tls_closed };

	d->tls_is_lost = false;
	d->tls_event =
	    event_new(d->base, fd, EV_READ | EV_PERSIST, on_tls_readable, d);
	if (d->tls_event == NULL || event_add(d->tls_event, NULL) == -1) {
		close_fd(&fd);
		return -ENOMEM;
	}
	return ipc_peer_new(&d->cryptod_tls, &config);
}

static int
open_one(struct gossipd *d, size_t door, int fd)
{
	switch (door) {
	case DOOR_CRYPTOD:
		return open_channel(d, fd, ROLE_CRYPTOD, &d->cryptod);
	case DOOR_CRYPTOD_TLS:
		return open_tls(d, fd);
	case DOOR_PROXYD:
		return open_channel(d, fd, ROLE_PROXYD, &d->proxyd);
	default:
		return open_channel(d, fd, ROLE_SIGNER, &d->signer);
	}
}

static struct ipc_peer **
slot_of(struct gossipd *d, size_t door)
{
	struct ipc_peer **slots[] = { &d->cryptod, &d->cryptod_tls, &d->proxyd,
		&d->signer };

	return slots[door];
}

void
channels_tell_measured(struct gossipd *d)
{
	struct measured own =
	    measured_of(&d->measure, ROLE_GOSSIPD, service_own_pid(d->service));
	int r;

	if (d->service == NULL || d->proxyd == NULL || !d->is_confined)
		return;
	r = measured_send(d->proxyd, &own);
	if (r == 0)
		r = measured_send(d->proxyd, &d->signer_measured);
	// The status then says that nobody has said it.
	if (r < 0)
		LOG(LOG_WARNING, "posture-not-told", F("error", log_error(r)));
}

// A new process on the other side: it knows nothing, and what it told before
// may be different now.
static int
greet(struct gossipd *d, size_t door)
{
	switch (door) {
	case DOOR_CRYPTOD:
		return gossipd_refresh_keys(d);
	case DOOR_PROXYD:
		if (d->gossip != NULL)
			publish_all(d);
		channels_tell_measured(d);
		return 0;
	case DOOR_SIGNER:
		d->evidence_ms = 0; // ask soon
		return 0;
	default:
		return 0;
	}
}

static int
on_channel(void *arg, size_t door, int fd)
{
	struct gossipd *d = arg;
	struct ipc_peer **slot = slot_of(d, door);
	int r;

	// Its other side has come anew.
	if (door == DOOR_PROXYD && d->proxyd != NULL) {
		ipc_peer_free(d->proxyd);
		lose_proxyd(d);
	} else if (door == DOOR_CRYPTOD_TLS) {
		drop_tls(d);
	} else {
		ipc_peer_free(*slot);
		*slot = NULL;
	}
	r = open_one(d, door, fd);
	if (r < 0 && door == DOOR_CRYPTOD_TLS)
		drop_tls(d);
	return r < 0 ? r : greet(d, door);
}

static void
on_stop(void *arg)
{
	gossipd_stop(arg);
}

void
channels_leave(struct gossipd *d)
{
	leaving_send(d->cryptod);
	leaving_send(d->cryptod_tls);
	leaving_send(d->proxyd);
	leaving_send(d->signer);
}

int
channels_open(struct gossipd *d, const struct process_channels *c)
{
	static const struct service_events events = { on_channel, on_stop };
	int r;

	if (d->service != NULL)
		return service_watch(d->service, d->base, &events, d);
	r = open_channel(d, c->parent_fd, ROLE_PARENT, &d->parent);
	for (size_t i = 0; r == 0 && i < c->n; i++)
		r = open_one(d, i, c->fds[i]);
	return r;
}

// ---- signatures

int
gossipd_sign(void *arg, const uint8_t *content, size_t len,
    uint8_t ret_signature[static SIGNATURE_LEN])
{
	struct gossipd *d = arg;
	int r;

	if (d->cryptod_tls == NULL)
		return -EPIPE; // the handshake fails, and is tried again
	r = cryptod_sign(d->cryptod_tls, content, len, ret_signature);
	if (d->tls_is_lost)
		lose_tls(d);
	return r;
}
