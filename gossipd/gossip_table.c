// The tables of the gossip core: peers by id, connections, and marks that
// expire.  Ids are chosen by strangers, so hashes are keyed.  Every table
// has a cap; what a peer told of others never displaces a node that spoke
// for itself.
#include "gossipd/gossip_impl.h"

#include <sodium.h>
#include <string.h>

// splitmix64: spreads choices, keeps no secret.
uint64_t
gossip_random(struct gossip *g)
{
	uint64_t z = g->rng += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t
gossip_unix_now(const struct gossip *g)
{
	return g->unix_ms == 0 ? 0 : g->unix_ms + (g->now - g->unix_at);
}

static uint32_t
hash(const struct gossip *g, const uint8_t *key, size_t len)
{
	uint8_t out[crypto_shorthash_BYTES];
	uint32_t h;

	crypto_shorthash(out, key, len, g->hash_key);
	memcpy(&h, out, sizeof(h));
	return h & (BUCKETS - 1);
}

// ---- marks

static int
marks_init(struct marks *m)
{
	m->slots = calloc(GOSSIP_DEAD_MAX, sizeof(m->slots[0]));
	m->buckets = calloc(BUCKETS, sizeof(m->buckets[0]));
	return m->slots == NULL || m->buckets == NULL ? -ENOMEM : 0;
}

static struct mark *
marks_find(const struct gossip *g, const struct marks *m, const uint8_t *key)
{
	uint32_t i = m->buckets[hash(g, key, 2 * ENDPOINT_ID_LEN)];

	while (i != 0) {
		if (memcmp(m->slots[i - 1].key, key, 2 * ENDPOINT_ID_LEN) == 0)
			return &m->slots[i - 1];
		i = m->slots[i - 1].next;
	}
	return NULL;
}

static void
marks_clear(struct gossip *g, struct marks *m, struct mark *mark)
{
	uint32_t *link = &m->buckets[hash(g, mark->key, sizeof(mark->key))];
	uint32_t self = (uint32_t)(mark - m->slots) + 1;

	while (*link != self)
		link = &m->slots[*link - 1].next;
	*link = mark->next;
	memset(mark, 0, sizeof(*mark));
}

static void
marks_set(struct gossip *g, struct marks *m, const uint8_t *key, uint64_t until)
{
	struct mark *mark = marks_find(g, m, key);
	uint32_t *bucket;

	if (mark != NULL) {
		mark->until = until;
		return;
	}
	mark = &m->slots[m->hand];
	m->hand = (m->hand + 1) % GOSSIP_DEAD_MAX;
	if (mark->used)
		marks_clear(g, m, mark);
	bucket = &m->buckets[hash(g, key, sizeof(mark->key))];
	memcpy(mark->key, key, sizeof(mark->key));
	mark->until = until;
	mark->used = true;
	mark->next = *bucket;
	*bucket = (uint32_t)(mark - m->slots) + 1;
}

static void
pair_key(
    uint8_t ret[static 2 * ENDPOINT_ID_LEN], const uint8_t *a, const uint8_t *b)
{
	memset(ret, 0, 2 * ENDPOINT_ID_LEN);
	memcpy(ret, a, ENDPOINT_ID_LEN);
	if (b != NULL)
		memcpy(ret + ENDPOINT_ID_LEN, b, ENDPOINT_ID_LEN);
}

bool
gossip_is_dead(const struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN])
{
	uint8_t key[2 * ENDPOINT_ID_LEN];
	const struct mark *mark;

	pair_key(key, id, NULL);
	mark = marks_find(g, &g->dead, key);
	return mark != NULL && g->now < mark->until;
}

void
gossip_mark_dead(
    struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN], uint64_t for_ms)
{
	uint8_t key[2 * ENDPOINT_ID_LEN];

	pair_key(key, id, NULL);
	marks_set(g, &g->dead, key, g->now + for_ms);
}

void
gossip_clear_dead(struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN])
{
	uint8_t key[2 * ENDPOINT_ID_LEN];
	struct mark *mark;

	pair_key(key, id, NULL);
	if ((mark = marks_find(g, &g->dead, key)) != NULL)
		marks_clear(g, &g->dead, mark);
}

bool
gossip_is_lie(const struct gossip *g,
    const uint8_t reporter[static ENDPOINT_ID_LEN],
    const uint8_t target[static ENDPOINT_ID_LEN])
{
	uint8_t key[2 * ENDPOINT_ID_LEN];
	const struct mark *mark;

	pair_key(key, reporter, target);
	mark = marks_find(g, &g->lies, key);
	return mark != NULL && g->now < mark->until;
}

void
gossip_mark_lie(struct gossip *g,
    const uint8_t reporter[static ENDPOINT_ID_LEN],
    const uint8_t target[static ENDPOINT_ID_LEN])
{
	uint8_t key[2 * ENDPOINT_ID_LEN];
	struct link *link = gossip_link_find(g, reporter);

	pair_key(key, reporter, target);
	marks_set(g, &g->lies, key, g->now + LIE_TIME);
	if (link == NULL)
		return;
	if (g->now - link->lied_ms > LIE_TIME)
		link->n_lies = 0;
	link->n_lies++;
	link->lied_ms = g->now;
}

// ---- peers

