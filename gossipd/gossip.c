// The events of the gossip core (docs/wire-v1, 3).  It believes the daemon
// about connections and time, and a peer about nothing but itself.  It has
// no socket, no clock and no global; each event changes the tables and
// queues actions.  Every inbound frame ends in exactly one answer or one
// refusal.
#include "gossipd/gossip_impl.h"

#include <string.h>

int
gossip_new(struct gossip **ret, const struct gossip_config *config)
{
	struct gossip *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return -ENOMEM;
	g->rng = config->seed;
	memcpy(g->self.addr.id, config->endpoint_id, ENDPOINT_ID_LEN);
	(void)node_copy_text(g->mesh_id, sizeof(g->mesh_id), config->mesh_id);
	g->generation = 1;
	if (gossip_table_init(g) < 0) {
		gossip_free(g);
		return -ENOMEM;
	}
	*ret = g;
	return 0;
}

void
gossip_free(struct gossip *g)
{
	if (g == NULL)
		return;
	gossip_table_free(g);
	free(g->self.models);
	free(g->self.evidence);
	free(g->items);
	free(g->frame);
	free(g);
}

static void
advance(struct gossip *g, uint64_t now_ms)
{
	if (now_ms > g->now)
		g->now = now_ms;
}

static void
set_wall_clock(struct gossip *g, uint64_t unix_ms)
{
	g->unix_ms = unix_ms;
	g->unix_at = g->now;
}

const char *
gossip_mesh_id(const struct gossip *g)
{
	return g->mesh_id;
}

void
gossip_on_tick(struct gossip *g, uint64_t now_ms)
{
	advance(g, now_ms);
	gossip_schedule(g);
}

// ---- self

static enum gossip_role
role_of(const struct gossip_self *s)
{
	if (s->is_host)
		return GOSSIP_HOST;
	return s->is_client ? GOSSIP_CLIENT : GOSSIP_WORKER;
}

// Copies; true when the models changed.
static bool
copy_self_models(struct self *self, const struct gossip_self *s)
{
	size_t n =
	    s->n_models < PEER_MODELS_MAX ? s->n_models : PEER_MODELS_MAX;
	size_t size = n * sizeof(*s->models);
	struct gossip_model *copy = NULL;

	if (n == self->n_models &&
	    (n == 0 || memcmp(self->models, s->models, size) == 0))
		return false;
	if (n > 0) {
		if ((copy = malloc(size)) == NULL)
			return false;
		memcpy(copy, s->models, size);
	}
	free(self->models);
	self->models = copy;
	self->n_models = n;
	return true;
}

static bool
copy_self_addrs(struct self *self, const struct gossip_self *s)
{
	struct endpoint_addr addr = { 0 };

	memcpy(addr.id, self->addr.id, ENDPOINT_ID_LEN);
	while (
	    addr.n_addrs < s->n_addrs && addr.n_addrs < ADDR_JSON_ADDRS_MAX) {
		addr.addrs[addr.n_addrs] = s->addrs[addr.n_addrs];
		addr.n_addrs++;
	}
	// Padding can only make equal ones look changed.
	// NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
	if (memcmp(&addr, &self->addr, sizeof(addr)) == 0)
		return false;
	self->addr = addr;
	return true;
}

static bool
copy_self_key(struct self *self, const struct gossip_self *s)
{
	bool changed = self->has_announcement != s->has_announcement ||
	    memcmp(self->announcement, s->announcement, ANNOUNCEMENT_LEN) != 0;

	self->has_announcement = s->has_announcement;
	memcpy(self->announcement, s->announcement, ANNOUNCEMENT_LEN);
	memcpy(self->inference_key, s->inference_key, INFERENCE_KEY_LEN);
	return changed;
}

// Fresh evidence every few minutes travels with the next heartbeat; only its
// coming and going is news.
static bool
copy_self_evidence(struct self *self, const struct gossip_self *s)
{
	bool had = self->evidence_len > 0;

	free(self->evidence);
	self->evidence = NULL;
	self->evidence_len = 0;
	if (s->evidence == NULL || s->evidence_len == 0 ||
	    s->evidence_len > NODE_EVIDENCE_MAX)
		return had;
	if ((self->evidence = malloc(s->evidence_len)) == NULL)
		return had;
	memcpy(self->evidence, s->evidence, s->evidence_len);
	self->evidence_len = s->evidence_len;
	return !had;
}

