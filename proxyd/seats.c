// Holders by a keyed hash of their id, since an address is the client's to
// choose, and those with an idle seat by how many seats they have: each step
// costs the same however many there are, but for the search from the top,
// which is bounded by CONNS_MAX.
#include "proxyd/seats.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
seats_init(struct seats *s)
{
	crypto_shorthash_keygen(s->secret);
	for (size_t i = 0; i < N_ELEMENTS(s->by_id); i++)
		LIST_INIT(&s->by_id[i]);
	for (size_t i = 0; i < N_ELEMENTS(s->by_n); i++)
		LIST_INIT(&s->by_n[i]);
	s->most = 0;
}

static size_t
bucket_of(const struct seats *s, const struct party_id *id)
{
	uint8_t text[1 + PARTY_ID_LEN], hash[crypto_shorthash_BYTES];
	uint64_t n;

	text[0] = id->kind;
	memcpy(text + 1, id->bytes, PARTY_ID_LEN);
	(void)crypto_shorthash(hash, text, sizeof(text), s->secret);
	memcpy(&n, hash, sizeof(n));
	return (size_t)(n % SEATS_BUCKETS);
}

static struct holder *
find_in(const struct seats *s, size_t bucket, const struct party_id *id)
{
	struct holder *h;

	LIST_FOREACH(h, &s->by_id[bucket], same_hash)
	if (h->id.kind == id->kind &&
	    memcmp(h->id.bytes, id->bytes, PARTY_ID_LEN) == 0)
		return h;
	return NULL;
}

const struct holder *
seats_find(const struct seats *s, const struct party_id *id)
{
	return find_in(s, bucket_of(s, id), id);
}

// Out of its list before its number or its idle seats change, and back after.
static void
unlist(struct holder *h)
{
	if (!TAILQ_EMPTY(&h->idle))
		LIST_REMOVE(h, same_n);
}

static void
enlist(struct seats *s, struct holder *h)
{
	if (TAILQ_EMPTY(&h->idle))
		return;
	LIST_INSERT_HEAD(&s->by_n[h->n], h, same_n);
	if (h->n > s->most)
		s->most = h->n;
}

int
seat_take(struct seats *s, struct seat *seat, const struct party_id *id)
{
	size_t bucket = bucket_of(s, id);
	struct holder *h = find_in(s, bucket, id);

	if (h == NULL) {
		if ((h = calloc(1, sizeof(*h))) == NULL)
			return -ENOMEM;
		h->id = *id;
		TAILQ_INIT(&h->idle);
		LIST_INSERT_HEAD(&s->by_id[bucket], h, same_hash);
	}
	assert(h->n < CONNS_MAX);
	unlist(h);
	h->n++;
	seat->holder = h;
	seat->is_idle = true;
	TAILQ_INSERT_TAIL(&h->idle, seat, entry);
	enlist(s, h);
	return 0;
}

void
seat_leave(struct seats *s, struct seat *seat)
{
	struct holder *h = seat->holder;

	if (h == NULL)
		return;
	unlist(h);
	if (seat->is_idle)
		TAILQ_REMOVE(&h->idle, seat, entry);
	h->n--;
	enlist(s, h);
	seat->holder = NULL;
	seat->is_idle = false;
	if (h->n > 0)
		return;
	LIST_REMOVE(h, same_hash);
	free(h);
}

void
seat_busy(struct seats *s, struct seat *seat)
{
	struct holder *h = seat->holder;

	if (h == NULL || !seat->is_idle)
		return;
	unlist(h);
	TAILQ_REMOVE(&h->idle, seat, entry);
	seat->is_idle = false;
	enlist(s, h);
}

void
seat_idle(struct seats *s, struct seat *seat)
{
	struct holder *h = seat->holder;

	if (h == NULL || seat->is_idle)
		return;
	unlist(h);
	TAILQ_INSERT_TAIL(&h->idle, seat, entry);
	seat->is_idle = true;
	enlist(s, h);
}

struct seat *
seats_longest_idle(struct seats *s)
{
	while (s->most > 0 && LIST_EMPTY(&s->by_n[s->most]))
		s->most--;
	return s->most == 0 ? NULL
			    : TAILQ_FIRST(&LIST_FIRST(&s->by_n[s->most])->idle);
}
