// Chooses where a request may go.  Policy first: what the options forbid is
// no candidate at all.  Then what would fail or wait comes later: sources that
// are full, set aside, too small.  Among equals the one where the session was
// before, unless it has much more to do than the others; else the one that has
// least to do, for us and as it says for others.
#include "proxyd/candidates.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "proxyd/json_hints.h"
#include "proxyd/load.h"
#include "proxyd/proxyd.h"
#include "proxyd/request.h"

enum { REASON_MAX = 280, REASON_OF_MANY_MAX = 110 }; // bytes

// What speaks against a source, the worst first.
enum {
	// Under --require-attested-hosts: has yet to show enough.  What is said
	// below of those that have must not depend on how many liars there are.
	AGAINST_UNATTESTED = 1 << 8,
	AGAINST_ASIDE = 1 << 7,	   // failed, and is not to be tried yet
	AGAINST_FULL = 1 << 6,	   // has as many requests as it may have
	AGAINST_SMALL = 1 << 5,	   // its context is too small
	AGAINST_PLAIN = 1 << 4,	   // cannot encrypt
	AGAINST_UNSIGNED = 1 << 3, // key not signed
	AGAINST_DISTANCE = 1 << 2, // of another node
	AGAINST_UNCONNECTED = 1 << 1,
	AGAINST_UNKNOWN = 1 << 0, // size of its context
};

enum { CHOICES_MAX = 256 };

struct choice {
	struct candidate candidate;
	unsigned against;
	bool is_trial;		    // it failed; this request would try it
	bool is_busy;		    // as it says: one more would wait there
	bool is_loaded;		    // more than its share
	unsigned in_flight, others; // ours, and theirs as it says
	uint64_t weight;	    // for this session
};

struct choices {
	struct choice at[CHOICES_MAX];
	size_t n;
};

// ---- sources

struct breaker *
candidate_breaker(struct proxyd *d, const struct candidate *to)
{
	struct peer *peer;

	if (to->source == SOURCE_LOCAL)
		return &to->backend->breaker;
	peer = peers_find(&d->peers, to->peer_id);
	return peer == NULL ? NULL : &peer->breaker;
}

unsigned *
candidate_in_flight(struct proxyd *d, const struct candidate *to)
{
	struct peer *peer;

	if (to->source == SOURCE_LOCAL)
		return &to->backend->in_flight;
	peer = peers_find(&d->peers, to->peer_id);
	return peer == NULL ? NULL : &peer->in_flight;
}

unsigned
candidate_limit(const struct proxyd *d, const struct candidate *to)
{
	if (to->source == SOURCE_LOCAL && to->backend->spec.requests != 0)
		return to->backend->spec.requests;
	return (unsigned)(to->source == SOURCE_LOCAL
		? d->limits.backend_requests
		: d->limits.host_requests);
}

void
candidate_name(
    const struct candidate *to, char ret[static 2 * ENDPOINT_ID_SHORT_LEN + 1])
{
	if (to->source == SOURCE_LOCAL)
		memcpy(ret, "local", sizeof("local"));
	else
		hex_endpoint_id_short(to->peer_id, ret);
}

// ---- policy

// Each host is named; of many the later ones have less room for a reason.
void
candidates_refuse(
    struct candidates *c, const uint8_t *peer_id, const char *reason)
{
	enum { ROOM = sizeof(c->refused) };
	char id[2 * ENDPOINT_ID_SHORT_LEN + 1];
	size_t used = strlen(c->refused);
	int most = used < ROOM / 3 ? REASON_MAX : REASON_OF_MANY_MAX;

	hex_endpoint_id_short(peer_id, id);
	if (used + sizeof(id) + (size_t)most + 8 <= ROOM) {
		(void)snprintf(c->refused + used, ROOM - used, "%s%s: %.*s",
		    used == 0 ? "" : "; ", id, most, reason);
		return;
	}
	if (!c->is_refused_full)
		(void)snprintf(c->refused + used, ROOM - used, "; ...");
	c->is_refused_full = true;
}

void
candidates_fail_unattested(
    const struct candidates *c, const struct proxyd *d, struct failure *ret)
{
	failure_set(ret, 503, "host_not_attested",
	    "no host reaches the required level \"%s\": %s",
	    level_name(d->config->required_level), c->refused);
	ret->is_final = true;
}

static bool
is_listed(const struct proxyd *d, const struct peer *peer)
{
	const struct option_list *only = &d->config->only_hosts;
	char id[ENDPOINT_ID_HEX_LEN + 1];

	if (only->n == 0)
		return true;
	hex_endpoint_id(peer->id, id);
	for (size_t i = 0; i < only->n; i++)
		if (strcmp(only->values[i], id) == 0)
			return true;
	return false;
}

