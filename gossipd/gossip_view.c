// The frames that we send: our view of the mesh (docs/wire-v1, 3.4) in the
// dialect of the one who gets it, the route table, notices.  Of others we
// pass on what they said themselves; a key, posture or evidence only next to
// the announcement that its node signed.  A node only heard of is passed on
// while it is news; else the dead would be told of in circles for ever.
#include "gossipd/gossip_impl.h"

#include <sodium.h>
#include <string.h>

enum { FRAME_FIRST = 4096, HEADER_MAX = 16 };

// Protobuf messages one after the other are one message.
struct entry {
	const uint8_t *rest;
	size_t rest_len;
	Node__PeerAnnouncement announcement;
	Node__PeerSealing sealing;
	Node__SecurityPosture posture;
	Node__ModelRuntimeDescriptor runtime[PEER_MODELS_MAX];
	Node__ModelRuntimeDescriptor *runtimes[PEER_MODELS_MAX];
	char *names[PEER_MODELS_MAX];
	char addr[ADDR_JSON_MAX];
	char key[sodium_base64_ENCODED_LEN(
	    INFERENCE_KEY_LEN, sodium_base64_VARIANT_ORIGINAL)];
};

static bool
make_room(struct gossip *g, size_t more)
{
	size_t cap = g->frame_cap == 0 ? FRAME_FIRST : g->frame_cap;
	uint8_t *frame;

	if (more > NODE_LENGTH_LEN + NODE_FRAME_MAX - g->frame_len)
		return false;
	while (cap < g->frame_len + more)
		cap *= 2;
	if (cap == g->frame_cap)
		return true;
	if ((frame = realloc(g->frame, cap)) == NULL)
		return false;
	g->frame = frame;
	g->frame_cap = cap;
	return true;
}

static bool
frame_begin(struct gossip *g)
{
	g->frame_cached = false;
	g->frame_len = 0;
	if (!make_room(g, NODE_LENGTH_LEN))
		return false;
	g->frame_len = NODE_LENGTH_LEN;
	return true;
}

static void
frame_end(struct gossip *g)
{
	size_t len = g->frame_len - NODE_LENGTH_LEN;

	for (size_t i = 0; i < NODE_LENGTH_LEN; i++)
		g->frame[i] = (uint8_t)(len >> (8 * i));
}

static bool
append(struct gossip *g, const uint8_t *bytes, size_t len)
{
	if (!make_room(g, len))
		return false;
	if (len > 0)
		memcpy(g->frame + g->frame_len, bytes, len);
	g->frame_len += len;
	return true;
}

static bool
append_header(struct gossip *g, uint8_t field, size_t len)
{
	uint8_t header[HEADER_MAX];
	size_t n = 0;

	header[n++] = (uint8_t)(field << 3 | 2);
	for (; len >= 0x80; len >>= 7)
		header[n++] = (uint8_t)(len | 0x80);
	header[n++] = (uint8_t)len;
	return append(g, header, n);
}

// All of the entry, or nothing.
static bool
append_entry(struct gossip *g, const struct entry *e)
{
	size_t before = g->frame_len;
	size_t a = node__peer_announcement__get_packed_size(&e->announcement);
	size_t s = node__peer_sealing__get_packed_size(&e->sealing);
	size_t len = e->rest_len + a + s;

	if (!make_room(g, HEADER_MAX + len) || !append_header(g, 2, len) ||
	    !append(g, e->rest, e->rest_len)) {
		g->frame_len = before;
		return false;
	}
	g->frame_len += node__peer_announcement__pack(
	    &e->announcement, g->frame + g->frame_len);
	g->frame_len +=
	    node__peer_sealing__pack(&e->sealing, g->frame + g->frame_len);
	return true;
}

static ProtobufCBinaryData
binary(const void *data, size_t len)
{
	ProtobufCBinaryData b = { .len = len };

	memcpy(&b.data, &data, sizeof(b.data)); // packing does not write
	return b;
}

static char *
text(const char *t)
{
	char *p;

	memcpy(&p, &t, sizeof(p)); // packing does not write
	return p;
}

static void
entry_begin(struct entry *e, const uint8_t *id, enum gossip_role role)
{
	e->rest_len = 0;
	node__peer_announcement__init(&e->announcement);
	node__peer_sealing__init(&e->sealing);
	node__security_posture__init(&e->posture);
	e->announcement.has_endpoint_id = 1;
	e->announcement.endpoint_id = binary(id, ENDPOINT_ID_LEN);
	e->announcement.has_role = 1;
	e->announcement.role = (uint32_t)role;
}

