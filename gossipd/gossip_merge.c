// What a frame may change, by who says it of whom.  A node's key and posture
// come from the node itself, over its own connection, or next to an
// announcement that its identity signed; its evidence from itself alone, since
// anybody can make some and it would count for whom it names.  While a node is
// connected or was heard lately, nobody else's word on it counts at all.  An
// entry whose address names another node than the entry does is dropped.
#include "gossipd/gossip_impl.h"

#include <sodium.h>
#include <string.h>

struct merge {
	struct gossip *g;
	struct peer *source; // NULL: did not speak for itself, is not heard
	const uint8_t *source_id;
	enum follow follow_mode;
	size_t new_left, verify_left;
	// Dialled afterwards, a random choice of all that could be.
	uint8_t follow[FOLLOW_UPS_PER_FRAME][ENDPOINT_ID_LEN];
	size_t n_follow, n_candidates;
};

static bool
is_self(const struct gossip *g, const uint8_t *id)
{
	return memcmp(g->self.addr.id, id, ENDPOINT_ID_LEN) == 0;
}

bool
gossip_announcement_is_valid(const struct gossip *g, const struct peer *p)
{
	uint64_t now = gossip_unix_now(g);

	return p->has_announcement &&
	    (now == 0 || announcement_check_time(&p->opened, now) == 0);
}

// false: the entry is to be dropped.  An unreadable address is no address.
static bool
read_addr(const struct node_entry *e, struct endpoint_addr *ret)
{
	const ProtobufCBinaryData *b = &e->message->serialized_addr;
	const char *reason;

	if (b->len == 0 ||
	    addr_json_parse((const char *)b->data, b->len, ret, &reason) < 0) {
		memset(ret, 0, sizeof(*ret));
		return true;
	}
	return memcmp(ret->id, e->id, ENDPOINT_ID_LEN) == 0;
}

// Does the entry carry the announcement that is valid for this node now?
static bool
take_announcement(struct merge *m, struct peer *p, const struct node_entry *e,
    bool *ret_changed)
{
	const ProtobufCBinaryData *b = &e->message->signed_announcement;
	struct announcement a;

	if (b->len != ANNOUNCEMENT_LEN)
		return false;
	if (p->has_announcement &&
	    memcmp(b->data, p->announcement, ANNOUNCEMENT_LEN) == 0)
		return gossip_announcement_is_valid(m->g, p);
	if (m->verify_left == 0)
		return false;
	m->verify_left--;
	if (announcement_open(b->data, b->len, p->id, &a) < 0 ||
	    announcement_check_time(&a, gossip_unix_now(m->g)) < 0)
		return false;
	if (gossip_announcement_is_valid(m->g, p) &&
	    a.sequence <= p->opened.sequence)
		return false;
	memcpy(p->announcement, b->data, ANNOUNCEMENT_LEN);
	p->opened = a;
	p->has_announcement = true;
	*ret_changed = true;
	return true;
}

static bool
set_posture(struct peer *p, const struct node_entry *e)
{
	bool changed =
	    p->has_posture != e->has_posture || p->posture != e->posture;

	p->has_posture = e->has_posture;
	p->posture = e->posture;
	return changed;
}

// Who is held to it must have said it itself: told of by others, a host that
// only takes its time would be given up.
static bool
set_shows_life(struct peer *p, const struct node_entry *e)
{
	bool shows = e->message->has_shows_life && e->message->shows_life;
	bool changed = p->shows_life != shows;

	p->shows_life = shows;
	return changed;
}

static bool
set_role(struct peer *p, const struct node_entry *e)
{
	enum gossip_role role = GOSSIP_WORKER;
	bool changed;

	if (e->role == NODE__NODE_ROLE__NODE_ROLE_HOST)
		role = GOSSIP_HOST;
	else if (e->role == NODE__NODE_ROLE__NODE_ROLE_CLIENT)
		role = GOSSIP_CLIENT;
	changed = role != p->role;
	p->role = role;
	p->http_port = (uint16_t)e->http_port;
	return changed;
}

