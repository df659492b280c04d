// The fields of one peer: copies of what a frame told, within bounds.  Lists
// are cut, texts that do not fit or hold control characters are left out;
// what all peers together may hold comes from pools, of which nodes that
// spoke for themselves and nodes only told of have one each.
#include "gossipd/gossip_impl.h"

#include <sodium.h>
#include <string.h>

enum { INDEX_SLOTS = 512, NAMES_READ_MAX = 4 * PEER_MODELS_MAX };

// Names already taken, to find one without comparing all.
struct name_index {
	const struct gossip_model *models;
	uint16_t slots[INDEX_SLOTS]; // position + 1
};

static uint16_t *
index_slot(const struct gossip *g, struct name_index *x, const char *name)
{
	uint8_t h[crypto_shorthash_BYTES];
	size_t i;

	crypto_shorthash(h, (const uint8_t *)name, strlen(name), g->hash_key);
	i = (size_t)h[0] | (size_t)(h[1] & 1) << 8;
	while (x->slots[i] != 0 &&
	    strcmp(x->models[x->slots[i] - 1].name, name) != 0)
		i = (i + 1) % INDEX_SLOTS;
	return &x->slots[i];
}

// A name that can be routed: all of it fits and none of it is control.
static bool
copy_name(struct gossip_model *ret, const char *name)
{
	memset(ret, 0, sizeof(*ret));
	return name[0] != '\0' && strlen(name) <= MODEL_NAME_MAX &&
	    node_copy_text(ret->name, sizeof(ret->name), name);
}

static size_t
read_models(struct gossip *g, const struct node_entry *e, size_t max)
{
	struct name_index x = { .models = g->scratch_models };
	const Node__PeerAnnouncement *m = e->message;
	const Node__ModelRuntimeDescriptor *d;
	size_t n = 0;
	uint16_t *slot;

	for (size_t i = 0; i < e->n_models && i < NAMES_READ_MAX; i++) {
		if (n == max)
			break;
		if (!copy_name(&g->scratch_models[n], e->models[i]))
			continue;
		slot = index_slot(g, &x, e->models[i]);
		if (*slot == 0)
			*slot = (uint16_t)++n;
	}
	for (size_t i = 0; i < m->n_served_model_runtime && i < NAMES_READ_MAX;
	     i++) {
		d = m->served_model_runtime[i];
		if (!d->ready || d->model_name == NULL)
			continue;
		slot = index_slot(g, &x, d->model_name);
		if (*slot != 0)
			g->scratch_models[*slot - 1].context_length =
			    d->context_length;
	}
	return n;
}

static void
release_pool(struct gossip *g, struct peer *p)
{
	if (p->pooled_direct)
		g->pool_direct -= p->n_pooled;
	else
		g->pool_relayed -= p->n_pooled;
	p->n_pooled = 0;
}

static size_t
models_allowed(const struct gossip *g, const struct peer *p)
{
	size_t left = p->admitted ? MODELS_POOL_DIRECT - g->pool_direct
				  : MODELS_POOL_RELAYED - g->pool_relayed;
	size_t max = MODELS_FREE + left;

	return max < PEER_MODELS_MAX ? max : PEER_MODELS_MAX;
}

static void
take_pool(struct gossip *g, struct peer *p)
{
	if (p->n_models <= MODELS_FREE)
		return;
	p->n_pooled = p->n_models - MODELS_FREE;
	p->pooled_direct = p->admitted;
	if (p->pooled_direct)
		g->pool_direct += p->n_pooled;
	else
		g->pool_relayed += p->n_pooled;
}

static bool
store_models(struct peer *p, const struct gossip_model *models, size_t n)
{
	struct gossip_model *copy = NULL;

	if (n == p->n_models &&
	    (n == 0 || memcmp(models, p->models, n * sizeof(*models)) == 0))
		return false;
	if (n > 0) {
		if ((copy = calloc(n, sizeof(*copy))) == NULL)
			return false;
		memcpy(copy, models, n * sizeof(*copy));
	}
	free(p->models);
	p->models = copy;
	p->n_models = n;
	return true;
}

bool
gossip_set_models(struct gossip *g, struct peer *p, const struct node_entry *e)
{
	size_t n;
	bool changed;

	release_pool(g, p);
	n = read_models(g, e, models_allowed(g, p));
	changed = store_models(p, g->scratch_models, n);
	take_pool(g, p);
	p->hosted_known = e->hosted_known;
	return changed;
}

static bool
set_text(char *old, const char *text)
{
	char copy[NODE_TEXT_MAX + 1];

	if (text == NULL) // absent: kept
		return false;
	(void)node_copy_text(copy, sizeof(copy), text); // else ""
	if (strcmp(old, copy) == 0)
		return false;
	memcpy(old, copy, sizeof(copy));
	return true;
}

