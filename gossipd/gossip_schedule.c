// What happens because time passes (docs/wire-v1, 3.2, 3.8): tokens are
// joined, peers are asked every minute, those told of are dialled, those
// nobody has heard of are forgotten.
#include "gossipd/gossip_impl.h"
#include "gossipd/token.h"

#include <string.h>

// ---- joins

struct join *
gossip_join_find(struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN])
{
	for (size_t i = 0; i < g->n_joins; i++)
		if (memcmp(g->joins[i].addr.id, id, ENDPOINT_ID_LEN) == 0)
			return &g->joins[i];
	return NULL;
}

static void
first_round_over(struct gossip *g)
{
	g->joined_once = true;
	g->rejoin_ms = g->now + JOIN_AGAIN;
}

// In the first round the next token has its turn only when this one failed.
static void
join_succeeded(struct gossip *g, struct join *j)
{
	j->armed = false;
	j->tries = 0;
	j->pause_ms = 0;
	if (!g->joined_once)
		first_round_over(g);
}

// A node that we joined and have lost may be starting again.
void
gossip_join_soon(struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN])
{
	struct join *j = gossip_join_find(g, id);

	if (j == NULL || j->active || !g->joined_once)
		return;
	j->armed = true;
	j->pause_ms = JOIN_SOON;
	j->next_ms = g->now + j->pause_ms;
}

uint64_t
gossip_next_tick_ms(const struct gossip *g)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < g->n_joins; i++) {
		const struct join *j = &g->joins[i];

		if (j->armed && !j->active && j->pause_ms != 0 &&
		    j->next_ms < next)
			next = j->next_ms;
	}
	return next;
}

// Later and later, up to the minute of the existing network.
static void
join_later(struct gossip *g, struct join *j)
{
	j->pause_ms *= 2;
	if (j->pause_ms == 0 || j->pause_ms >= JOIN_AGAIN) {
		j->pause_ms = 0;
		j->armed = false;
		return;
	}
	j->next_ms = g->now + j->pause_ms;
}

static void
join_failed(struct gossip *g, struct join *j)
{
	if (j->pause_ms != 0) {
		join_later(g, j);
		return;
	}
	if (j->tries == 0) {
		j->tries = 1;
		j->next_ms = g->now + JOIN_RETRY;
		return;
	}
	j->tries = 0;
	j->armed = false;
	gossip_log(g, j->addr.id, "join-failed", "not reached", true);
	if (g->joined_once)
		return;
	if (++g->join_cursor < g->n_joins)
		return;
	gossip_log(g, NULL, "joins-failed",
	    "no token worked; they are tried again every minute", true);
	first_round_over(g);
}

void
gossip_join_ended(
    struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN], bool ok)
{
	struct join *j;

	for (size_t i = 0; i < g->n_joins; i++) {
		j = &g->joins[i];
		if (!j->active || memcmp(j->addr.id, id, ENDPOINT_ID_LEN) != 0)
			continue;
		j->active = false;
		if (ok)
			join_succeeded(g, j);
		else
			join_failed(g, j);
	}
}

static void
join_start(struct gossip *g, struct join *j)
{
	if (memcmp(j->addr.id, g->self.addr.id, ENDPOINT_ID_LEN) == 0) {
		join_succeeded(g, j);
		return;
	}
	gossip_clear_dead(g, j->addr.id);
	j->active = true;
	if (gossip_job_start(g, j->addr.id, JOB_JOIN | JOB_FOLLOW_UP) < 0)
		gossip_join_ended(g, j->addr.id, false);
}

static void
run_joins(struct gossip *g)
{
	struct join *j;

	if (g->joined_once && g->n_joins > 0 && g->now >= g->rejoin_ms) {
		g->rejoin_ms = g->now + JOIN_AGAIN;
		for (size_t i = 0; i < g->n_joins; i++)
			if (gossip_peer_find(g, g->joins[i].addr.id) == NULL)
				g->joins[i].armed = true;
	}
	for (size_t i = 0; i < g->n_joins; i++) {
		j = &g->joins[i];
		if (j->active || g->now < j->next_ms)
			continue;
		if (g->joined_once ? j->armed : i == g->join_cursor)
			join_start(g, j);
	}
}

int
gossip_join(struct gossip *g, uint64_t now_ms, const char *token,
    const char **ret_reason)
{
	struct endpoint_addr addr;
	struct join *j;
	int r;

	if (now_ms > g->now)
		g->now = now_ms;
	if ((r = token_parse(token, &addr, ret_reason)) < 0)
		return r;
	if ((j = gossip_join_find(g, addr.id)) == NULL) {
		*ret_reason = "too many tokens";
		if (g->n_joins == GOSSIP_JOINS_MAX)
			return -EINVAL;
		j = &g->joins[g->n_joins++];
		memset(j, 0, sizeof(*j));
	}
	*ret_reason = NULL;
	j->addr = addr;
	j->armed = true;
	j->next_ms = g->now;
	if (g->self.known)
		run_joins(g);
	return 0;
}

// A node that joins nobody founds a mesh (3.12).
static void
found_mesh(struct gossip *g)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t r = 0;

	if (g->n_joins > 0 || g->mesh_id[0] != '\0')
		return;
	for (size_t i = 0; i < 32; i++, r >>= 4) {
		if (i % 16 == 0)
			r = gossip_random(g);
		g->mesh_id[i] = digits[r & 15];
	}
	g->generation++;
	g->news = true; // for those that joined before it had a name
	gossip_push(g, &(struct item){ .kind = GOSSIP_MESH_ID });
}

