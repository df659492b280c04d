// What an operator may see of this node, as one JSON object.  It holds the
// invite token and names of models and peers; never a prompt, an answer or a
// secret key.
#include "proxyd/status.h"

#include <jansson.h>
#include <sodium.h>
#include <string.h>

#include "common/hex.h"
#include "common/level_limits.h"
#include "proxyd/b64.h"
#include "proxyd/measure.h"
#include "proxyd/models.h"

static json_t *
text_or_null(const char *text)
{
	json_t *json = text == NULL ? NULL : json_string(text);

	return json == NULL ? json_null() : json;
}

static json_t *
number_or_null(bool is_known, uint64_t n)
{
	return is_known ? json_integer((json_int_t)n) : json_null();
}

static json_t *
id_text(const uint8_t *id, bool is_short)
{
	char text[ENDPOINT_ID_HEX_LEN + 1];

	if (is_short)
		hex_endpoint_id_short(id, text);
	else
		hex_endpoint_id(id, text);
	return json_string(text);
}

static json_t *
key_text(const uint8_t *key)
{
	uint8_t text[INFERENCE_KEY_LEN * 2];

	b64_encode(text, key, INFERENCE_KEY_LEN);
	return json_stringn(
	    (const char *)text, b64_encoded_len(INFERENCE_KEY_LEN));
}

static void
set(json_t *object, const char *name, json_t *value)
{
	(void)json_object_set_new(object, name, value);
}

static void
put_self(json_t *root, const struct proxyd *d)
{
	const struct self *self = &d->self;
	const struct proxyd_config *config = d->config;
	const char *problem =
	    self->attester_problem[0] == '\0' ? NULL : self->attester_problem;
	json_t *mesh = json_array();

	set(root, "version",
	    text_or_null(
		self->version != NULL ? self->version : PACKAGE_VERSION));
	set(root, "id", self->has_id ? id_text(self->id, false) : json_null());
	set(root, "short_id",
	    self->has_id ? id_text(self->id, true) : json_null());
	set(root, "token", text_or_null(self->token));
	set(root, "role",
	    json_string(backends_count(&d->backends) > 0 ? "host" : "client"));
	set(root, "api", json_string(d->api.text));
	set(root, "management", json_string(d->management.text));
	for (size_t i = 0; i < self->n_addresses; i++)
		(void)json_array_append_new(
		    mesh, json_string(self->addresses[i]));
	set(root, "mesh", mesh);
	set(root, "mesh_id", text_or_null(self->mesh_id));
	set(root, "require_attested",
	    config->is_attested_required
		? json_string(level_name(config->required_level))
		: json_null());
	set(root, "allow_plaintext_peers",
	    json_boolean(config->plaintext_allowed));
	set(root, "allow_unsigned_keys",
	    json_boolean(config->unsigned_allowed));
	set(root, "attester",
	    self->attester[0] == '\0'
		? json_null()
		: json_pack("{s:s, s:o}", "name", self->attester, "problem",
		      text_or_null(problem)));
	set(root, "inference_key",
	    self->has_key ? key_text(self->inference_key) : json_null());
}

// How a source is doing for us.
static void
put_health(json_t *object, unsigned in_flight, const struct breaker *b)
{
	uint64_t now = clock_mono_ms();

	set(object, "requests_now", json_integer(in_flight));
	set(object, "failures", json_integer(b->failures));
	set(object, "set_aside_ms",
	    b->is_open && b->until_ms > now
		? json_integer((json_int_t)(b->until_ms - now))
		: json_null());
}

static void
put_backends(json_t *root, const struct proxyd *d)
{
	json_t *list = json_array(), *models = json_array();
	size_t n = 0;
	struct backend_model *own = models_local(d, &n);

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(models, json_string(own[i].name));
	free(own);
	set(root, "models", models);
	for (size_t i = 0; i < d->backends.n; i++) {
		const struct backend *b = &d->backends.at[i];

		if (b->is_retired)
			continue;
		json_t *one = json_object(), *names = json_array();

		for (size_t k = 0; k < b->n_models; k++)
			(void)json_array_append_new(
			    names, json_string(b->models[k].name));
		set(one, "url", json_string(b->text));
		set(one, "state", json_string(b->is_up ? "up" : "down"));
		set(one, "models", names);
		set(one, "error",
		    b->is_up ? json_null() : json_string(b->error));
		put_health(one, b->in_flight, &b->breaker);
		(void)json_array_append_new(list, one);
	}
	set(root, "backends", list);
}