// A certificate is its owner's word, whoever passes it on.
static bool
set_owner(struct gossip *g, struct peer *p, const struct node_entry *e)
{
	const ProtobufCBinaryData *cert = &e->message->owner_attestation;
	size_t len = e->message->has_owner_attestation ? cert->len : 0;
	uint8_t id[OWNER_ID_LEN] = { 0 };
	enum ownership owner =
	    ownership_verify(cert->data, len, p->id, gossip_unix_now(g), id);
	bool changed =
	    owner != p->owner || memcmp(id, p->owner_id, OWNER_ID_LEN) != 0;

	p->owner = owner;
	memcpy(p->owner_id, id, OWNER_ID_LEN);
	return changed;
}

static bool
set_common(struct gossip *g, struct peer *p, const struct node_entry *e)
{
	bool changed = set_role(p, e);

	changed |= gossip_set_models(g, p, e);
	changed |= gossip_set_texts(p, e);
	changed |= set_owner(g, p, e);
	gossip_set_rest(p, e);
	return changed;
}

static bool
set_unsigned_key(struct peer *p, const struct node_entry *e)
{
	bool changed = p->has_unsigned_key != e->has_key ||
	    memcmp(p->unsigned_key, e->key, INFERENCE_KEY_LEN) != 0;

	p->has_unsigned_key = e->has_key;
	memcpy(p->unsigned_key, e->key, INFERENCE_KEY_LEN);
	return changed;
}

static bool
set_dialect(struct peer *p, const struct node_entry *e, bool is_signed)
{
	enum gossip_dialect dialect = GOSSIP_DIALECT_PLAIN;
	bool changed;

	if (is_signed)
		dialect = GOSSIP_DIALECT_MESHLLM;
	else if (e->has_key)
		dialect = GOSSIP_DIALECT_SEALED;
	changed = dialect != p->dialect;
	p->dialect = dialect;
	return changed;
}