static void
entry_port(struct entry *e, uint16_t port)
{
	e->announcement.has_http_port = 1;
	e->announcement.http_port = port;
}

static void
entry_addr(struct entry *e, const struct endpoint_addr *addr)
{
	size_t len;

	if (addr_json_write(addr, e->addr, sizeof(e->addr), &len) < 0)
		return;
	e->announcement.has_serialized_addr = 1;
	e->announcement.serialized_addr = binary(e->addr, len);
}

static void
entry_models(struct entry *e, const struct gossip_model *models, size_t n,
    bool hosted_known)
{
	Node__PeerAnnouncement *m = &e->announcement;
	Node__ModelRuntimeDescriptor *d;

	for (size_t i = 0; i < n; i++) {
		e->names[i] = text(models[i].name);
		if (models[i].context_length == 0)
			continue;
		d = &e->runtime[m->n_served_model_runtime];
		node__model_runtime_descriptor__init(d);
		d->model_name = e->names[i];
		d->has_context_length = d->has_ready = d->ready = 1;
		d->context_length = models[i].context_length;
		e->runtimes[m->n_served_model_runtime++] = d;
	}
	m->served_model_runtime = e->runtimes;
	if (!hosted_known) {
		m->n_serving_models = n;
		m->serving_models = e->names;
		return;
	}
	m->has_hosted_models_known = m->hosted_models_known = 1;
	m->n_hosted_models = n;
	m->hosted_models = e->names;
}

static void
entry_key(struct entry *e, const uint8_t *key, const uint8_t *announcement)
{
	sodium_bin2base64(e->key, sizeof(e->key), key, INFERENCE_KEY_LEN,
	    sodium_base64_VARIANT_ORIGINAL);
	e->sealing.inference_public_key = e->key;
	e->announcement.has_signed_announcement = 1;
	e->announcement.signed_announcement =
	    binary(announcement, ANNOUNCEMENT_LEN);
}

// Fields 37 and 38, only for those who understand them.
static void
entry_posture(struct entry *e, uint32_t bits)
{
	Node__SecurityPosture *p = &e->posture;

	p->has_sip_enabled = p->has_rdma_disabled = 1;
	p->has_debugger_blocked = p->has_core_dumps_disabled = 1;
	p->sip_enabled = (bits & NODE_POSTURE_SIP_ENABLED) != 0;
	p->rdma_disabled = (bits & NODE_POSTURE_RDMA_DISABLED) != 0;
	p->debugger_blocked = (bits & NODE_POSTURE_DEBUGGER_BLOCKED) != 0;
	p->core_dumps_disabled = (bits & NODE_POSTURE_CORE_DUMPS_DISABLED) != 0;
	e->sealing.security_posture = p;
}

static void
entry_evidence(struct entry *e, const uint8_t *evidence, size_t len)
{
	e->announcement.has_hardware_attestation_blob = 1;
	e->announcement.hardware_attestation_blob = binary(evidence, len);
}

static bool
append_self(struct gossip *g, struct entry *e, bool sealed)
{
	const struct self *s = &g->self;

	entry_begin(e, s->addr.id, s->role);
	if (s->role == GOSSIP_HOST)
		entry_port(e, s->api_port);
	e->announcement.version = text(s->version);
	if (g->mesh_id[0] != '\0')
		e->announcement.mesh_id = g->mesh_id;
	entry_addr(e, &s->addr);
	e->announcement.has_shows_life = e->announcement.shows_life = 1;
	entry_models(e, s->models, s->n_models, true);
	if (s->has_announcement)
		entry_key(e, s->inference_key, s->announcement);
	if (sealed && s->posture != 0)
		entry_posture(e, s->posture);
	if (sealed && s->evidence_len > 0)
		entry_evidence(e, s->evidence, s->evidence_len);
	return append_entry(g, e);
}

static bool
append_peer(
    struct gossip *g, struct entry *e, const struct peer *p, bool sealed)
{
	entry_begin(e, p->id, p->role);
	e->rest = p->rest;
	e->rest_len = p->rest_len;
	if (p->role == GOSSIP_HOST)
		entry_port(e, p->http_port);
	if (p->version[0] != '\0')
		e->announcement.version = text(p->version);
	entry_addr(e, &p->addr);
	entry_models(e, p->models, p->n_models, p->hosted_known);
	if (gossip_announcement_is_valid(g, p)) {
		entry_key(e, p->opened.inference_key, p->announcement);
		if (sealed && p->has_posture)
			entry_posture(e, p->posture);
		if (sealed && p->evidence_len > 0)
			entry_evidence(e, p->evidence, p->evidence_len);
	}
	return append_entry(g, e);
}