void
gossip_on_self(struct gossip *g, uint64_t now_ms, const struct gossip_self *s)
{
	struct self *self = &g->self;
	bool news = !self->known || self->role != role_of(s) ||
	    self->api_port != s->api_port || self->posture != s->posture;

	advance(g, now_ms);
	self->role = role_of(s);
	self->api_port = s->api_port;
	self->posture = s->posture;
	(void)node_copy_text(self->version, sizeof(self->version), s->version);
	news |= copy_self_models(self, s);
	news |= copy_self_addrs(self, s);
	// What is sealed to the old key is lost: no pause after other news.
	if (copy_self_key(self, s)) {
		news = true;
		g->news_ms = 0;
	}
	news |= copy_self_evidence(self, s);
	self->known = true;
	g->generation++;
	g->news |= news;
	gossip_tell_news(g);
}

// ---- connections

bool
gossip_new_conn_wins(const struct gossip *g, uint64_t now_ms,
    const uint8_t id[static ENDPOINT_ID_LEN], bool new_is_outbound)
{
	const struct link *l = gossip_link_find(g, id);
	bool we_are_smaller;

	if (l == NULL || l->outbound == new_is_outbound ||
	    now_ms > l->since_ms + RACE)
		return true;
	we_are_smaller = memcmp(g->self.addr.id, id, ENDPOINT_ID_LEN) < 0;
	return we_are_smaller == new_is_outbound;
}

static void
link_is_up(struct gossip *g, struct link *l)
{
	struct job *job = gossip_job_find(g, l->id);
	struct peer *p = gossip_peer_find(g, l->id);

	if (p != NULL && l->outbound) {
		p->good = l->remote;
		p->has_good = true;
	}
	if (job != NULL) {
		gossip_job_connected(g, job);
		return;
	}
	// The dialler gossips first; and one who was taken for dead is asked.
	if (l->outbound || gossip_is_dead(g, l->id)) {
		gossip_clear_dead(g, l->id);
		(void)!gossip_job_start(g, l->id, 0);
	}
}

void
gossip_on_conn_up(struct gossip *g, uint64_t now_ms,
    const uint8_t id[static ENDPOINT_ID_LEN], const struct address *remote,
    bool outbound)
{
	struct link *l;

	advance(g, now_ms);
	if (memcmp(id, g->self.addr.id, ENDPOINT_ID_LEN) == 0 ||
	    ((l = gossip_link_find(g, id)) == NULL &&
		(l = gossip_link_insert(g, id)) == NULL)) {
		gossip_push_id(g, GOSSIP_DISCONNECT, id);
		return;
	}
	l->since_ms = g->now;
	l->outbound = outbound;
	if (remote != NULL)
		l->remote = *remote;
	link_is_up(g, l);
}

// A node that was with us is dialled once (3.8); one that flaps, or cannot
// be dialled, has to come back by itself.
static void
reconnect(struct gossip *g, struct peer *p)
{
	int r = -EHOSTUNREACH;

	if (p->reconnect_ms == 0 || g->now - p->reconnect_ms > RECONNECT_PAUSE)
		r = gossip_job_start(g, p->id, JOB_RECONNECT | JOB_FOLLOW_UP);
	p->reconnect_ms = g->now;
	if (r == -EBUSY)
		gossip_follow_up(g, p->id);
	else if (r < 0)
		gossip_peer_remove(g, p);
}

void
gossip_on_conn_down(
    struct gossip *g, uint64_t now_ms, const uint8_t id[static ENDPOINT_ID_LEN])
{
	struct link *l = gossip_link_find(g, id);
	struct job *job;
	struct peer *p;

	advance(g, now_ms);
	if (l == NULL)
		return;
	gossip_link_remove(g, l);
	if ((job = gossip_job_find(g, id)) != NULL)
		gossip_job_end(g, job, false);
	if ((p = gossip_peer_find(g, id)) != NULL && p->admitted)
		reconnect(g, p);
}

void
gossip_on_dial_failed(
    struct gossip *g, uint64_t now_ms, const uint8_t id[static ENDPOINT_ID_LEN])
{
	struct job *job = gossip_job_find(g, id);

	advance(g, now_ms);
	if (job != NULL && job->state == JOB_DIALING)
		gossip_job_end(g, job, false);
}

// ---- frames

static void
end_stream(struct gossip *g, const uint8_t *id, void *stream,
    enum gossip_action_kind kind, uint8_t frame_kind)
{
	struct item item = {
		.kind = kind, .stream = stream, .frame_kind = frame_kind
	};