// May this peer be used at all?  NULL, or the reason why not.
static const char *
refusal(const struct proxyd *d, enum peer_key key)
{
	if (key == PEER_KEY_PROVEN)
		return NULL;
	if (key == PEER_KEY_UNSIGNED)
		return d->config->unsigned_allowed
		    ? NULL
		    : "its key is not signed by the node";
	return d->config->plaintext_allowed
	    ? NULL
	    : "it has no key, so nothing can be encrypted to it";
}

// ---- all there are

static void
add(struct proxyd *d, struct choices *all, const struct candidate *candidate,
    const struct load_heard *heard, unsigned against)
{
	uint64_t now = clock_mono_ms();
	struct choice *one = &all->at[all->n];
	const struct breaker *breaker;

	if (all->n == CHOICES_MAX)
		return;
	all->n++;
	*one = (struct choice){ .candidate = *candidate, .against = against };
	one->in_flight = *candidate_in_flight(d, candidate);
	if (one->in_flight >= candidate_limit(d, candidate))
		one->against |= AGAINST_FULL;
	one->others = load_of_others(heard, now);
	one->is_busy = load_is_full(heard, one->in_flight, now);
	breaker = candidate_breaker(d, candidate);
	switch (breaker_state(breaker, now)) {
	case BREAKER_OPEN:
		one->against |= AGAINST_ASIDE;
		break;
	case BREAKER_TRY:
		one->is_trial = true;
		break;
	default:
		break;
	}
}

static bool
is_unattested(const struct proxyd *d, const struct peer *peer, uint64_t now)
{
	const uint8_t *key = NULL;

	return d->config->is_attested_required &&
	    (peer_key_now(peer, now, &key) != PEER_KEY_PROVEN ||
		peer_level_now(peer, key, now) < d->config->required_level);
}

static void
add_host(struct proxyd *d, const struct peer *peer, uint64_t now,
    const char *model, struct candidates *ret, struct choices *all)
{
	struct candidate one = { .source = SOURCE_SEALED };
	const uint8_t *bytes = NULL;
	enum peer_key key = peer_key_now(peer, now, &bytes);
	const char *why = refusal(d, key);
	unsigned against = AGAINST_DISTANCE;

	if (!is_listed(d, peer)) {
		candidates_refuse(ret, peer->id, "not one of --only-host");
		ret->any_unlisted = true;
		return;
	}
	if (why != NULL) {
		candidates_refuse(ret, peer->id, why);
		ret->any_unattested = true;
		return;
	}
	if (key == PEER_KEY_NONE) {
		one.source = SOURCE_PLAIN;
		against |= AGAINST_PLAIN;
	} else if (key == PEER_KEY_UNSIGNED) {
		against |= AGAINST_UNSIGNED;
	}
	if (!peer->connected)
		against |= AGAINST_UNCONNECTED;
	if (is_unattested(d, peer, now))
		against |= AGAINST_UNATTESTED;
	memcpy(one.peer_id, peer->id, ENDPOINT_ID_LEN);
	if (bytes != NULL)
		memcpy(one.key, bytes, INFERENCE_KEY_LEN);
	one.context_length = peer_context_length(peer, model);
	add(d, all, &one, peer_load(peer, model), against);
}

static void
add_hosts(struct proxyd *d, const char *model, struct candidates *ret,
    struct choices *all)
{
	uint64_t now = clock_unix_ms();
	size_t n = d->peers.n;
	bool is_required = d->config->is_attested_required;

	// Each time another one first: the first of equals stays first.  Those
	// that are attested find room, however many others there are.
	d->peers.turn++;
	for (size_t k = 0; k < (is_required ? 2 * n : n); k++) {
		const struct peer *peer = d->peers.at[(k + d->peers.turn) % n];

		if (is_required && is_unattested(d, peer, now) != (k >= n))
			continue;
		if (peer->is_present &&
		    peer->role == IPC__PEER_ROLE__PEER_HOST &&
		    peer_has_model(peer, model))
			add_host(d, peer, now, model, ret, all);
	}
}

// true: a backend has the model, up or not.
static bool
add_backends(struct proxyd *d, const char *model, struct choices *all)
{
	struct backends *backends = &d->backends;
	bool is_known = false;

	for (size_t i = 0; i < backends->n; i++) {
		struct backend *backend = &backends->at[i];
		struct candidate one = { .source = SOURCE_LOCAL,
			.backend = backend };

		if (!backend_has_model(backend, model))
			continue;
		is_known = true;
		one.context_length = backend_context_length(backend, model);
		if (backend->is_up)
			add(d, all, &one, NULL, 0);
	}
	return is_known;
}

// ---- the order