int
gossip_table_init(struct gossip *g)
{
	for (size_t i = 0; i < sizeof(g->hash_key); i += 8) {
		uint64_t r = gossip_random(g);
		memcpy(g->hash_key + i, &r, sizeof(r));
	}
	g->buckets = calloc(BUCKETS, sizeof(g->buckets[0]));
	g->peers = calloc(GOSSIP_PEERS_MAX, sizeof(g->peers[0]));
	g->links = calloc(LINKS_MAX, sizeof(g->links[0]));
	g->jobs = calloc(JOBS_MAX, sizeof(g->jobs[0]));
	if (marks_init(&g->dead) < 0 || marks_init(&g->lies) < 0)
		return -ENOMEM;
	return g->buckets == NULL || g->peers == NULL || g->links == NULL ||
		g->jobs == NULL
	    ? -ENOMEM
	    : 0;
}

void
gossip_table_free(struct gossip *g)
{
	for (size_t i = 0; i < g->n_peers; i++) {
		gossip_free_fields(g, g->peers[i]);
		free(g->peers[i]);
	}
	for (size_t i = 0; i < g->n_links; i++)
		free(g->links[i]);
	for (size_t i = 0; i < g->n_jobs; i++)
		free(g->jobs[i]);
	free(g->buckets);
	free(g->peers);
	free(g->links);
	free(g->jobs);
	free(g->dead.slots);
	free(g->dead.buckets);
	free(g->lies.slots);
	free(g->lies.buckets);
}

struct peer *
gossip_peer_find(
    const struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN])
{
	struct peer *p = g->buckets[hash(g, id, ENDPOINT_ID_LEN)];

	while (p != NULL && memcmp(p->id, id, ENDPOINT_ID_LEN) != 0)
		p = p->next;
	return p;
}

// The one that nobody mentioned for longest, of those never heard directly.
static struct peer *
least_wanted(const struct gossip *g)
{
	struct peer *worst = NULL, *p;

	for (size_t i = 0; i < g->n_peers; i++) {
		p = g->peers[i];
		if (p->admitted || p->link != NULL)
			continue;
		if (worst == NULL || p->mentioned_ms < worst->mentioned_ms)
			worst = p;
	}
	return worst;
}

static bool
has_room(struct gossip *g, const struct peer *by)
{
	struct peer *victim;

	if (by != NULL && by->n_introduced >= INTRODUCED_MAX)
		return false;
	if (g->n_peers < GOSSIP_PEERS_MAX)
		return true;
	if (by != NULL || (victim = least_wanted(g)) == NULL)
		return false;
	gossip_peer_remove(g, victim);
	return true;
}

struct peer *
gossip_peer_insert(
    struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN], struct peer *by)
{
	struct peer *p, **bucket;

	if (!has_room(g, by) || (p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	memcpy(p->id, id, ENDPOINT_ID_LEN);
	memcpy(p->addr.id, id, ENDPOINT_ID_LEN);
	p->role = GOSSIP_WORKER;
	p->link = gossip_link_find(g, id);
	p->learned_ms = g->now;
	p->introducer = by;
	if (by != NULL)
		by->n_introduced++;
	bucket = &g->buckets[hash(g, id, ENDPOINT_ID_LEN)];
	p->next = *bucket;
	*bucket = p;
	p->index = g->n_peers;
	g->peers[g->n_peers++] = p;
	g->generation++;
	return p;
}

static void
forget_introducer(struct gossip *g, struct peer *p)
{
	if (p->introducer != NULL)
		p->introducer->n_introduced--;
	if (p->n_introduced == 0)
		return;
	for (size_t i = 0; i < g->n_peers; i++)
		if (g->peers[i]->introducer == p)
			g->peers[i]->introducer = NULL;
}

void
gossip_peer_remove(struct gossip *g, struct peer *p)
{
	struct peer **link = &g->buckets[hash(g, p->id, ENDPOINT_ID_LEN)];

	while (*link != p)
		link = &(*link)->next;
	*link = p->next;
	g->peers[p->index] = g->peers[--g->n_peers];
	g->peers[p->index]->index = p->index;
	forget_introducer(g, p);
	gossip_push_id(g, GOSSIP_PEER_GONE, p->id);
	gossip_join_soon(g, p->id);
	gossip_free_fields(g, p);
	free(p);
	g->generation++;
}

// Does its own word still count?
bool
gossip_peer_is_fresh(const struct gossip *g, const struct peer *p)
{
	return p->admitted && (p->link != NULL || g->now - p->seen_ms < FRESH);
}

bool
gossip_peer_can_be_reached(const struct peer *p)
{
	return p->link != NULL || p->has_good || p->addr.n_addrs > 0;
}

// ---- connections

struct link *
gossip_link_find(
    const struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN])
{
	for (size_t i = 0; i < g->n_links; i++)
		if (memcmp(g->links[i]->id, id, ENDPOINT_ID_LEN) == 0)
			return g->links[i];
	return NULL;
}

struct link *
gossip_link_insert(struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN])
{
	struct peer *p = gossip_peer_find(g, id);
	struct link *l;

	if (g->n_links == LINKS_MAX || (l = calloc(1, sizeof(*l))) == NULL)
		return NULL;
	memcpy(l->id, id, ENDPOINT_ID_LEN);
	l->allowance_ms = FRAME_BURST;
	l->refilled_ms = g->now;
	g->links[g->n_links++] = l;
	if (p != NULL)
		p->link = l;
	return l;
}

void
gossip_link_remove(struct gossip *g, struct link *l)
{
	struct peer *p = gossip_peer_find(g, l->id);

	if (p != NULL)
		p->link = NULL;
	for (size_t i = 0; i < g->n_links; i++)
		if (g->links[i] == l) {
			g->links[i] = g->links[--g->n_links];
			break;
		}
	free(l);
}
