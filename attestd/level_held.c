// The level that evidence v2 gives, from what is held of the node.  Computed
// at each use: clocks, trust files and roots may have changed since the
// evidence was judged.  Fails to the lowest level.
#include "attestd/held.h"

#include <stdio.h>
#include <string.h>

static bool
is_accepted_image(
    const struct trust_store *store, const struct evidence_claims *c)
{
	if (trust_find(&store->decided, TRUST_IMAGE, NULL) == NULL)
		return true;
	return c->has_image &&
	    trust_find(&store->decided, TRUST_IMAGE, c->image) != NULL;
}

static bool
is_within(uint64_t made_ms, uint64_t now_ms)
{
	return made_ms > now_ms ? made_ms - now_ms <= EVIDENCE_AHEAD_MS
				: now_ms - made_ms <= EVIDENCE_AGE_MS;
}

// NULL: it is good for the level of its key.
static const char *
why_none(const struct trust_store *store, const struct held *h,
    const uint8_t *inference_key, uint64_t now_ms)
{
	const struct evidence_result *r = &h->result;

	if (evidence_problem(r) != NULL)
		return evidence_problem(r);
	if (memcmp(r->claims.inference_key, inference_key, INFERENCE_KEY_LEN) !=
	    0)
		return "the evidence vouches for another inference key";
	// By the host's clock, and by ours, which only we can move.
	if (!is_within(r->claims.made_ms, now_ms) ||
	    !is_within(h->judged_ms, now_ms))
		return "the evidence is too old, or our clocks differ";
	if (!is_accepted_image(store, &r->claims))
		return "unblessed: the host's program is not on your list";
	if (trust_is_revoked(store, r->endorsement))
		return "revoked here: its TPM's endorsement key";
	return NULL;
}

static const char *
why_not_activated(const struct held *h)
{
	switch (h->due) {
	case HELD_DUE_OTHER_KEY:
		return "its TPM's keys are others than before, and it has yet "
		       "to show that it holds them";
	case HELD_DUE_RESET:
		return "its TPM was reset or restarted since it was last "
		       "asked, and has yet to show its keys again";
	case HELD_DUE_SAVED:
		return "whether a TPM holds both keys is asked of the TPM; "
		       "saved evidence cannot show it";
	case HELD_DUE_FIRST:
		break;
	}
	return "its TPM has yet to show that it holds both keys";
}

// NULL: it is a genuine TPM's.
static const char *
why_no_hardware(const struct trust_store *store, const struct held *h)
{
	const struct evidence_result *r = &h->result;

	if (r->problems[EVIDENCE_CHAIN] != NULL)
		return r->problems[EVIDENCE_CHAIN];
	if (r->problems[EVIDENCE_ENDORSEMENT] != NULL)
		return r->problems[EVIDENCE_ENDORSEMENT];
	if (trust_is_revoked(store, r->root))
		return "the root of its certificates is revoked here";
	return h->is_activated ? NULL : why_not_activated(h);
}

// The roots are others now: the chain is looked at again, as of the moment
// when it came.
static void
judge_again(const struct trust_store *store, struct held *h)
{
	const struct ek_roots roots = trust_roots(store);
	const struct evidence_question q = { .endpoint_id = h->node,
		.inference_key = h->inference_key,
		.nonce = h->nonce,
		.binding = h->binding,
		.now_ms = h->judged_ms,
		.roots = &roots,
		.n_roots = 1 };

	if (h->generation == store->generation || h->bytes == NULL)
		return; // the next evidence is judged by the new ones
	h->generation = store->generation;
	evidence_verify(h->bytes, h->len, &q, &h->result);
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void
level_of_held(struct trust_store *store, struct held *h,
    const uint8_t inference_key[static INFERENCE_KEY_LEN], uint64_t now_ms,
    struct verdict *ret)
{
	const char *why;

	*ret = (struct verdict){ .level = LEVEL_NONE,
		.expires_ms = now_ms + LEVEL_VERDICT_MS };
	if (h == NULL) {
		level_say(ret, "the host has shown no evidence v2");
		return;
	}
	judge_again(store, h);
	if ((why = why_none(store, h, inference_key, now_ms)) != NULL) {
		level_say(ret, "%s", why);
		return;
	}
	level_of_key(store, h->node, h->result.key, now_ms, ret);
	if (ret->level == LEVEL_NONE)
		return;
	ret->made_ms = h->result.claims.made_ms;
	// Not longer than the evidence itself is good for.
	ret->expires_ms = least(ret->expires_ms,
	    least(h->result.claims.made_ms, h->judged_ms) + EVIDENCE_AGE_MS);
	if ((why = why_no_hardware(store, h)) == NULL) {
		ret->level = LEVEL_HARDWARE;
		level_say(ret,
		    "which programs the host has started since it was switched "
		    "on is not shown");
	} else if (ret->level == LEVEL_PINNED) {
		level_say(ret, "the key is the one you named, but %s", why);
	} else {
		level_add(ret, "; %s", why);
	}
}