// How well this source suits the session: the same each time, and spread
// evenly over sessions (rendezvous hashing).
static uint64_t
weigh(const struct proxyd *d, const struct candidate *to, uint64_t session)
{
	uint8_t text[sizeof(session) + ENDPOINT_ID_LEN] = { 0 };
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t weight;

	memcpy(text, &session, sizeof(session));
	if (to->source == SOURCE_LOCAL)
		memcpy(
		    text + sizeof(session), &to->backend, sizeof(to->backend));
	else
		memcpy(text + sizeof(session), to->peer_id, ENDPOINT_ID_LEN);
	(void)crypto_shorthash(hash, text, sizeof(text), d->learned.secret);
	memcpy(&weight, hash, sizeof(weight));
	return weight;
}

static unsigned
load_of(const struct choice *one)
{
	return one->in_flight + one->others;
}

// What a source says of itself counts for another one up to what that has: a
// lie would make it look as if it had less to do than the average.
static unsigned
load_beside(const struct choice *one, unsigned load)
{
	unsigned most = load_of(one) < load ? load_of(one) : load;

	return most > one->in_flight ? most : one->in_flight;
}

// A source may have a quarter more than the average of all that are usable,
// and one more, before its sessions go elsewhere.
static bool
has_more_than_its_share(const struct choices *all, unsigned load)
{
	unsigned sum = 0, n = 0;

	for (size_t i = 0; i < all->n; i++) {
		if (all->at[i].against >= AGAINST_SMALL)
			continue;
		sum += load_beside(&all->at[i], load);
		n++;
	}
	return n > 0 && load > (sum + sum / 4) / n + 1;
}

static void
look_at_body(
    struct proxyd *d, const struct candidates_ask *ask, struct choices *all)
{
	struct json_hints hints = { .has_session = false };

	if (all->n < 2 || ask->body.at == NULL)
		return;
	json_hints_read((const uint8_t *)ask->body.at, ask->body.len,
	    d->session_key, &hints);
	for (size_t i = 0; i < all->n; i++) {
		struct choice *one = &all->at[i];
		uint32_t context = one->candidate.context_length;

		if (context == 0)
			one->against |= AGAINST_UNKNOWN;
		else if (context < hints.tokens)
			one->against |= AGAINST_SMALL;
		if (hints.has_session && ask->has_session)
			one->weight = weigh(d, &one->candidate, hints.session);
	}
	for (size_t i = 0; i < all->n; i++)
		all->at[i].is_loaded =
		    has_more_than_its_share(all, load_of(&all->at[i]));
}

static bool
is_better(const struct choice *a, const struct choice *b)
{
	if (a->against != b->against)
		return a->against < b->against;
	if (a->is_busy != b->is_busy)
		return b->is_busy;
	if (a->is_loaded != b->is_loaded)
		return b->is_loaded;
	if (a->weight != b->weight)
		return a->weight > b->weight;
	return load_of(a) < load_of(b);
}

// Few, and the first of equals has to stay first.
static void
sort(struct choices *all)
{
	for (size_t i = 1; i < all->n; i++) {
		struct choice one = all->at[i];
		size_t k = i;

		for (; k > 0 && is_better(&one, &all->at[k - 1]); k--)
			all->at[k] = all->at[k - 1];
		all->at[k] = one;
	}
}

// What only speaks against a source while there are others: a lone one that
// is set aside is tried all the same, by one request at a time, and one that
// is too small may say so itself.
static bool
is_left_out(const struct proxyd *d, const struct choices *all, size_t i)
{
	const struct choice *one = &all->at[i];
	const struct choice *best = &all->at[0];

	if ((one->against & AGAINST_ASIDE) != 0) {
		const struct breaker *b = candidate_breaker(
		    (struct proxyd *)(uintptr_t)d, &one->candidate);

		return i > 0 || b->is_tried;
	}
	if ((one->against & AGAINST_FULL) != 0)
		return (best->against & AGAINST_FULL) == 0;
	return (one->against & AGAINST_SMALL) != 0 &&
	    (best->against & AGAINST_SMALL) == 0;
}

static const char *
how_chosen(const struct choices *all)
{
	const struct choice *a = &all->at[0], *b = &all->at[1];

	if (all->n == 1)
		return "only";
	if (a->against != b->against)
		return "better";
	if (a->is_busy != b->is_busy || a->is_loaded != b->is_loaded)
		return "load";
	return a->weight != 0 ? "session" : "load";
}

// ---- explained

static void
explain(const struct choice *one, bool is_left_out, const char *how,
    struct candidates *ret)
{
	static const struct {
		unsigned against;
		const char *text;
	} texts[] = {
		{ AGAINST_UNATTESTED, " not-attested" },
		{ AGAINST_ASIDE, " set-aside" },
		{ AGAINST_FULL, " full" },
		{ AGAINST_SMALL, " context-too-small" },
		{ AGAINST_PLAIN, " cannot-encrypt" },
		{ AGAINST_UNSIGNED, " key-not-signed" },
		{ AGAINST_UNCONNECTED, " not-connected" },
	};
	char name[2 * ENDPOINT_ID_SHORT_LEN + 1], line[200];
	size_t used = strlen(ret->route), n;

