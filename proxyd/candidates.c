// Chooses where a request may go.  Policy first: what the options forbid is
// no candidate at all.  Then the better key, then a connected host, then the
// one that has least to do for us.
#include "proxyd/candidates.h"

#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "proxyd/proxyd.h"
#include "proxyd/request.h"

// Fewer points are better.
static unsigned
points(const struct peer *peer, enum peer_key key)
{
	unsigned n = peer->in_flight < 1000 ? peer->in_flight : 1000;

	if (!peer->connected)
		n += 10 * 1000;
	if (key == PEER_KEY_UNSIGNED)
		n += 100 * 1000;
	if (key == PEER_KEY_NONE)
		n += 200 * 1000;
	return n;
}

void
candidates_refuse(
    struct candidates *c, const uint8_t *peer_id, const char *reason)
{
	char id[2 * ENDPOINT_ID_SHORT_LEN + 1];
	size_t used = strlen(c->refused);

	hex_endpoint_id_short(peer_id, id);
	(void)snprintf(c->refused + used, sizeof(c->refused) - used, "%s%s: %s",
	    used == 0 ? "" : "; ", id, reason);
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

struct choice {
	struct candidate candidate;
	unsigned points;
};

// Keep the best, sorted; the first of equals stays first.
static void
insert(struct choice *best, size_t *n, const struct choice *one)
{
	size_t i = *n;

	if (*n == CANDIDATES_MAX) {
		if (one->points >= best[*n - 1].points)
			return;
		i--;
	} else {
		(*n)++;
	}
	for (; i > 0 && one->points < best[i - 1].points; i--)
		best[i] = best[i - 1];
	best[i] = *one;
}

static void
consider(struct proxyd *d, const struct peer *peer, uint64_t now,
    struct candidates *ret, struct choice *best, size_t *n)
{
	const uint8_t *bytes = NULL;
	enum peer_key key = peer_key_now(peer, now, &bytes);
	const char *why = refusal(d, key);
	struct choice one = { .points = points(peer, key) };

	if (why != NULL) {
		candidates_refuse(ret, peer->id, why);
		ret->any_unattested = true;
		return;
	}
	one.candidate.source =
	    key == PEER_KEY_NONE ? SOURCE_PLAIN : SOURCE_SEALED;
	memcpy(one.candidate.peer_id, peer->id, ENDPOINT_ID_LEN);
	if (bytes != NULL)
		memcpy(one.candidate.key, bytes, INFERENCE_KEY_LEN);
	insert(best, n, &one);
}

static void
find_hosts(struct proxyd *d, const char *model, struct candidates *ret)
{
	struct choice best[CANDIDATES_MAX];
	uint64_t now = clock_unix_ms();
	size_t n = 0, all = d->peers.n;

	d->peers.turn++;
	for (size_t k = 0; k < all; k++) {
		const struct peer *peer =
		    d->peers.at[(k + d->peers.turn) % all];

		if (peer->is_present &&
		    peer->role == IPC__PEER_ROLE__PEER_HOST &&
		    peer_has_model(peer, model))
			consider(d, peer, now, ret, best, &n);
	}
	for (size_t i = 0; i < n && ret->n < CANDIDATES_MAX; i++)
		ret->at[ret->n++] = best[i].candidate;
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
	if (!c->any_unattested &&
	    recent_has(&d->peers.recent, model, clock_mono_ms())) {
		failure_set(ret, 503, "host_unavailable",
		    "no host of \"%.128s\" is there at the moment", model);
		ret->retry_after_s = RETRY_AFTER_S;
		return;
	}
	if (!c->any_unattested) {
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
	failure_set(ret, 503, "plaintext_refused",
	    "no host of \"%.128s\" may be used: %s", model, c->refused);
	ret->is_final = true;
}

void
candidates_find(struct proxyd *d, const char *model, bool local_only,
    struct candidates *ret, struct failure *ret_failure)
{
	bool is_known_here = false;
	struct backend *backend;

	memset(ret, 0, sizeof(*ret));
	backend = backends_find(&d->backends, model, &is_known_here);
	if (backend != NULL) {
		ret->at[0].source = SOURCE_LOCAL;
		ret->at[0].backend = backend;
		ret->n = 1;
	}
	if (!local_only && backend == NULL)
		find_hosts(d, model, ret);
	if (ret->n == 0)
		explain_none(d, model, ret, is_known_here, ret_failure);
}
