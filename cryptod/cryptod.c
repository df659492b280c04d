// cryptod: what it holds, its channels, and its clock.  The peers are hostile
// until their frame has passed the rule table.  A peer that is gone stays
// gone: the parent decides what becomes of the node, or a new one comes
// through its door.
#include "cryptod/cryptod.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/leaving.h"
#include "common/log.h"
#include "common/loop.h"

enum {
	// The loop's clock stops while the machine sleeps, ours does not.
	TICK_MS_MAX = 30 * 1000,
};

static void
tell_key_changed(struct cryptod *d)
{
	static const enum ipc_role users[] = { ROLE_PROXYD, ROLE_GOSSIPD,
		ROLE_SIGNER };
	Ipc__KeyChanged msg = IPC__KEY_CHANGED__INIT;
	int r;

	for (size_t i = 0; i < N_ELEMENTS(users); i++) {
		struct ipc_peer *peer = d->peers[users[i]];

		if (peer == NULL)
			continue;
		r = ipc_notify(peer, IPC__TYPE__IPC_KEY_CHANGED, &msg.base, -1);
		if (r < 0)
			LOG(LOG_ERROR, "key-change-not-told",
			    F("to", ipc_role_name(users[i])),
			    F("error", log_error(r)));
	}
}

void
cryptod_tick(struct cryptod *d)
{
	uint64_t now = clock_boot_ms(), idle;
	struct timeval tv;

	if (inference_tick(d->inference, now)) {
		LOG(LOG_INFO, "inference-key-rotated");
		tell_key_changed(d);
	}
	idle = inference_idle_ms(d->inference, now);
	if (idle > TICK_MS_MAX)
		idle = TICK_MS_MAX;
	tv.tv_sec = (time_t)(idle / 1000);
	tv.tv_usec = (suseconds_t)(idle % 1000 + 1) * 1000;
	(void)evtimer_add(d->tick_event, &tv);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	cryptod_tick(arg);
}

void
cryptod_refill_later(struct cryptod *d)
{
	// Through the loop, so that requests that are there come first.
	static const struct timeval now = { 0, 0 };

	if (!evtimer_pending(d->refill_event, NULL))
		(void)evtimer_add(d->refill_event, &now);
}

static void
on_refill(evutil_socket_t fd, short what, void *arg)
{
	struct cryptod *d = arg;

	(void)fd;
	(void)what;
	if (ephemeral_refill(d->ephemeral))
		cryptod_refill_later(d);
}

static int
make_events(struct cryptod *d)
{
	d->tick_event = evtimer_new(d->base, on_tick, d);
	d->refill_event = evtimer_new(d->base, on_refill, d);
	if (d->tick_event == NULL || d->refill_event == NULL)
		return -ENOMEM;
	return event_priority_set(d->refill_event, LOOP_WHEN_IDLE) == -1
	    ? -EINVAL
	    : 0;
}

static int
open_identity(struct cryptod *d, const struct cryptod_config *config,
    char error[static STATE_ERROR_MAX])
{
	struct state state;
	int r;

	r = state_init(&state, config->state_dir);
	state.credentials = config->credentials;
	if (r == 0)
		r = identity_open(
		    &d->identity, d->pool, &state, clock_unix_ms());
	if (r < 0)
		memcpy(error, state.error, STATE_ERROR_MAX);
	state_done(&state);
	return r;
}

static int
make_keys(struct cryptod *d, const struct cryptod_config *config,
    char error[static STATE_ERROR_MAX])
{
	struct inference_config inference = { .rotate_ms = config->rotate_ms,
		.replay_entries = config->replay_entries };
	int r;

	r = secret_pool_new(
	    &d->pool, CRYPTOD_SECRET_SLOTS, config->secret_kind);
	if (r < 0) {
		(void)snprintf(error, STATE_ERROR_MAX,
		    "no secret memory (RLIMIT_MEMLOCK?): %s",
		    strerrordesc_np(-r));
		return r;
	}
	if ((r = open_identity(d, config, error)) < 0)
		return r;
	(void)snprintf(error, STATE_ERROR_MAX, "no memory for keys");
	inference.pool = d->pool;
	r = inference_new(&d->inference, &inference, clock_boot_ms());
	if (r == 0)
		r = ephemeral_new(&d->ephemeral, d->pool);
	if (r == 0)
		r = make_events(d);
	return r;
}

