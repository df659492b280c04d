// The peer table.  Everything in an update was chosen by gossipd or by a
// stranger; a signature is the only thing believed about keys.  The table must
// never go back to an older announcement of a node, nor lose a proven one
// before it expires.
#include "proxyd/peers.h"

#include <stdlib.h>
#include <string.h>

#include "common/process.h"

void
peers_init(struct peers *peers)
{
	memset(peers, 0, sizeof(*peers));
}

static void
peer_free(struct peer *peer)
{
	if (peer == NULL)
		return;
	free(peer->models);
	free(peer->evidence);
	free(peer);
}

void
peers_done(struct peers *peers)
{
	for (size_t i = 0; i < peers->n; i++)
		peer_free(peers->at[i]);
	free(peers->at);
	peer_free(peers->staging.peer);
	peers_init(peers);
}

// First place whose id is not below; the peer is there if ids are equal.
static size_t
lower_bound(const struct peers *peers, const uint8_t *id)
{
	size_t low = 0, high = peers->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(peers->at[mid]->id, id, ENDPOINT_ID_LEN) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct peer *
peers_find(const struct peers *peers, const uint8_t *id)
{
	size_t i = lower_bound(peers, id);

	if (i == peers->n || memcmp(peers->at[i]->id, id, ENDPOINT_ID_LEN) != 0)
		return NULL;
	return peers->at[i];
}

static bool
text_is_clean(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static void
copy_text(char *ret, size_t size, const char *text)
{
	size_t n;

	ret[0] = '\0';
	if (text == NULL || !text_is_clean(text))
		return;
	n = strnlen(text, size - 1);
	memcpy(ret, text, n);
	ret[n] = '\0';
}

static bool
update_is_sane(const Ipc__PeerUpdate *msg)
{
	if (msg->endpoint_id.len != ENDPOINT_ID_LEN ||
	    msg->n_models > PEER_MODELS_MAX)
		return false;
	if (msg->role < IPC__PEER_ROLE__PEER_WORKER ||
	    msg->role > IPC__PEER_ROLE__PEER_CLIENT ||
	    msg->dialect > IPC__DIALECT__DIALECT_PLAIN)
		return false;
	if (msg->has_owner && msg->owner > IPC__OWNER__OWNER_VERIFIED)
		return false;
	if (msg->has_owner_id && msg->owner_id.len != OWNER_ID_LEN)
		return false;
	if (msg->has_binding && msg->binding.len != PEER_BINDING_LEN)
		return false;
	return !msg->has_unsigned_key ||
	    msg->unsigned_key.len == INFERENCE_KEY_LEN;
}

// NULL, or why the announcement is not believed.
static const char *
take_announcement(struct peer *peer, const struct peer *before,
    const Ipc__PeerUpdate *msg, uint64_t now_ms)
{
	struct announcement a;
	const struct announcement *old;

	if (before != NULL && before->has_proven) {
		peer->has_proven = true;
		peer->proven = before->proven;
	}
	if (!msg->has_announcement)
		return NULL;
	if (announcement_open(msg->announcement.data, msg->announcement.len,
		peer->id, &a) < 0)
		return "signature or form is wrong";
	if (announcement_check_time(&a, now_ms) < 0)
		return "expired or not yet valid";
	old = &peer->proven;
	if (peer->has_proven && a.sequence < old->sequence)
		return "older than one seen before";
	if (peer->has_proven && a.sequence == old->sequence &&
	    memcmp(a.inference_key, old->inference_key, INFERENCE_KEY_LEN) != 0)
		return "two keys under one sequence number";
	peer->proven = a;
	peer->has_proven = true;
	return NULL;
}

static void
take_fields(struct peer *peer, const Ipc__PeerUpdate *msg)
{
	memcpy(peer->id, msg->endpoint_id.data, ENDPOINT_ID_LEN);
	peer->is_present = true;
	peer->role = msg->role;
	peer->dialect = msg->dialect;
	peer->connected = msg->connected;
	peer->direct = msg->direct;
	copy_text(peer->version, sizeof(peer->version), msg->version);
	copy_text(peer->address, sizeof(peer->address), msg->address);
	peer->rtt_us = msg->has_rtt_us ? msg->rtt_us : 0;
	peer->last_seen_ms = msg->has_last_seen_ms ? msg->last_seen_ms : 0;
	peer->posture = msg->has_posture ? msg->posture : 0;
	// Others are not asked for it.
	peer->shows_life = msg->has_shows_life && msg->shows_life &&
	    msg->dialect == IPC__DIALECT__DIALECT_MESHLLM;
	peer->owner = msg->has_owner ? msg->owner : IPC__OWNER__OWNER_NONE;
	if (msg->has_owner_id)
		memcpy(peer->owner_id, msg->owner_id.data, OWNER_ID_LEN);
	peer->has_binding = msg->has_binding != 0;
	if (peer->has_binding)
		memcpy(peer->binding, msg->binding.data, PEER_BINDING_LEN);
	if (msg->has_unsigned_key &&
	    announcement_key_is_usable(msg->unsigned_key.data)) {
		peer->has_unsigned = true;
		memcpy(peer->unsigned_key, msg->unsigned_key.data,
		    INFERENCE_KEY_LEN);
	}
}

static int
take_evidence(struct peer *peer, const Ipc__PeerUpdate *msg)
{
	if (!msg->has_evidence || msg->evidence.len == 0)
		return 0;
	if (msg->evidence.len > EVIDENCE_MAX)
		return -EBADMSG;
	if ((peer->evidence = malloc(msg->evidence.len)) == NULL)
		return -ENOMEM;
	memcpy(peer->evidence, msg->evidence.data, msg->evidence.len);
	peer->evidence_len = msg->evidence.len;
	return 0;
}

static bool
same_evidence(const struct peer *a, const struct peer *b)
{
	return a->evidence_len == b->evidence_len &&
	    (a->evidence_len == 0 ||
		memcmp(a->evidence, b->evidence, a->evidence_len) == 0);
}

int
peers_update_begin(struct peers *peers, const Ipc__PeerUpdate *msg,
    uint64_t now_ms, const char **ret_why)
{
	struct peer_staging *staging = &peers->staging;
	const struct peer *before;
	struct peer *peer;
	int r;

	if (!update_is_sane(msg))
		return -EBADMSG;
	peer_free(staging->peer);
	staging->peer = NULL;
	if ((peer = calloc(1, sizeof(*peer))) == NULL)
		return -ENOMEM;
	take_fields(peer, msg);
	if ((r = take_evidence(peer, msg)) < 0) {
		peer_free(peer);
		return r;
	}
	before = peers_find(peers, peer->id);
	*ret_why = take_announcement(peer, before, msg, now_ms);
	if (msg->n_models > 0) {
		peer->models = calloc(msg->n_models, sizeof(*peer->models));
		if (peer->models == NULL) {
			peer_free(peer);
			return -ENOMEM;
		}
	}
	staging->peer = peer;
	staging->n_expected = msg->n_models;
	return 0;
}

static int
compare_models(const void *a, const void *b)
{
	return strcmp(((const struct peer_model *)a)->name,
	    ((const struct peer_model *)b)->name);
}

static bool
proven_is_alive(const struct peer *peer, uint64_t now_ms)
{
	return peer->has_proven &&
	    announcement_check_time(&peer->proven, now_ms) == 0;
}

// Room for one more: forget a peer that is gone, if the table is full.
static int
make_room(struct peers *peers)
{
	struct peer **grown;
	size_t size;

	if (peers->n >= PEERS_MAX) {
		for (size_t i = 0; i < peers->n; i++)
			if (!peers->at[i]->is_present &&
			    peers->at[i]->in_flight == 0) {
				peer_free(peers->at[i]);
				peers->n--;
				memmove(peers->at + i, peers->at + i + 1,
				    (peers->n - i) * sizeof(*peers->at));
				return 0;
			}
		return -ENOSPC;
	}
	if (peers->n < peers->size)
		return 0;
	size = peers->size == 0 ? 16 : peers->size * 2;
	grown = reallocarray(peers->at, size, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	peers->at = grown;
	peers->size = size;
	return 0;
}

static void
note_lost_models(
    struct peers *peers, const struct peer *old, const struct peer *now)
{
	if (old->role != IPC__PEER_ROLE__PEER_HOST)
		return;
	for (size_t i = 0; i < old->n_models; i++)
		if (now == NULL || !peer_has_model(now, old->models[i].name))
			recent_note(&peers->recent, old->models[i].name,
			    clock_mono_ms());
}

// A host that was away may have been restarted, and have nothing to do.
static void
keep_loads(struct peer *peer, const struct peer *old)
{
	const struct load_heard *heard;

	for (size_t i = 0; i < peer->n_models && old->connected; i++) {
		heard = peer_load(old, peer->models[i].name);
		if (heard != NULL)
			peer->models[i].load = *heard;
	}
}

// What is not news of the peer, but was learned of it here, stays.
static void
replace(struct peers *peers, struct peer *old, struct peer *peer)
{
	note_lost_models(peers, old, peer);
	keep_loads(peer, old);
	// A verdict is about the evidence that it was made on.
	if (same_evidence(peer, old))
		peer->verdict = old->verdict;
	peer->verdict_asked = old->verdict_asked;
	peer->session = old->session;
	peer->in_flight = old->in_flight;
	// Another release may not show what this one did.
	peer->shows_life |=
	    old->shows_life && strcmp(old->version, peer->version) == 0;
	peer->breaker = old->breaker;
	if (peer->connected && !old->connected)
		breaker_hope(&peer->breaker);
	free(old->models);
	free(old->evidence);
	*old = *peer;
	free(peer);
}

static int
commit(struct peers *peers, struct peer **ret)
{
	struct peer *peer = peers->staging.peer;
	struct peer *old = peers_find(peers, peer->id);
	size_t i;
	int r;

	if (peer->n_models > 0)
		qsort(peer->models, peer->n_models, sizeof(*peer->models),
		    compare_models);
	peers->staging.peer = NULL;
	if (old != NULL) {
		replace(peers, old, peer);
		*ret = old;
		return 0;
	}
	if ((r = make_room(peers)) < 0) {
		peer_free(peer);
		return r;
	}
	i = lower_bound(peers, peer->id);
	memmove(peers->at + i + 1, peers->at + i,
	    (peers->n - i) * sizeof(*peers->at));
	peers->at[i] = peer;
	peers->n++;
	*ret = peer;
	return 0;
}

static bool
model_name_is_sane(const char *name)
{
	size_t n = strnlen(name, MODEL_NAME_MAX + 1);

	return n > 0 && n <= MODEL_NAME_MAX && text_is_clean(name);
}

int
peers_update_models(
    struct peers *peers, const Ipc__PeerModels *msg, struct peer **ret)
{
	struct peer_staging *staging = &peers->staging;
	struct peer *peer = staging->peer;

	*ret = NULL;
	if (peer == NULL || msg->endpoint_id.len != ENDPOINT_ID_LEN ||
	    memcmp(peer->id, msg->endpoint_id.data, ENDPOINT_ID_LEN) != 0 ||
	    msg->n_models > staging->n_expected)
		return -EBADMSG;
	staging->n_expected -= msg->n_models;
	for (size_t i = 0; i < msg->n_models; i++) {
		struct peer_model *model = &peer->models[peer->n_models];
		const Ipc__PeerModels__Model *in = msg->models[i];

		if (!model_name_is_sane(in->name))
			continue;
		copy_text(model->name, sizeof(model->name), in->name);
		model->context_length =
		    in->has_context_length ? in->context_length : 0;
		peer->n_models++;
	}
	if (!msg->final)
		return 0;
	return staging->n_expected == 0 ? commit(peers, ret) : -EBADMSG;
}

void
peers_remove(struct peers *peers, const uint8_t *id, uint64_t now_ms)
{
	size_t i = lower_bound(peers, id);
	struct peer *peer = peers_find(peers, id);

	if (peer == NULL)
		return;
	note_lost_models(peers, peer, NULL);
	if (proven_is_alive(peer, now_ms) || peer->in_flight > 0 ||
	    peer->verdict_asked) {
		peer->is_present = false;
		peer->connected = false;
		peer->has_binding = false;
		free(peer->models);
		peer->models = NULL;
		peer->n_models = 0;
		return;
	}
	peer_free(peer);
	peers->n--;
	memmove(peers->at + i, peers->at + i + 1,
	    (peers->n - i) * sizeof(*peers->at));
}

enum peer_key
peer_key_now(const struct peer *peer, uint64_t now_ms, const uint8_t **ret_key)
{
	if (proven_is_alive(peer, now_ms)) {
		*ret_key = peer->proven.inference_key;
		return PEER_KEY_PROVEN;
	}
	*ret_key = peer->has_unsigned ? peer->unsigned_key : NULL;
	return peer->has_unsigned ? PEER_KEY_UNSIGNED : PEER_KEY_NONE;
}

static int
by_name(const void *name, const void *model)
{
	return strcmp(name, ((const struct peer_model *)model)->name);
}

static struct peer_model *
find_model(const struct peer *peer, const char *model)
{
	if (peer->n_models == 0)
		return NULL;
	return bsearch(model, peer->models, peer->n_models,
	    sizeof(peer->models[0]), by_name);
}

bool
peer_has_model(const struct peer *peer, const char *model)
{
	return find_model(peer, model) != NULL;
}

const struct load_heard *
peer_load(const struct peer *peer, const char *model)
{
	const struct peer_model *found = find_model(peer, model);

	return found == NULL ? NULL : &found->load;
}

void
peer_hear_load(struct peer *peer, const char *model, const struct load *load,
    uint64_t now_ms)
{
	struct peer_model *found = find_model(peer, model);

	if (found != NULL)
		found->load = (struct load_heard){ *load, now_ms };
}

uint32_t
peer_context_length(const struct peer *peer, const char *model)
{
	const struct peer_model *found = find_model(peer, model);

	return found == NULL ? 0 : found->context_length;
}

static bool
is_on_this_connection(const struct peer *peer)
{
	const struct peer_verdict *v = &peer->verdict;

	return v->has_binding == peer->has_binding &&
	    (!v->has_binding ||
		memcmp(v->binding, peer->binding, PEER_BINDING_LEN) == 0);
}

const struct peer_verdict *
peer_verdict_now(const struct peer *peer, const uint8_t *key, uint64_t now_ms)
{
	const struct peer_verdict *v = &peer->verdict;

	// One that would live longer than any does: our clock was set back.
	if (!v->is_known || key == NULL || now_ms >= v->expires_ms ||
	    v->expires_ms - now_ms > PEER_VERDICT_MAX_MS ||
	    memcmp(v->inference_key, key, INFERENCE_KEY_LEN) != 0 ||
	    !is_on_this_connection(peer))
		return NULL;
	return v;
}

Ipc__Level
peer_level_now(const struct peer *peer, const uint8_t *key, uint64_t now_ms)
{
	const struct peer_verdict *v = peer_verdict_now(peer, key, now_ms);

	return v == NULL ? IPC__LEVEL__LEVEL_NONE : v->level;
}