static bool
is_passed_on(const struct gossip *g, const struct peer *p)
{
	return gossip_peer_is_fresh(g, p) || g->now - p->learned_ms < FRESH;
}

// Who does not fit any more is left out; a frame that cannot hold all begins
// elsewhere each time.
static void
append_peers(struct gossip *g, struct entry *e, bool sealed)
{
	size_t start = g->n_peers == 0 ? 0 : gossip_random(g) % g->n_peers;
	const struct peer *p;

	for (size_t i = 0; i < g->n_peers; i++) {
		p = g->peers[(start + i) % g->n_peers];
		if (is_passed_on(g, p))
			(void)append_peer(g, e, p, sealed);
	}
}

int
gossip_build_exchange(
    struct gossip *g, const uint8_t target[static ENDPOINT_ID_LEN])
{
	static const uint8_t gen[] = { 1 << 3, NODE_GEN };
	const struct peer *p = gossip_peer_find(g, target);
	bool sealed = p != NULL && p->admitted &&
	    (p->dialect == GOSSIP_DIALECT_MESHLLM ||
		p->dialect == GOSSIP_DIALECT_SEALED);
	struct entry *e;

	if (g->frame_cached && g->frame_generation == g->generation &&
	    g->frame_now == g->now && g->frame_sealed == sealed)
		return 0;
	if ((e = calloc(1, sizeof(*e))) == NULL)
		return -ENOMEM;
	if (!frame_begin(g) || !append(g, gen, sizeof(gen)) ||
	    !append_header(g, 3, ENDPOINT_ID_LEN) ||
	    !append(g, g->self.addr.id, ENDPOINT_ID_LEN) ||
	    !append_self(g, e, sealed)) {
		free(e);
		return -ENOMEM;
	}
	append_peers(g, e, sealed);
	free(e);
	frame_end(g);
	g->frame_cached = true;
	g->frame_generation = g->generation;
	g->frame_now = g->now;
	g->frame_sealed = sealed;
	return 0;
}

static bool
append_routes(struct gossip *g, const uint8_t *id,
    const struct gossip_model *models, size_t n, size_t *left)
{
	Node__RouteEntry entry = NODE__ROUTE_ENTRY__INIT;
	size_t len;

	entry.has_endpoint_id = 1;
	entry.endpoint_id = binary(id, ENDPOINT_ID_LEN);
	for (size_t i = 0; i<n && * left> 0; i++, --*left) {
		entry.model = text(models[i].name);
		len = node__route_entry__get_packed_size(&entry);
		if (!make_room(g, HEADER_MAX + len) ||
		    !append_header(g, 1, len))
			return false;
		g->frame_len +=
		    node__route_entry__pack(&entry, g->frame + g->frame_len);
	}
	return true;
}

int
gossip_build_routes(struct gossip *g)
{
	static const uint8_t gen[] = { 3 << 3, NODE_GEN };
	size_t left = ROUTES_MAX, mesh = strlen(g->mesh_id);
	const struct peer *p;
	bool ok = frame_begin(g);

	if (ok && g->self.role != GOSSIP_CLIENT)
		ok = append_routes(g, g->self.addr.id, g->self.models,
		    g->self.n_models, &left);
	for (size_t i = 0; ok && i < g->n_peers; i++) {
		p = g->peers[i];
		if (p->role == GOSSIP_HOST)
			ok = append_routes(
			    g, p->id, p->models, p->n_models, &left);
	}
	if (ok && mesh > 0)
		ok = append_header(g, 2, mesh) &&
		    append(g, (const uint8_t *)g->mesh_id, mesh);
	if (!ok || !append(g, gen, sizeof(gen)))
		return -ENOMEM;
	frame_end(g);
	return 0;
}

int
gossip_build_notice(
    struct gossip *g, const uint8_t about[static ENDPOINT_ID_LEN])
{
	static const uint8_t gen[] = { 2 << 3, NODE_GEN };

	if (!frame_begin(g) || !append_header(g, 1, ENDPOINT_ID_LEN) ||
	    !append(g, about, ENDPOINT_ID_LEN) || !append(g, gen, sizeof(gen)))
		return -ENOMEM;
	frame_end(g);
	return 0;
}