static void
put_processes(json_t *root, const struct proxyd *d)
{
	const struct {
		const char *name;
		const struct ipc_peer *channel;
	} siblings[] = {
		{ "cryptod", d->cryptod },
		{ "gossipd", d->gossipd },
		{ "attestd-verifier", d->verifier },
	};
	json_t *list = json_array();

	for (size_t i = 0; i < d->self.n_processes; i++) {
		const struct process_shown *p = &d->self.processes[i];
		const char *state = "running";

		for (size_t k = 0; k < N_ELEMENTS(siblings); k++)
			if (strcmp(siblings[k].name, p->name) == 0 &&
			    siblings[k].channel == NULL)
				state = "gone";
		(void)json_array_append_new(list,
		    json_pack("{s:s, s:i, s:s, s:o, s:o}", "name", p->name,
			"pid", (int)p->pid, "state", state, "rss_bytes",
			number_or_null(p->rss_bytes != 0, p->rss_bytes),
			"cpu_ms",
			number_or_null(p->rss_bytes != 0, p->cpu_ms)));
	}
	set(root, "processes", list);
}

static void
put_posture(json_t *root, const struct proxyd *d)
{
	json_t *items = json_array(), *images = json_object();
	uint32_t v1 = d->self.announced;

	for (size_t i = 0; i < d->self.n_posture; i++) {
		const struct posture_shown *p = &d->self.posture[i];

		(void)json_array_append_new(items,
		    json_pack("{s:s, s:s, s:s}", "name", p->name, "value",
			tri_text(p->value), "source", p->source));
	}
	for (size_t i = 0; i < d->self.n_images; i++) {
		const struct image_shown *image = &d->self.images[i];
		char text[IMAGE_HASH_LEN * 2 + 1];

		(void)sodium_bin2hex(
		    text, sizeof(text), image->sha256, IMAGE_HASH_LEN);
		set(images, image->name, json_string(text));
	}
	set(root, "posture", items);
	set(root, "images", images);
	set(root, "announced_posture",
	    json_pack("{s:b, s:b, s:b, s:b}", "sip_enabled",
		(v1 & POSTURE_V1_SIP_ENABLED) != 0, "rdma_disabled",
		(v1 & POSTURE_V1_RDMA_DISABLED) != 0, "debugger_blocked",
		(v1 & POSTURE_V1_DEBUGGER_BLOCKED) != 0, "core_dumps_disabled",
		(v1 & POSTURE_V1_CORE_DUMPS_DISABLED) != 0));
}

static void
put_counters(json_t *root, const struct proxyd *d)
{
	const struct counters *c = &d->counters;
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {
		{ "requests", c->requests },
		{ "local", c->local },
		{ "sealed_sent", c->sealed_sent },
		{ "sealed_served", c->sealed_served },
		{ "plain_sent", c->plain_sent },
		{ "plain_in", c->plain_in },
		{ "plain_served", c->plain_served },
		{ "plain_refused", c->plain_refused },
		{ "refused", c->refused },
		{ "retries", c->retries },
		{ "failed", c->failed },
		{ "aborted", c->aborted },
		{ "connections", c->connections },
		{ "connections_displaced", c->displaced },
		{ "tunnels_in", c->tunnels_in },
		{ "queued", c->queued },
		{ "queued_now", d->n_queued },
		{ "connections_now", d->n_conns },
		{ "tunnels_in_now", d->n_inbounds },
		{ "requests_now", d->n_requests },
		{ "held_bytes_now", d->held_bytes },
	};
	json_t *object = json_object();

	for (size_t i = 0; i < N_ELEMENTS(all); i++)
		set(object, all[i].name,
		    json_integer((json_int_t)all[i].value));
	set(root, "counters", object);
}

static const char *
reason_of(const struct peer *peer, const uint8_t *key)
{
	const struct peer_verdict *v =
	    peer_verdict_now(peer, key, clock_unix_ms());
	const struct peer_session *s = &peer->session;

	if (key == NULL)
		return "no key";
	// A host that was asked and had nothing good to show says why.
	if (s->is_known && s->level == IPC__LEVEL__LEVEL_NONE &&
	    (v == NULL || v->level == IPC__LEVEL__LEVEL_NONE))
		return s->reason;
	if (v != NULL)
		return v->reason;
	return peer->verdict.is_known
	    ? "expired, or about another key or connection"
	    : "not verified yet";
}

