// Puts the daemon together: transport, gossip core, timers.
#include "gossipd/gossipd.h"

#include <sodium.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/log.h"
#include "gossipd/addr_json.h"

enum { TICK_MS = 1000 };

// clang-format off
const struct option gossipd_options[] = {
	{ "config", NULL, "FILE", "configuration file",
	    OPTION_STRING, offsetof(struct gossipd_options, config), 0, 0 },
	{ "doors", NULL, "DIR", "started by systemd: the node's doors",
	    OPTION_STRING, offsetof(struct gossipd_options, doors), 0, 0 },
	{ "state-dir", NULL, "DIR", "where the mesh id is kept",
	    OPTION_STRING, offsetof(struct gossipd_options, state_dir), 0, 0 },
	{ "state-dir", "meshllm", "DIR", NULL,
	    OPTION_STRING, offsetof(struct gossipd_options, top_state_dir), 0, 0 },
	{ "mesh", "gossipd", "ADDR:PORT", "UDP address for other nodes, at most two (0.0.0.0:9337 and [::]:9337)",
	    OPTION_STRINGS, offsetof(struct gossipd_options, mesh), 0, 0 },
	{ "advertise", "gossipd", "ADDR:PORT", "address to tell other nodes instead of our own, repeatable",
	    OPTION_STRINGS, offsetof(struct gossipd_options, advertise), 0, 0 },
	{ "join", "gossipd", "TOKEN", "invite token of a node to join, repeatable",
	    OPTION_STRINGS, offsetof(struct gossipd_options, join), 0, 0 },
	{ "log-level", "meshllm", "LEVEL", "error, warning, info or debug",
	    OPTION_STRING, offsetof(struct gossipd_options, log_level), 0, 0 },
	{ "log-format", "meshllm", "FORMAT", "auto, text, json or journal",
	    OPTION_STRING, offsetof(struct gossipd_options, log_format), 0, 0 },
};
// clang-format on
const size_t gossipd_n_options = N_ELEMENTS(gossipd_options);

int
gossipd_new(struct gossipd **ret, struct event_base *base,
    const struct gossipd_options *options, const struct process_channels *c,
    struct service *service)
{
	static const struct timeval watch_late = { .tv_usec = 50 * 1000 };
	struct gossipd *d = calloc(1, sizeof(*d));
	int r;