int
cryptod_new(struct cryptod **ret, const struct cryptod_config *config,
    struct event_base *base, char error[static STATE_ERROR_MAX])
{
	struct cryptod *d = calloc(1, sizeof(*d));
	int r;

	(void)snprintf(error, STATE_ERROR_MAX, "no memory");
	if (d == NULL)
		return -ENOMEM;
	d->base = base;
	if ((r = make_keys(d, config, error)) < 0) {
		cryptod_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void
cryptod_free(struct cryptod *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < ROLE_MAX; i++)
		ipc_peer_free(d->peers[i]);
	if (d->tick_event != NULL)
		event_free(d->tick_event);
	if (d->refill_event != NULL)
		event_free(d->refill_event);
	ephemeral_free(d->ephemeral);
	inference_free(d->inference);
	identity_free(d->identity);
	secret_pool_free(d->pool);
	free(d);
}

void
cryptod_stop(struct cryptod *d)
{
	LOG(LOG_INFO, "stopping");
	d->is_stopped = true;
	for (size_t i = 0; i < cryptod_n_channels; i++)
		leaving_send(d->peers[cryptod_channels[i]]);
	(void)event_base_loopbreak(d->base); // fails without a base
}

static void
on_closed(struct ipc_peer *peer, int reason)
{
	struct cryptod *d = ipc_peer_daemon(peer);
	enum ipc_role role = ipc_peer_role(peer);

	d->peers[role] = NULL;
	service_role_lost(
	    d->service, cryptod_channels, cryptod_n_channels, role);
	service_log_lost(
	    d->service, peer, ipc_role_name(role), reason, d->is_stopped);
	if (role == ROLE_PARENT)
		(void)event_base_loopbreak(d->base); // fails without a base
}

static int
watch_one(struct cryptod *d, enum ipc_role role, int *fd)
{
	struct ipc_channel_config config = { .base = d->base,
		.fd = take_fd(fd),
		.self = ROLE_CRYPTOD,
		.role = role,
		.rules = cryptod_rules,
		.n_rules = cryptod_n_rules,
		.daemon = d,
		.closed = on_closed };

	return ipc_peer_new(&d->peers[role], &config);
}

// proxyd shows it where there is no parent.
static int
tell_measured(struct cryptod *d)
{
	struct measured m =
	    measured_of(&d->measure, ROLE_CRYPTOD, service_own_pid(d->service));

	return measured_send(d->peers[ROLE_PROXYD], &m);
}

// Its caller has come anew if there is one already.
static int
on_channel(void *arg, size_t door, int fd)
{
	struct cryptod *d = arg;
	enum ipc_role role = cryptod_channels[door];

	int r;

	ipc_peer_free(d->peers[role]);
	d->peers[role] = NULL;
	r = watch_one(d, role, &fd);
	return r == 0 && role == ROLE_PROXYD ? tell_measured(d) : r;
}

static void
on_stop(void *arg)
{
	cryptod_stop(arg);
}

static int
tell_ready(struct cryptod *d)
{
	Ipc__Ready ready = IPC__READY__INIT;

	ready.has_endpoint_id = true;
	ready.endpoint_id.len = ENDPOINT_ID_LEN;
	ready.endpoint_id.data =
	    (uint8_t *)(uintptr_t)identity_endpoint_id(d->identity);
	measure_put(&d->measure, &ready);
	return ipc_notify(
	    d->peers[ROLE_PARENT], IPC__TYPE__IPC_READY, &ready.base, -1);
}

static int
watch_all(struct cryptod *d, struct process_channels *channels)
{
	static const struct service_events events = { on_channel, on_stop };
	int r;

	if (d->service != NULL)
		return service_watch(d->service, d->base, &events, d);
	r = watch_one(d, ROLE_PARENT, &channels->parent_fd);
	for (size_t i = 0; r == 0 && i < channels->n; i++)
		r = watch_one(d, cryptod_channels[i], &channels->fds[i]);
	return r;
}

int
cryptod_watch(struct cryptod *d, struct process_channels *channels)
{
	int r = watch_all(d, channels);

	if (r < 0)
		return r;
	cryptod_tick(d);
	cryptod_refill_later(d);
	service_ready(d->service);
	return d->service == NULL ? tell_ready(d) : 0;
}