static json_t *
attestation_of(const struct peer *peer, const uint8_t *key, uint64_t now)
{
	const struct peer_verdict *v = peer_verdict_now(peer, key, now);
	Ipc__Level level = v == NULL ? IPC__LEVEL__LEVEL_NONE : v->level;
	json_t *json = json_pack("{s:s, s:s, s:s}", "level", level_name(level),
	    "reason", reason_of(peer, key), "limits", level_limits(level));

	set(json, "evidence_age_s",
	    v == NULL || v->made_ms == 0 || v->made_ms > now
		? json_null()
		: json_integer((json_int_t)((now - v->made_ms) / 1000)));
	return json;
}

// The owner's certificate of the existing network: shown, never decided by.
static json_t *
describe_owner(const struct peer *peer)
{
	static const char *const names[] = {
		[IPC__OWNER__OWNER_NONE] = "unsigned",
		[IPC__OWNER__OWNER_UNSUPPORTED_PROTOCOL] =
		    "unsupported_protocol",
		[IPC__OWNER__OWNER_MISMATCHED_NODE_ID] = "mismatched_node_id",
		[IPC__OWNER__OWNER_INVALID_SIGNATURE] = "invalid_signature",
		[IPC__OWNER__OWNER_EXPIRED] = "expired",
		[IPC__OWNER__OWNER_VERIFIED] = "verified",
	};
	bool is_signed = peer->owner == IPC__OWNER__OWNER_EXPIRED ||
	    peer->owner == IPC__OWNER__OWNER_VERIFIED;
	json_t *owner = json_object();

	set(owner, "status", json_string(names[peer->owner]));
	set(owner, "id",
	    is_signed ? id_text(peer->owner_id, false) : json_null());
	return owner;
}

// What it said of others' requests there, as it said it.
static json_t *
describe_loads(const struct peer *peer)
{
	uint64_t now = clock_mono_ms();
	json_t *list = json_array();

	for (size_t i = 0; i < peer->n_models; i++) {
		const struct load_heard *heard = &peer->models[i].load;
		json_t *one;

		if (!load_is_known(heard, now))
			continue;
		one = json_object();
		set(one, "model", json_string(peer->models[i].name));
		set(one, "running", json_integer(heard->load.running));
		set(one, "limit", json_integer(heard->load.limit));
		set(one, "queued", json_integer(heard->load.queued));
		set(one, "age_ms",
		    json_integer((json_int_t)(now - heard->heard_ms)));
		(void)json_array_append_new(list, one);
	}
	return list;
}

static json_t *
describe_peer(const struct peer *peer, uint64_t now)
{
	static const char *const roles[] = {
		[IPC__PEER_ROLE__PEER_WORKER] = "worker",
		[IPC__PEER_ROLE__PEER_HOST] = "host",
		[IPC__PEER_ROLE__PEER_CLIENT] = "client",
	};
	static const char *const dialects[] = {
		[IPC__DIALECT__DIALECT_UNKNOWN] = "unknown",
		[IPC__DIALECT__DIALECT_MESHLLM] = "meshllm",
		[IPC__DIALECT__DIALECT_SEALED] = "sealed",
		[IPC__DIALECT__DIALECT_PLAIN] = "plain",
	};
	static const char *const encryption[] = {
		[PEER_KEY_NONE] = "plain",
		[PEER_KEY_UNSIGNED] = "unsigned-key",
		[PEER_KEY_PROVEN] = "sealed",
	};
	const uint8_t *bytes = NULL;
	enum peer_key key = peer_key_now(peer, now, &bytes);
	json_t *json = json_object(), *models = json_array();

	for (size_t i = 0; i < peer->n_models; i++)
		(void)json_array_append_new(
		    models, json_string(peer->models[i].name));
	set(json, "id", id_text(peer->id, false));
	set(json, "short_id", id_text(peer->id, true));
	set(json, "role", json_string(roles[peer->role]));
	set(json, "models", models);
	set(json, "connected", json_boolean(peer->connected));
	set(json, "direct", json_boolean(peer->direct));
	set(json, "address",
	    peer->address[0] == '\0' ? json_null()
				     : text_or_null(peer->address));
	set(json, "rtt_ms",
	    peer->rtt_us == 0 ? json_null()
			      : json_real((double)peer->rtt_us / 1000));
	set(json, "encryption", json_string(encryption[key]));
	set(json, "owner", describe_owner(peer));
	set(json, "attestation", attestation_of(peer, bytes, now));
	put_health(json, peer->in_flight, &peer->breaker);
	set(json, "others", describe_loads(peer));
	set(json, "dialect", json_string(dialects[peer->dialect]));
	set(json, "version", text_or_null(peer->version));
	set(json, "last_seen_unix_ms",
	    json_integer((json_int_t)peer->last_seen_ms));
	return json;
}