	candidate_name(&one->candidate, name);
	n = (size_t)snprintf(line, sizeof(line), "%s%s=%s load=%u",
	    used == 0 ? "" : "; ", name,
	    how != NULL	      ? how
		: is_left_out ? "left-out"
			      : "next",
	    load_of(one));
	if (one->others > 0)
		n += (size_t)snprintf(
		    line + n, sizeof(line) - n, " others=%u", one->others);
	for (size_t i = 0; i < N_ELEMENTS(texts); i++)
		if ((one->against & texts[i].against) != 0)
			n += (size_t)snprintf(
			    line + n, sizeof(line) - n, "%s", texts[i].text);
	n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s%s",
	    one->is_trial ? " failed-before" : "", one->is_busy ? " busy" : "",
	    one->is_loaded ? " above-average" : "");
	if (n < sizeof(ret->route) - used)
		memcpy(ret->route + used, line, n + 1);
}

static void
explain_refused(struct candidates *ret)
{
	size_t used = strlen(ret->route);

	if (ret->refused[0] != '\0')
		(void)snprintf(ret->route + used, sizeof(ret->route) - used,
		    "%srefused %s", used == 0 ? "" : "; ", ret->refused);
}

// ---- the result

static void
take(struct proxyd *d, const struct candidates_ask *ask,
    const struct choices *all, struct candidates *ret)
{
	for (size_t i = 0; i < all->n; i++) {
		bool out = is_left_out(d, all, i);

		if (ask->explain)
			explain(&all->at[i], out,
			    i == 0 && !out ? ret->how : NULL, ret);
		if (!out && ret->n < CANDIDATES_MAX)
			ret->at[ret->n++] = all->at[i].candidate;
	}
	if (ask->explain)
		explain_refused(ret);
	ret->is_full = ret->n > 0 &&
	    (all->at[0].against & (AGAINST_FULL | AGAINST_ASIDE)) ==
		AGAINST_FULL;
}

static void
explain_none(const struct proxyd *d, const char *model,
    const struct candidates *c, bool is_known_here, struct failure *ret)
{
	if (is_known_here) {
		failure_set(ret, 503, "backend_unavailable",
		    "the backend that serves \"%.128s\" is down", model);
		ret->retry_after_s = RETRY_AFTER_S;
		return;
	}
	if (!c->any_unattested && !c->any_unlisted &&
	    recent_has(&d->peers.recent, model, clock_mono_ms())) {
		failure_set(ret, 503, "host_unavailable",
		    "no host of \"%.128s\" is there at the moment", model);
		ret->retry_after_s = RETRY_AFTER_S;
		return;
	}
	if (!c->any_unattested && !c->any_unlisted) {
		failure_set(ret, 404, "model_not_found",
		    "the model \"%.128s\" does not exist or no host of it is "
		    "known",
		    model);
		return;
	}
	if (d->config->is_attested_required) {
		candidates_fail_unattested(c, d, ret);
		return;
	}
	if (c->any_unattested)
		failure_set(ret, 503, "plaintext_refused",
		    "no host of \"%.128s\" may be used: %s", model, c->refused);
	else
		failure_set(ret, 503, "host_not_listed",
		    "no host of \"%.128s\" may be used: %s", model, c->refused);
	ret->is_final = true;
}

static void
explain_aside(const char *model, struct failure *ret)
{
	failure_set(ret, 503, "host_unavailable",
	    "what serves \"%.128s\" failed several times and is being tried",
	    model);
	ret->retry_after_s = 1;
}

void
candidates_find(struct proxyd *d, const struct candidates_ask *ask,
    struct candidates *ret, struct failure *ret_failure)
{
	struct choices all = { .n = 0 };
	bool is_known_here;

	memset(ret, 0, sizeof(*ret));
	is_known_here = add_backends(d, ask->model, &all);
	if (!ask->local_only)
		add_hosts(d, ask->model, ret, &all);
	look_at_body(d, ask, &all);
	sort(&all);
	if (all.n > 0)
		ret->how = how_chosen(&all);
	take(d, ask, &all, ret);
	if (all.n == 0)
		explain_none(d, ask->model, ret, is_known_here, ret_failure);
	else if (ret->n == 0)
		explain_aside(ask->model, ret_failure);
}

bool
candidates_want_larger(struct candidates *c)
{
	uint32_t size = c->at[c->next - 1].context_length;
	size_t kept = c->next;

	for (size_t i = c->next; i < c->n; i++)
		if (c->at[i].context_length == 0 ||
		    c->at[i].context_length > size)
			c->at[kept++] = c->at[i];
	c->n = kept;
	return c->next < c->n;
}
