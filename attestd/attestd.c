// attestd: its channels, and the signer's question to cryptod.  The peers are
// hostile until their frame has passed the rule table of the role.  A signer
// that does not know the keys must never say that it is ready.
#include "attestd/attestd.h"

#include <stdio.h>
#include <string.h>

#include "common/leaving.h"
#include "common/log.h"

void
attestd_init(
    struct attestd *d, const struct attestd_role *role, struct event_base *base)
{
	*d = (struct attestd){ .role = role,
		.base = base,
		.trust.dir_fd = -1,
		.trust.own_fd = -1 };
}

void
attestd_done(struct attestd *d)
{
	for (size_t i = 0; i < ROLE_MAX; i++) {
		ipc_peer_free(d->peers[i]);
		d->peers[i] = NULL;
	}
	signer_done(d);
	trust_watch_done(d);
	held_done(&d->held);
	free(d->blob_cache);
	d->blob_cache = NULL;
	sessions_free(d->sessions);
	trust_store_done(&d->trust);
}

void
attestd_stop(struct attestd *d)
{
	LOG(LOG_INFO, "stopping");
	d->is_stopped = true;
	for (size_t i = 0; i < d->role->n_channels; i++)
		leaving_send(d->peers[d->role->channels[i]]);
	(void)event_base_loopbreak(d->base); // fails without a base
}

static void
on_closed(struct ipc_peer *peer, int reason)
{
	struct attestd *d = ipc_peer_daemon(peer);
	enum ipc_role role = ipc_peer_role(peer);

	d->peers[role] = NULL;
	service_role_lost(
	    d->service, d->role->channels, d->role->n_channels, role);
	if (role == ROLE_CRYPTOD)
		signer_forget(d);
	service_log_lost(
	    d->service, peer, ipc_role_name(role), reason, d->is_stopped);
	if (role == ROLE_PARENT)
		(void)event_base_loopbreak(d->base); // fails without a base
}

static void
say_ready(struct attestd *d)
{
	Ipc__Ready ready = IPC__READY__INIT;
	int r = -EPIPE;

	if (d->is_ready)
		return;
	measure_put(&d->measure, &ready);
	if (d->service != NULL)
		r = 0;
	else if (d->peers[ROLE_PARENT] != NULL)
		r = ipc_notify(d->peers[ROLE_PARENT], IPC__TYPE__IPC_READY,
		    &ready.base, -1);
	if (r < 0) {
		LOG(LOG_ERROR, "not-ready", F("error", log_error(r)));
		return;
	}
	d->is_ready = true;
	service_ready(d->service);
	LOG(LOG_INFO, "serving");
}

static void
on_keys(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct attestd *d = arg;
	int r = cryptod_keys_read(status, msg, &d->keys);
	enum log_level level = service_failed_level(r);

	(void)frame;
	if (r < 0) {
		LOG(level, "keys-not-told", F("error", log_error(r)));
		return;
	}
	LOG(LOG_DEBUG, "keys", F("id", log_peer(d->keys.endpoint_id)));
	d->has_keys = true;
	say_ready(d);
	signer_renew(d);
	answers_go_on(d);
}

int
attestd_ask_keys(struct attestd *d)
{
	if (d->peers[ROLE_CRYPTOD] == NULL)
		return -EPIPE;
	return cryptod_keys_send(
	    d->peers[ROLE_CRYPTOD], ATTESTD_KEYS_DEADLINE_MS, on_keys, d, NULL);
}

static int
watch_one(struct attestd *d, enum ipc_role role, int *fd)
{
	struct ipc_channel_config config = { .base = d->base,
		.fd = take_fd(fd),
		.self = d->role->self,
		.role = role,
		.rules = d->role->rules,
		.n_rules = d->role->n_rules,
		.daemon = d,
		.closed = on_closed };

	return ipc_peer_new(&d->peers[role], &config);
}

// proxyd shows it where there is no parent; gossipd hands the signer's on.
int
attestd_tell_measured(struct attestd *d, enum ipc_role to)
{
	struct measured m = measured_of(
	    &d->measure, d->role->self, service_own_pid(d->service));

	if (d->state != NULL)
		(void)snprintf(m.attester, sizeof(m.attester), "%s", d->state);
	(void)snprintf(m.problem, sizeof(m.problem), "%s", d->problem);
	return measured_send(d->peers[to], &m);
}

// Its caller has come anew if there is one already.
static int
on_channel(void *arg, size_t door, int fd)
{
	struct attestd *d = arg;
	enum ipc_role role = d->role->channels[door];
	int r;

	ipc_peer_free(d->peers[role]);
	d->peers[role] = NULL;
	r = watch_one(d, role, &fd);
	if (r < 0)
		return r;
	return role == ROLE_CRYPTOD ? attestd_ask_keys(d)
				    : attestd_tell_measured(d, role);
}

static void
on_stop(void *arg)
{
	attestd_stop(arg);
}

// Others wait for our doors, not for cryptod's.
static int
watch_doors(struct attestd *d)
{
	static const struct service_events events = { on_channel, on_stop };
	int r = service_watch(d->service, d->base, &events, d);

	if (r == 0)
		say_ready(d);
	return r;
}

int
attestd_watch(struct attestd *d, struct process_channels *channels)
{
	int r;

	if (d->service != NULL)
		return watch_doors(d);
	r = watch_one(d, ROLE_PARENT, &channels->parent_fd);
	for (size_t i = 0; r == 0 && i < channels->n; i++)
		r = watch_one(d, d->role->channels[i], &channels->fds[i]);
	if (r < 0)
		return r;
	if (d->role->self == ROLE_SIGNER)
		return attestd_ask_keys(d);
	say_ready(d);
	return 0;
}