	memcpy(item.id, id, ENDPOINT_ID_LEN);
	gossip_push(g, &item);
}

static void
log_refused(struct gossip *g, const uint8_t *id, const char *reason)
{
	gossip_log(g, id, "frame-refused", reason, true);
}

static bool
within_rate(struct gossip *g, struct link *l)
{
	uint64_t more = g->now - l->refilled_ms;

	l->refilled_ms = g->now;
	l->allowance_ms += more;
	if (l->allowance_ms > FRAME_BURST)
		l->allowance_ms = FRAME_BURST;
	if (l->allowance_ms >= FRAME_COST) {
		l->allowance_ms -= FRAME_COST;
		return true;
	}
	if (l->limit_logged_ms == 0 ||
	    g->now - l->limit_logged_ms > HEARTBEAT) {
		l->limit_logged_ms = g->now;
		log_refused(g, l->id, "too many frames");
	}
	return false;
}

// false: no answer.
static bool
on_exchange(
    struct gossip *g, const uint8_t *id, const uint8_t *frame, size_t len)
{
	struct node_gossip *decoded;
	const char *reason;

	if (node_gossip_decode(&decoded, frame, len, id, &reason) < 0) {
		log_refused(g, id, reason);
		return false;
	}
	gossip_clear_dead(g, id);
	gossip_merge(g, id, decoded, FOLLOW_NEW);
	node_gossip_free(decoded);
	return true;
}

static void
on_notice(struct gossip *g, const uint8_t *id, uint8_t kind,
    const uint8_t *frame, size_t len)
{
	uint8_t about[ENDPOINT_ID_LEN];

	if (node_notice_decode(frame, len, about) < 0) {
		log_refused(g, id, "damaged notice");
		return;
	}
	if (kind == GOSSIP_FRAME_PEER_DOWN) {
		gossip_down_reported(g, id, about);
		return;
	}
	if (memcmp(about, id, ENDPOINT_ID_LEN) != 0) {
		log_refused(g, id, "says goodbye for another node");
		return;
	}
	gossip_peer_left(g, id);
}

static bool
handle_frame(struct gossip *g, const uint8_t *id, uint8_t kind,
    const uint8_t *frame, size_t len)
{
	switch (kind) {
	case GOSSIP_FRAME_EXCHANGE:
		return on_exchange(g, id, frame, len);
	case GOSSIP_FRAME_ROUTES:
		if (node_route_request_check(frame, len) == 0)
			return true;
		log_refused(g, id, "damaged route request");
		return false;
	case GOSSIP_FRAME_TUNNEL_MAP:
		if (node_tunnel_map_check(frame, len, id) < 0)
			log_refused(g, id, "damaged tunnel map");
		return false;
	case GOSSIP_FRAME_PEER_DOWN:
	case GOSSIP_FRAME_PEER_LEAVING:
		on_notice(g, id, kind, frame, len);
		return false;
	default:
		log_refused(g, id, "unknown kind");
		return false;
	}
}

void
gossip_on_frame(struct gossip *g, uint64_t now_ms, uint64_t unix_ms,
    const uint8_t id[static ENDPOINT_ID_LEN], uint8_t kind, void *stream,
    const uint8_t *frame, size_t len)
{
	struct link *l = gossip_link_find(g, id);
	bool answer;

	advance(g, now_ms);
	set_wall_clock(g, unix_ms);
	answer = l != NULL && g->self.known && within_rate(g, l) &&
	    handle_frame(g, id, kind, frame, len);
	end_stream(g, id, stream, answer ? GOSSIP_ANSWER : GOSSIP_REFUSE, kind);
}

// An exchange that admits nobody has failed for its purpose.
static bool
take_answer(
    struct gossip *g, const struct job *job, const uint8_t *frame, size_t len)
{
	struct node_gossip *decoded;
	const struct peer *p;
	const char *reason;
	bool follow = (job->flags & JOB_FOLLOW_UP) != 0;

	if (node_gossip_decode(&decoded, frame, len, job->id, &reason) < 0) {
		log_refused(g, job->id, reason);
		return false;
	}
	gossip_merge(
	    g, job->id, decoded, follow ? FOLLOW_UNCONNECTED : FOLLOW_NONE);
	node_gossip_free(decoded);
	p = gossip_peer_find(g, job->id);
	return p != NULL && p->admitted;
}