// ---- heartbeat

// Asked separately, so that a table full of names that a liar made up does
// not keep us from asking the nodes that we know.
enum acquaintance { MET, SILENT, HEARSAY };

static enum acquaintance
acquaintance_of(const struct peer *p)
{
	if (p->admitted)
		return MET;
	return p->link != NULL ? SILENT : HEARSAY;
}

static bool
is_heartbeat_candidate(const struct gossip *g, const struct peer *p)
{
	if (p->link == NULL && g->self.role == GOSSIP_CLIENT &&
	    p->role == GOSSIP_CLIENT)
		return false;
	return gossip_peer_can_be_reached(p);
}

static void
heartbeat(struct gossip *g, enum acquaintance which)
{
	uint8_t chosen[HEARTBEAT_PEERS][ENDPOINT_ID_LEN];
	size_t n = 0, candidates = 0, i;
	const struct peer *p;

	for (size_t k = 0; k < g->n_peers; k++) {
		p = g->peers[k];
		if (acquaintance_of(p) != which ||
		    !is_heartbeat_candidate(g, p))
			continue;
		candidates++;
		i = n < HEARTBEAT_PEERS ? n++ : gossip_random(g) % candidates;
		if (i < HEARTBEAT_PEERS)
			memcpy(chosen[i], p->id, ENDPOINT_ID_LEN);
	}
	// Too many dials at the moment is no failure of the peer.
	for (i = 0; i < n; i++)
		(void)!gossip_job_start(g, chosen[i], JOB_HEARTBEAT);
}

static void
forget_old(struct gossip *g)
{
	struct peer *p;
	uint64_t last;

	for (size_t i = g->n_peers; i > 0; i--) {
		p = g->peers[i - 1];
		last =
		    p->seen_ms > p->mentioned_ms ? p->seen_ms : p->mentioned_ms;
		if (p->link == NULL && g->now - last > FORGOTTEN)
			gossip_peer_remove(g, p);
	}
}

void
gossip_heartbeat_ended(
    struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN], bool ok)
{
	struct peer *p = gossip_peer_find(g, id);

	if (p == NULL)
		return;
	if (ok) {
		p->failures = 0;
		return;
	}
	if (p->seen_ms != 0 && g->now - p->seen_ms < FRESH)
		return;
	if (++p->failures >= FAILURES_MAX)
		gossip_peer_died(g, id);
}

// ---- follow-ups

void
gossip_follow_up(struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN])
{
	size_t at;

	for (size_t i = 0; i < g->n_follow_ups; i++) {
		at = (g->follow_first + i) % FOLLOW_UPS_MAX;
		if (memcmp(g->follow_ups[at], id, ENDPOINT_ID_LEN) == 0)
			return;
	}
	if (g->n_follow_ups == FOLLOW_UPS_MAX)
		return;
	at = (g->follow_first + g->n_follow_ups++) % FOLLOW_UPS_MAX;
	memcpy(g->follow_ups[at], id, ENDPOINT_ID_LEN);
}

static bool
is_worth_following(const struct gossip *g, const uint8_t *id)
{
	const struct peer *p = gossip_peer_find(g, id);

	return p != NULL && p->link == NULL && !gossip_is_dead(g, id) &&
	    gossip_peer_can_be_reached(p);
}

void
gossip_follow_ups_pump(struct gossip *g)
{
	const uint8_t *id;

	while (g->n_follow_ups > 0 &&
	    gossip_dials_count(g, JOB_FOLLOWING) < FOLLOW_UP_DIALS_MAX &&
	    gossip_dials_count(g, 0) < DIALS_MAX) {
		id = g->follow_ups[g->follow_first];
		g->follow_first = (g->follow_first + 1) % FOLLOW_UPS_MAX;
		g->n_follow_ups--;
		if (is_worth_following(g, id))
			(void)!gossip_job_start(
			    g, id, JOB_FOLLOWING | JOB_FOLLOW_UP);
	}
}

// ---- news

// Own state changed: every connection is told, at most once a second.
void
gossip_tell_news(struct gossip *g)
{
	if (!g->news || !g->self.known)
		return;
	if (g->news_ms != 0 && g->now - g->news_ms < ANNOUNCE_PAUSE)
		return;
	g->news = false;
	g->news_ms = g->now;
	for (size_t i = 0; i < g->n_links; i++)
		(void)!gossip_job_start(
		    g, g->links[i]->id, JOB_CHANGE | JOB_FOLLOW_UP);
}

void
gossip_schedule(struct gossip *g)
{
	gossip_jobs_expire(g);
	if (!g->self.known)
		return;
	found_mesh(g);
	run_joins(g);
	gossip_tell_news(g);
	if (g->heartbeat_ms == 0)
		g->heartbeat_ms = g->now + HEARTBEAT;
	if (g->now >= g->heartbeat_ms) {
		g->heartbeat_ms = g->now + HEARTBEAT;
		forget_old(g);
		heartbeat(g, MET);
		heartbeat(g, SILENT);
		heartbeat(g, HEARSAY);
	}
	gossip_follow_ups_pump(g);
}