static void
put_peers(json_t *root, const struct proxyd *d)
{
	uint64_t now = clock_unix_ms();
	json_t *list = json_array();

	for (size_t i = 0; i < d->peers.n; i++)
		if (d->peers.at[i]->is_present)
			(void)json_array_append_new(
			    list, describe_peer(d->peers.at[i], now));
	set(root, "peers", list);
}

// Times, ages and loads are no news.
static void
drop_what_always_changes(json_t *root)
{
	static const char *const names[] = { "rtt_ms", "last_seen_unix_ms",
		"requests_now", "set_aside_ms", "others" };
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(root, "peers"), i, one)
	{
		for (size_t k = 0; k < N_ELEMENTS(names); k++)
			(void)json_object_del(one, names[k]);
		(void)json_object_del(
		    json_object_get(one, "attestation"), "evidence_age_s");
	}
	json_array_foreach(json_object_get(root, "processes"), i, one)
	{
		(void)json_object_del(one, "rss_bytes");
		(void)json_object_del(one, "cpu_ms");
	}
	json_array_foreach(json_object_get(root, "backends"), i, one)
	{
		for (size_t k = 0; k < N_ELEMENTS(names); k++)
			(void)json_object_del(one, names[k]);
	}
}

json_t *
status_part(const struct proxyd *d, enum events_part part)
{
	json_t *root = json_object();

	switch (part) {
	case EVENTS_NODE:
		put_self(root, d);
		put_processes(root, d);
		break;
	case EVENTS_BACKENDS:
		put_backends(root, d);
		break;
	default:
		put_peers(root, d);
	}
	drop_what_always_changes(root);
	return root;
}

void
status_answer(struct request *req)
{
	struct failure failure;
	json_t *root = json_object();
	char *text;

	measure_refresh(req->d);
	put_self(root, req->d);
	put_backends(root, req->d);
	put_processes(root, req->d);
	put_posture(root, req->d);
	put_counters(root, req->d);
	put_peers(root, req->d);
	text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6));
	json_decref(root);
	if (text == NULL) {
		failure_set(&failure, 500, "internal_error", "out of memory");
		request_fail(req, &failure);
		return;
	}
	request_reply(req, 200, text, strlen(text));
	free(text);
}

static void
answer_state(struct request *req, const char *problem)
{
	static const char ok[] = "{\"status\":\"ok\"}";
	struct failure failure;

	if (problem == NULL) {
		request_reply(req, 200, ok, sizeof(ok) - 1);
		return;
	}
	failure_set(&failure, 503, "node_not_ready", "%s", problem);
	request_fail(req, &failure);
}

static const char *
health_problem(const struct proxyd *d)
{
	return d->cryptod != NULL && d->gossipd != NULL && !d->is_stopping
	    ? NULL
	    : "a part of this node is not running";
}

void
health_answer(struct request *req)
{
	answer_state(req, health_problem(req->d));
}

void
ready_answer(struct request *req)
{
	const struct backends *b = &req->d->backends;
	const char *problem = health_problem(req->d);
	bool any_up = backends_count(b) == 0;

	for (size_t i = 0; i < b->n; i++)
		any_up = any_up || b->at[i].is_up;
	if (problem == NULL && !any_up)
		problem = "no backend answers";
	answer_state(req, problem);
}

void
version_answer(struct request *req)
{
	static const char text[] = "{\"version\":\"" PACKAGE_VERSION "\"}";

	request_reply(req, 200, text, sizeof(text) - 1);
}