void
gossip_on_answer(struct gossip *g, uint64_t now_ms, uint64_t unix_ms,
    const uint8_t id[static ENDPOINT_ID_LEN], const uint8_t *frame, size_t len)
{
	struct job *job = gossip_job_find(g, id);

	advance(g, now_ms);
	set_wall_clock(g, unix_ms);
	if (job == NULL || job->state != JOB_EXCHANGING)
		return;
	gossip_job_end(g, job, take_answer(g, job, frame, len));
}

void
gossip_on_exchange_failed(
    struct gossip *g, uint64_t now_ms, const uint8_t id[static ENDPOINT_ID_LEN])
{
	struct job *job = gossip_job_find(g, id);

	advance(g, now_ms);
	if (job != NULL && job->state == JOB_EXCHANGING)
		gossip_job_end(g, job, false);
}

void
gossip_on_probe(struct gossip *g, uint64_t now_ms,
    const uint8_t id[static ENDPOINT_ID_LEN], bool alive)
{
	struct job *job = gossip_job_find(g, id);

	advance(g, now_ms);
	if (job != NULL && job->state == JOB_PROBING)
		gossip_job_end(g, job, alive);
}

void
gossip_on_tunnel_error(struct gossip *g, uint64_t now_ms,
    const uint8_t id[static ENDPOINT_ID_LEN], bool is_death)
{
	struct link *l;

	advance(g, now_ms);
	if (is_death) {
		if (gossip_peer_find(g, id) != NULL)
			gossip_peer_died(g, id);
		return;
	}
	if (g->n_links == 0)
		return;
	l = g->links[gossip_random(g) % g->n_links];
	if (l->doubted_ms != 0 && g->now - l->doubted_ms < JOIN_RETRY)
		return;
	l->doubted_ms = g->now;
	(void)!gossip_job_start(g, l->id, 0);
}

void
gossip_on_shutdown(struct gossip *g, uint64_t now_ms)
{
	struct item item = { .kind = GOSSIP_NOTICE,
		.frame_kind = GOSSIP_FRAME_PEER_LEAVING };

	advance(g, now_ms);
	memcpy(item.about, g->self.addr.id, ENDPOINT_ID_LEN);
	for (size_t i = 0; i < g->n_links; i++) {
		memcpy(item.id, g->links[i]->id, ENDPOINT_ID_LEN);
		gossip_push(g, &item);
	}
}

// ---- questions

bool
gossip_is_admitted(
    const struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN])
{
	const struct peer *p = gossip_peer_find(g, id);

	return p != NULL && p->admitted;
}

size_t
gossip_n_peers(const struct gossip *g)
{
	return g->n_peers;
}

const uint8_t *
gossip_peer_id(const struct gossip *g, size_t i)
{
	return g->peers[i]->id;
}

static void
view_addrs(struct gossip *g, const struct peer *p, struct gossip_peer *ret)
{
	ret->addrs = g->scratch_addrs;
	if (p->has_good)
		g->scratch_addrs[ret->n_addrs++] = p->good;
	for (size_t i = 0; i < p->addr.n_addrs; i++)
		if (!p->has_good || !addr_equal(&p->good, &p->addr.addrs[i]))
			g->scratch_addrs[ret->n_addrs++] = p->addr.addrs[i];
}

bool
gossip_find_peer(struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN],
    struct gossip_peer *ret)
{
	const struct peer *p = gossip_peer_find(g, id);

	if (p == NULL)
		return false;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->id, p->id, ENDPOINT_ID_LEN);
	ret->role = p->role;
	ret->dialect = p->dialect;
	ret->admitted = p->admitted;
	ret->has_announcement = gossip_announcement_is_valid(g, p);
	if (ret->has_announcement)
		memcpy(ret->announcement, p->announcement, ANNOUNCEMENT_LEN);
	ret->has_unsigned_key = p->has_unsigned_key;
	memcpy(ret->unsigned_key, p->unsigned_key, INFERENCE_KEY_LEN);
	ret->models = p->models;
	ret->n_models = p->n_models;
	view_addrs(g, p, ret);
	ret->version = p->version;
	ret->hostname = p->hostname;
	ret->last_seen_ms = p->seen_ms;
	ret->owner = p->owner;
	memcpy(ret->owner_id, p->owner_id, OWNER_ID_LEN);
	ret->has_posture = p->has_posture;
	ret->posture = p->posture;
	ret->shows_life = p->shows_life;
	ret->evidence = p->evidence;
	ret->evidence_len = p->evidence_len;
	return true;
}
