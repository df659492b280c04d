// The daemon's state: made, watched, stopped, freed.
#include "proxyd/proxyd.h"

#include <stdio.h>
#include <string.h>

#include "proxyd/reload.h"
#include "common/log.h"
#include "proxyd/channels.h"
#include "proxyd/client_conn.h"
#include "proxyd/inbound.h"
#include "proxyd/keep_alive.h"
#include "proxyd/queue.h"

static void
init_timeouts(struct timeouts *t, struct event_base *base, uint64_t answer_s)
{
	static const struct timeval linger = { 2, 0 }, head = { 30, 0 },
				    body = { 60, 0 }, keep_alive = { 120, 0 },
				    half_closed = { 0, 400 * 1000 },
				    watch_late = { 0, 50 * 1000 };
	struct timeval answer = { .tv_sec = (time_t)answer_s };

	t->watch_late = event_base_init_common_timeout(base, &watch_late);
	t->half_closed = event_base_init_common_timeout(base, &half_closed);
	t->linger = event_base_init_common_timeout(base, &linger);
	t->head = event_base_init_common_timeout(base, &head);
	t->body = event_base_init_common_timeout(base, &body);
	t->keep_alive = event_base_init_common_timeout(base, &keep_alive);
	t->answer = event_base_init_common_timeout(base, &answer);
}

static void
on_spare_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	buf_drop_spare();
}

static void
on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	struct proxyd *d = arg;

	(void)fd;
	(void)what;
	client_conns_stop(d);
	(void)event_base_loopbreak(d->base);
}

// ---- new, watch, free

static int
open_listener(struct proxyd *d, enum door door, const struct listen_at *at,
    char error[static CONFIG_ERROR_MAX])
{
	struct listener *l = door == DOOR_API ? &d->api : &d->management;
	char text[ADDRESS_TEXT_MAX] = "?";
	int r = listener_open(l, d, door, at);

	if (r == 0)
		return 0;
	(void)!address_format(&at->address.sa, at->address.len, text);
	(void)snprintf(error, CONFIG_ERROR_MAX,
	    "cannot listen on %.120s (--%s): %s",
	    at->unix_path != NULL ? at->unix_path : text,
	    door == DOOR_API ? "api" : "management", strerror(-r));
	return r;
}

// Keys first: without one nobody but this machine is listened to.
static int
open_doors(struct proxyd *d, char error[static CONFIG_ERROR_MAX])
{
	const struct proxyd_config *config = d->config;
	bool is_local = config->api_at.unix_path != NULL ||
	    address_is_loopback(&config->api_at.address);
	int r = 0;

	if (config->api_keys != NULL)
		r = access_load_keys(
		    &d->access, config->api_keys, error, CONFIG_ERROR_MAX);
	if (r == 0 && !is_local && d->access.n_keys == 0) {
		(void)snprintf(error, CONFIG_ERROR_MAX,
		    "--api %.64s is not loopback, and --api-keys %.256s has "
		    "no key yet: meshllm key add NAME",
		    config->api, config->api_keys);
		r = -EACCES;
	}
	if (r == 0)
		r = open_listener(d, DOOR_API, &config->api_at, error);
	if (r == 0)
		r = open_listener(
		    d, DOOR_MANAGEMENT, &config->management_at, error);
	if (r == 0 && !is_local)
		LOG(LOG_WARNING, "api-not-local",
		    F("address", (const char *)d->api.text),
		    F("keys", (uint64_t)d->access.n_keys));
	return r;
}

int
proxyd_new(struct proxyd **ret, struct event_base *base,
    const struct proxyd_config *config, struct process_channels *channels,
    struct service *service, char error[static CONFIG_ERROR_MAX])
{
	struct proxyd *d = calloc(1, sizeof(*d));
	int r;