bool
gossip_set_texts(struct peer *p, const struct node_entry *e)
{
	const Node__PeerAnnouncement *m = e->message;
	const char *host = m->hostname;
	bool changed;

	if (m->hardware != NULL && m->hardware->hostname != NULL)
		host = m->hardware->hostname;
	changed = set_text(p->version, m->version);
	changed |= set_text(p->hostname, host);
	return changed;
}

static void
add_addr(struct endpoint_addr *to, const struct address *addr)
{
	if (to->n_addrs == ADDR_JSON_ADDRS_MAX || !addr_is_dialable(addr))
		return;
	for (size_t i = 0; i < to->n_addrs; i++)
		if (addr_equal(&to->addrs[i], addr))
			return;
	to->addrs[to->n_addrs++] = *addr;
}

static void
add_relay(struct endpoint_addr *to, const char *relay)
{
	if (to->n_relays == ADDR_JSON_RELAYS_MAX)
		return;
	for (size_t i = 0; i < to->n_relays; i++)
		if (strcmp(to->relays[i], relay) == 0)
			return;
	memcpy(to->relays[to->n_relays++], relay, ADDR_JSON_RELAY_MAX + 1);
}

static bool
store_addr(struct peer *p, const struct endpoint_addr *addr)
{
	if (addr->n_addrs + addr->n_relays == 0)
		return false;
	// Padding can only make equal ones look changed.
	// NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
	if (memcmp(addr, &p->addr, sizeof(*addr)) == 0)
		return false;
	p->addr = *addr;
	return true;
}

bool
gossip_set_addr(struct peer *p, const struct endpoint_addr *addr)
{
	struct endpoint_addr kept = { 0 };

	memcpy(kept.id, p->id, ENDPOINT_ID_LEN);
	for (size_t i = 0; i < addr->n_addrs; i++)
		add_addr(&kept, &addr->addrs[i]);
	for (size_t i = 0; i < addr->n_relays; i++)
		add_relay(&kept, addr->relays[i]);
	return store_addr(p, &kept);
}

// Hearsay adds: were it to replace, one liar could hide where a node is.
// What is known already stays where it is, so that hearing it again is no
// change; the oldest half gives way to what is new.
bool
gossip_add_addr(struct peer *p, const struct endpoint_addr *addr)
{
	struct endpoint_addr kept = p->addr;
	size_t new = 0, drop;

	for (size_t i = 0; i < addr->n_addrs; i++) {
		if (new == ADDR_JSON_ADDRS_MAX / 2)
			break;
		drop = kept.n_addrs;
		add_addr(&kept, &addr->addrs[i]);
		new += kept.n_addrs > drop;
		if (kept.n_addrs < ADDR_JSON_ADDRS_MAX)
			continue;
		drop = ADDR_JSON_ADDRS_MAX / 2;
		memmove(kept.addrs, kept.addrs + drop,
		    drop * sizeof(kept.addrs[0]));
		memset(kept.addrs + drop, 0, drop * sizeof(kept.addrs[0]));
		kept.n_addrs = drop;
	}
	for (size_t i = 0; i < addr->n_relays; i++)
		add_relay(&kept, addr->relays[i]);
	return store_addr(p, &kept);
}

static void
drop_evidence(struct gossip *g, struct peer *p)
{
	g->evidence_total -= p->evidence_len;
	free(p->evidence);
	p->evidence = NULL;
	p->evidence_len = 0;
}

bool
gossip_set_evidence(
    struct gossip *g, struct peer *p, const struct node_entry *e)
{
	const ProtobufCBinaryData *b = &e->message->hardware_attestation_blob;
	size_t len = b->len <= NODE_EVIDENCE_MAX ? b->len : 0;
	bool had = p->evidence_len > 0;

	if (len == p->evidence_len &&
	    (len == 0 || memcmp(b->data, p->evidence, len) == 0))
		return false;
	drop_evidence(g, p);
	if (len == 0 || g->evidence_total > EVIDENCE_POOL - len)
		return had;
	if ((p->evidence = malloc(len)) == NULL)
		return had;
	memcpy(p->evidence, b->data, len);
	p->evidence_len = len;
	g->evidence_total += len;
	return true;
}

void
gossip_set_rest(struct peer *p, const struct node_entry *e)
{
	uint8_t rest[NODE_REST_MAX], *copy = NULL;
	size_t len = node_entry_rest(e, rest);

	if (len == p->rest_len && (len == 0 || memcmp(rest, p->rest, len) == 0))
		return;
	if (len > 0) {
		if ((copy = malloc(len)) == NULL)
			return;
		memcpy(copy, rest, len);
	}
	free(p->rest);
	p->rest = copy;
	p->rest_len = len;
}

void
gossip_free_fields(struct gossip *g, struct peer *p)
{
	release_pool(g, p);
	drop_evidence(g, p);
	free(p->models);
	free(p->rest);
	p->models = NULL;
	p->rest = NULL;
}