	if (d == NULL)
		return -ENOMEM;
	d->base = base;
	d->watch_late = event_base_init_common_timeout(base, &watch_late);
	d->options = *options;
	d->service = service;
	d->state_dir = options->state_dir;
	d->mesh_id_fd = -1;
	d->is_client = true;
	d->started_ms = clock_mono_ms();
	TAILQ_INIT(&d->waiting);
	if ((r = channels_open(d, c)) < 0) {
		gossipd_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void
gossipd_free(struct gossipd *d)
{
	struct dirty_peer *dirty, *tmp;

	d->stopping = true;
	// First: the ends of connections that it tells of arm a timer again.
	if (d->quic != NULL)
		quic_free(d->quic);
	if (d->tick != NULL)
		event_free(d->tick);
	if (d->tick_soon != NULL)
		event_free(d->tick_soon);
	if (d->greet != NULL)
		event_free(d->greet);
	HASH_ITER (hh, d->dirty, dirty, tmp) {
		HASH_DEL(d->dirty, dirty);
		free(dirty);
	}
	ipc_peer_free(d->parent);
	ipc_peer_free(d->cryptod);
	if (d->tls_event != NULL)
		event_free(d->tls_event);
	ipc_peer_free(d->cryptod_tls);
	ipc_peer_free(d->proxyd);
	ipc_peer_free(d->signer);
	gossip_free(d->gossip);
	close_fd(&d->mesh_id_fd);
	free(d->evidence);
	free(d);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct gossipd *d = arg;
	uint64_t now = clock_mono_ms();
	struct link *link, *tmp;

	(void)fd;
	(void)what;
	(void)stall_since(&d->stall, clock_boot_ms());
	if (d->quic == NULL)
		return; // still starting
	if (now - d->published_ms >= PUBLISH_INTERVAL_MS) {
		d->published_ms = now;
		HASH_ITER (hh, d->links, link, tmp)
			if (link->conn != NULL)
				publish_mark(d, link->id);
	}
	gossipd_refresh_evidence(d, now);
	mesh_tick(d, now);
}

static void
on_greet(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	mesh_start_pending(arg, clock_mono_ms());
}

static int
parse_addresses(const struct option_list *list, const char *what,
    struct address *ret, size_t max, size_t *ret_n)
{
	if (list->n > max) {
		LOG(LOG_ERROR, "too-many-addresses", F("option", what),
		    F("count", (uint64_t)list->n), F("max", (uint64_t)max));
		return -E2BIG;
	}
	for (size_t i = 0; i < list->n; i++) {
		int r = addr_parse(list->values[i], &ret[i]);

		if (r < 0) {
			LOG(LOG_ERROR, "bad-address", F("option", what),
			    F("value", list->values[i]));
			return r;
		}
	}
	*ret_n = list->n;
	return 0;
}

static int
listen_addresses(struct gossipd *d, struct address *ret, size_t *ret_n)
{
	char v4[] = "0.0.0.0:9337", v6[] = "[::]:9337";
	char *defaults[] = { v4, v6 };
	struct option_list list = d->options.mesh;

	if (list.n == 0)
		list = (struct option_list){ N_ELEMENTS(defaults), defaults };
	return parse_addresses(&list, "mesh", ret, GOSSIPD_LISTEN_MAX, ret_n);
}

static int
collect_addresses(struct gossipd *d, size_t n_listen)
{
	struct address bound;
	size_t n;
	int r;

	r = parse_addresses(&d->options.advertise, "advertise", d->addresses,
	    GOSSIPD_ADDRESSES_MAX, &d->n_addresses);
	if (r < 0 || d->n_addresses != 0)
		return r;
	for (size_t i = 0; i < n_listen; i++) {
		if ((r = quic_local_address(d->quic, i, &bound)) < 0)
			return r;
		r = state_own_addresses(&bound, d->addresses + d->n_addresses,
		    GOSSIPD_ADDRESSES_MAX - d->n_addresses, &n);
		if (r < 0)
			return r;
		d->n_addresses += n;
	}
	return 0;
}

static void
log_in_use(const struct address *listen, size_t n, int error)
{
	char text[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < n; i++)
		LOG(LOG_ERROR, "mesh-address-unusable",
		    F("address", state_address_text(&listen[i], text)),
		    F("error", log_error(error)));
}

static int
start_quic(struct gossipd *d, size_t *ret_n_listen)
{
	struct address listen[GOSSIPD_LISTEN_MAX];
	struct quic_config config = { .base = d->base,
		.listen = listen,
		.sign = gossipd_sign,
		.sign_arg = d,
		.callbacks = mesh_callbacks,
		.arg = d };
	int r;

	if ((r = listen_addresses(d, listen, &config.n_listen)) < 0)
		return r;
	memcpy(config.endpoint_id, d->endpoint_id, ENDPOINT_ID_LEN);
	r = state_load_reset_key(d->state_dir, config.static_secret);
	if (r < 0) {
		LOG(LOG_ERROR, "state-unusable", F("dir", d->state_dir),
		    F("file", "reset-key"), F("error", log_error(r)));
		return r;
	}
	r = quic_new(&d->quic, &config);
	sodium_memzero(config.static_secret, sizeof(config.static_secret));
	if (r < 0)
		log_in_use(listen, config.n_listen, r);
	*ret_n_listen = config.n_listen;
	return r;
}

static int
start_gossip(struct gossipd *d)
{
	struct gossip_config config = { .seed = 0 };
	int r;

	r = state_open_mesh_id(d->state_dir, &d->mesh_id_fd, d->mesh_id);
	if (r < 0) {
		LOG(LOG_ERROR, "state-unusable", F("dir", d->state_dir),
		    F("file", "mesh-id"), F("error", log_error(r)));
		return r;
	}
	memcpy(config.endpoint_id, d->endpoint_id, ENDPOINT_ID_LEN);
	// A joiner adopts the mesh id of those it joins.
	if (d->options.join.n == 0)
		memcpy(config.mesh_id, d->mesh_id, sizeof(config.mesh_id));
	randombytes_buf(&config.seed, sizeof(config.seed));
	return gossip_new(&d->gossip, &config);
}

static int
join_all(struct gossipd *d)
{
	const char *reason = "";
	int r;

	for (size_t i = 0; i < d->options.join.n; i++) {
		r = gossip_join(d->gossip, clock_mono_ms(),
		    d->options.join.values[i], &reason);
		if (r < 0) {
			LOG(LOG_ERROR, "bad-token", F("option", "join"),
			    F("number", (uint64_t)i + 1), F("reason", reason));
			return r;
		}
	}
	return 0;
}

// The identity and the announcement come from cryptod, which has just
// started as we have, or does so when its door is knocked at: wait for both,
// in the loop; the tick ends the wait.
static int
wait_for_keys(struct gossipd *d)
{
	uint64_t until = clock_mono_ms() + KEYS_DEADLINE_MS;
	bool has_parent = d->service == NULL;
	int r;

	if (has_parent && (r = gossipd_refresh_keys(d)) < 0)
		return r;
	while (!d->has_announcement && !d->stopping &&
	    (d->cryptod != NULL || !has_parent) && clock_mono_ms() < until) {
		if (event_base_loop(d->base, EVLOOP_ONCE) == -1)
			return -EIO;
	}
	if (d->stopping)
		return -ECANCELED;
	return d->has_announcement ? 0 : -ETIMEDOUT;
}

static int
start_timers(struct gossipd *d)
{
	struct timeval every = { .tv_usec = TICK_MS * 1000 % 1000000,
		.tv_sec = TICK_MS / 1000 };

	d->tick = event_new(d->base, -1, EV_PERSIST, on_tick, d);
	d->tick_soon = evtimer_new(d->base, on_tick, d);
	d->greet = evtimer_new(d->base, on_greet, d);
	if (d->tick == NULL || d->tick_soon == NULL || d->greet == NULL ||
	    event_add(d->tick, &every) == -1)
		return -ENOMEM;
	return 0;
}

int
gossipd_start(struct gossipd *d)
{
	size_t n_listen = 0;
	int r;

	if ((r = start_timers(d)) < 0)
		return r;
	if ((r = wait_for_keys(d)) < 0)
		return r;
	if ((r = start_gossip(d)) < 0)
		return r;
	if ((r = start_quic(d, &n_listen)) < 0)
		return r;
	if ((r = collect_addresses(d, n_listen)) < 0)
		return r;
	mesh_tell_self(d);
	if ((r = join_all(d)) < 0)
		return r;
	publish_mesh_info(d);
	return 0;
}

int
gossipd_ready(struct gossipd *d)
{
	Ipc__Ready ready = IPC__READY__INIT;
	char text[ADDRESS_TEXT_MAX];
	struct address bound;
	int r;

	if (d->parent == NULL && d->service == NULL)
		return -EPIPE;
	if ((r = quic_local_address(d->quic, 0, &bound)) < 0)
		return r;
	ready.mesh_address =
	    (char *)(uintptr_t)state_address_text(&bound, text);
	measure_put(&d->measure, &ready);
	LOG(LOG_INFO, "serving", F("mesh", text));
	mesh_run_actions(d);
	d->is_confined = true;
	channels_tell_measured(d);
	service_ready(d->service);
	return d->parent == NULL
	    ? 0
	    : ipc_notify(d->parent, IPC__TYPE__IPC_READY, &ready.base, -1);
}

// PeerLeaving to everybody, then a moment for the packets to leave (wire-v1,
// section 3.10).
void
gossipd_stop(struct gossipd *d)
{
	struct timeval grace = { .tv_usec = 200 * 1000 };

	if (d->stopping)
		return;
	d->stopping = true;
	LOG(LOG_INFO, "stopping");
	channels_leave(d);
	if (d->gossip != NULL) {
		gossip_on_shutdown(d->gossip, clock_mono_ms());
		mesh_run_actions(d);
	}
	(void)event_base_loopexit(d->base, &grace);
}