	(void)snprintf(error, CONFIG_ERROR_MAX, "out of memory");
	if (d == NULL)
		return -ENOMEM;
	d->base = base;
	d->config = config;
	d->limits = config->limits;
	d->channels = *channels;
	d->service = service;
	d->exit_status = EXIT_FAILURE;
	TAILQ_INIT(&d->conns);
	seats_init(&d->seats);
	TAILQ_INIT(&d->inbounds);
	d->access.hosts = &config->allow_hosts;
	d->access.origins = &config->allow_origins;
	TAILQ_INIT(&d->askings);
	peers_init(&d->peers);
	learned_init(&d->learned);
	reaper_init(&d->reaper, base);
	ready_keys_init(d);
	init_timeouts(&d->timeouts, base, config->answer_seconds);
	keep_alive_init(d);
	events_init(d);
	queue_init(d);
	randombytes_buf(d->session_key, sizeof(d->session_key));
	(void)evtimer_assign(&d->stop_timer, base, on_stop_timer, d);
	(void)evtimer_assign(&d->spare_timer, base, on_spare_timer, d);
	r = backends_init(d, &config->backends, error);
	if (r == 0)
		r = open_doors(d, error);
	if (r < 0) {
		proxyd_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

int
proxyd_watch(struct proxyd *d)
{
	int r = channels_open(d);

	if (r == 0)
		r = listener_start(&d->api);
	if (r == 0)
		r = listener_start(&d->management);
	if (r < 0)
		return r;
	proxyd_ask_keys(d);
	// A client says so; a host when a backend has told its models.
	if (d->config->backends.n == 0)
		proxyd_tell_self(d);
	backends_start(&d->backends);
	return 0;
}

static void
free_self(struct self *self)
{
	free(self->token);
	free(self->mesh_id);
	free(self->version);
	for (size_t i = 0; i < ADDRESSES_SHOWN_MAX; i++)
		free(self->addresses[i]);
}

void
proxyd_free(struct proxyd *d)
{
	if (d == NULL)
		return;
	d->is_stopping = true;
	keep_alive_done(d);
	events_done(d);
	queue_done(d);
	listener_close(&d->api);
	listener_close(&d->management);
	client_conns_close_all(d);
	inbounds_close_all(d);
	backends_done(&d->backends);
	ipc_peer_free(d->parent);
	ipc_peer_free(d->cryptod);
	ipc_peer_free(d->gossipd);
	ipc_peer_free(d->verifier);
	ipc_peer_free(d->reloader);
	evidence_done(d);
	close_fd(&d->channels.parent_fd);
	for (size_t i = 0; i < d->channels.n; i++)
		close_fd(&d->channels.fds[i]);
	(void)event_del(&d->stop_timer);
	(void)event_del(&d->spare_timer);
	buf_drop_spare();
	ready_keys_done(d);
	reaper_done(&d->reaper);
	peers_done(&d->peers);
	access_done(&d->access);
	reload_done(d);
	free_self(&d->self);
	free(d);
}

int
proxyd_tell_ready(struct proxyd *d)
{
	Ipc__Ready ready = IPC__READY__INIT;

	service_ready(d->service);
	if (d->parent == NULL)
		return d->service == NULL ? -EPIPE : 0;
	ready.api_address = d->api.text;
	ready.management_address = d->management.text;
	measure_put(&d->measure, &ready);
	return ipc_notify(d->parent, IPC__TYPE__IPC_READY, &ready.base, -1);
}

// ---- the end

void
proxyd_request_ended(struct proxyd *d)
{
	if (d->is_stopping && d->n_requests == 0)
		(void)event_base_loopbreak(d->base);
}

void
proxyd_stop(struct proxyd *d, int exit_status)
{
	static const struct timeval grace = { 2, 0 };

	if (d->is_stopping)
		return;
	d->is_stopping = true;
	d->exit_status = exit_status;
	channels_leave(d);
	listener_close(&d->api);
	listener_close(&d->management);
	events_done(d);
	client_conns_close_idle(d);
	(void)evtimer_add(&d->stop_timer, &grace);
	proxyd_request_ended(d);
}

int
proxyd_hold(struct proxyd *d, size_t *held, size_t now)
{
	if (now > *held && now - *held > HELD_BYTES_MAX - d->held_bytes)
		return -ENOBUFS;
	d->held_bytes = d->held_bytes - *held + now;
	*held = now;
	return 0;
}

void
proxyd_unhold(struct proxyd *d, size_t *held)
{
	static const struct timeval second = { .tv_sec = 1 };

	if (*held >= BUF_SPARE_FROM)
		(void)evtimer_add(&d->spare_timer, &second);
	d->held_bytes -= *held;
	*held = 0;
}