static void
adopt_mesh_id(struct gossip *g, const char *mesh_id)
{
	size_t len;

	if (g->mesh_id[0] != '\0' || mesh_id == NULL)
		return;
	len = strspn(mesh_id,
	    "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
	if (len == 0 || len >= sizeof(g->mesh_id) || mesh_id[len] != '\0')
		return;
	memcpy(g->mesh_id, mesh_id, len + 1);
	g->generation++;
	gossip_push(g, &(struct item){ .kind = GOSSIP_MESH_ID });
}

static void
admit(struct gossip *g, struct peer *p)
{
	if (p->introducer != NULL)
		p->introducer->n_introduced--;
	p->introducer = NULL;
	p->admitted = true;
	p->failures = 0;
	p->seen_ms = g->now;
}

// The node of itself, over its own connection.
static struct peer *
merge_direct(struct merge *m, const struct node_entry *e)
{
	struct gossip *g = m->g;
	struct peer *p = gossip_peer_find(g, e->id);
	struct endpoint_addr addr;
	bool changed, is_signed, signature_changed = false;

	if (!read_addr(e, &addr))
		return NULL;
	if ((p == NULL || !p->admitted) &&
	    !crypto_core_ed25519_is_valid_point(e->id))
		return NULL;
	if (p == NULL && (p = gossip_peer_insert(g, e->id, NULL)) == NULL) {
		gossip_log(g, e->id, "peer-refused", "table is full", true);
		return NULL;
	}
	changed = !p->admitted;
	admit(g, p);
	is_signed = take_announcement(m, p, e, &signature_changed);
	if (!is_signed && e->message->has_signed_announcement) {
		gossip_log(g, e->id, "announcement-refused",
		    "damaged, expired or older than the known one", true);
		is_signed = gossip_announcement_is_valid(g, p);
	}
	changed |= signature_changed;
	changed |= set_dialect(p, e, is_signed);
	changed |= set_common(g, p, e);
	changed |= set_unsigned_key(p, e);
	changed |= set_posture(p, e);
	changed |= set_shows_life(p, e);
	changed |= gossip_set_evidence(g, p, e);
	changed |= gossip_set_addr(p, &addr);
	if (changed)
		gossip_push_changed(g, p);
	adopt_mesh_id(g, e->message->mesh_id);
	gossip_clear_dead(g, e->id);
	return p;
}

static void
consider_follow_up(struct merge *m, const struct peer *p, bool is_new)
{
	struct gossip *g = m->g;
	size_t i;

	if (m->follow_mode == FOLLOW_NONE ||
	    (m->follow_mode == FOLLOW_NEW && !is_new) ||
	    g->n_links >= FOLLOW_LINKS_MAX)
		return;
	if (p->link != NULL || !gossip_peer_can_be_reached(p))
		return;
	if (g->self.role == GOSSIP_CLIENT && p->role == GOSSIP_CLIENT)
		return;
	m->n_candidates++;
	if (m->n_follow < FOLLOW_UPS_PER_FRAME)
		i = m->n_follow++;
	else
		i = gossip_random(g) % m->n_candidates;
	if (i < FOLLOW_UPS_PER_FRAME)
		memcpy(m->follow[i], p->id, ENDPOINT_ID_LEN);
}

static struct peer *
learn(struct merge *m, const struct node_entry *e)
{
	uint8_t sum[crypto_core_ed25519_BYTES];

	if (m->new_left == 0)
		return NULL;
	m->new_left--;
	// Whether it is of the prime-order group is checked when it comes
	// itself; here that would cost ten times as much.
	if (crypto_core_ed25519_add(sum, e->id, e->id) != 0)
		return NULL;
	return gossip_peer_insert(m->g, e->id, m->source);
}

// One node of another one that we neither are connected to nor heard lately.
static void
merge_hearsay(struct merge *m, struct peer *p, const struct node_entry *e)
{
	struct gossip *g = m->g;
	struct endpoint_addr addr;
	bool is_new = p == NULL, changed = false;

	if (!read_addr(e, &addr))
		return;
	if (p == NULL && (p = learn(m, e)) == NULL)
		return;
	p->mentioned_ms = g->now;
	if (take_announcement(m, p, e, &changed))
		changed |= set_posture(p, e);
	changed |= set_common(g, p, e);
	changed |= gossip_add_addr(p, &addr);
	if (changed || is_new)
		gossip_push_changed(g, p);
	consider_follow_up(m, p, is_new);
}

static void
merge_relayed(struct merge *m, const struct node_entry *e)
{
	struct gossip *g = m->g;
	struct peer *p = gossip_peer_find(g, e->id);
	bool changed = false;

	if (gossip_is_dead(g, e->id))
		return;
	if (p != NULL && (p->link != NULL || gossip_peer_is_fresh(g, p))) {
		p->mentioned_ms = g->now;
		(void)take_announcement(m, p, e, &changed);
		if (changed)
			gossip_push_changed(g, p);
		consider_follow_up(m, p, false);
		return;
	}
	// Connected and silent: it has to speak for itself.
	if (p == NULL && gossip_link_find(g, e->id) != NULL)
		return;
	merge_hearsay(m, p, e);
}

static void
merge_sender(struct merge *m, const struct node_gossip *frame)
{
	struct node_entry e;
	size_t n = node_gossip_n_entries(frame);

	// The last entry wins, as everywhere in protobuf.
	for (size_t i = n; i > 0 && m->source == NULL; i--) {
		if (memcmp(node_gossip_id(frame, i - 1), m->source_id,
			ENDPOINT_ID_LEN) != 0)
			continue;
		node_gossip_entry(frame, i - 1, &e);
		m->source = merge_direct(m, &e);
		return;
	}
}

void
gossip_merge(struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN],
    const struct node_gossip *frame, enum follow follow)
{
	struct merge m = { .g = g,
		.source_id = id,
		.follow_mode = follow,
		.new_left = NEW_PER_FRAME,
		.verify_left = VERIFY_PER_FRAME };
	size_t n = node_gossip_n_entries(frame);
	struct node_entry e;
	const uint8_t *of;

	merge_sender(&m, frame);
	if (m.source == NULL) {
		gossip_log(g, id, "peer-not-admitted",
		    "no usable entry of its own", false);
		return;
	}
	for (size_t i = 0; i < n && i < GOSSIP_PEERS_MAX; i++) {
		of = node_gossip_id(frame, i);
		if (is_self(g, of) || memcmp(of, id, ENDPOINT_ID_LEN) == 0)
			continue;
		node_gossip_entry(frame, i, &e);
		merge_relayed(&m, &e);
	}
	for (size_t i = 0; i < m.n_follow; i++)
		gossip_follow_up(g, m.follow[i]);
	gossip_follow_ups_pump(g);
}
