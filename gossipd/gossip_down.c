// Deaths and departures (docs/wire-v1, 3.8-3.10).  A report that a node is
// down is a rumour: it only makes us look ourselves.  Who reports falsely is
// not heard for a while, and a report about a node that we do not know
// changes nothing (the reference would refuse that node for five minutes,
// so a liar could keep newcomers out).
#include "gossipd/gossip_impl.h"

#include <string.h>

static void
broadcast_down(struct gossip *g, const uint8_t *id)
{
	struct item item = { .kind = GOSSIP_NOTICE,
		.frame_kind = GOSSIP_FRAME_PEER_DOWN };

	memcpy(item.about, id, ENDPOINT_ID_LEN);
	for (size_t i = 0; i < g->n_links; i++) {
		if (memcmp(g->links[i]->id, id, ENDPOINT_ID_LEN) == 0)
			continue;
		memcpy(item.id, g->links[i]->id, ENDPOINT_ID_LEN);
		gossip_push(g, &item);
	}
}

// The address of a node only heard of may be a lie: that it did not answer
// there keeps it out for a shorter time.
static void
remove_marked(struct gossip *g, const uint8_t *id)
{
	struct peer *p = gossip_peer_find(g, id);
	bool met = p == NULL || p->admitted;

	gossip_mark_dead(g, id, met ? DEAD_TIME : HEARSAY_DEAD_TIME);
	if (p != NULL)
		gossip_peer_remove(g, p);
}

// Found out by ourselves.  Others are told only of nodes that we once spoke
// with: of the rest we know nothing that they do not.
void
gossip_peer_died(struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN])
{
	const struct peer *p = gossip_peer_find(g, id);
	uint8_t copy[ENDPOINT_ID_LEN]; // id may be the peer's own
	bool tell = p != NULL && p->admitted;

	memcpy(copy, id, sizeof(copy));
	gossip_log(g, copy, "peer-dead", "does not answer", false);
	remove_marked(g, copy);
	if (tell)
		broadcast_down(g, copy);
}

void
gossip_down_reported(struct gossip *g,
    const uint8_t reporter[static ENDPOINT_ID_LEN],
    const uint8_t target[static ENDPOINT_ID_LEN])
{
	const struct link *link = gossip_link_find(g, reporter);
	const struct peer *p = gossip_peer_find(g, target);
	const struct peer *by = gossip_peer_find(g, reporter);
	struct job *job;

	if (by == NULL || !by->admitted || p == NULL)
		return;
	if (memcmp(reporter, target, ENDPOINT_ID_LEN) == 0 ||
	    gossip_is_lie(g, reporter, target))
		return;
	if (link != NULL && link->n_lies >= LIES_MAX &&
	    g->now - link->lied_ms < LIE_TIME)
		return;
	if (p->seen_ms != 0 && g->now - p->seen_ms < FRESH) {
		gossip_mark_lie(g, reporter, target);
		return;
	}
	if (gossip_jobs_count(g, JOB_VERIFY, NULL) >= VERIFICATIONS_MAX ||
	    gossip_jobs_count(g, JOB_VERIFY, reporter) >=
		VERIFICATIONS_PER_PEER)
		return;
	job = gossip_job_find(g, target);
	if (job != NULL && (job->flags & JOB_VERIFY) != 0)
		return;
	if (gossip_job_start(g, target, JOB_VERIFY) == 0 &&
	    (job = gossip_job_find(g, target)) != NULL)
		memcpy(job->reporter, reporter, ENDPOINT_ID_LEN);
}

void
gossip_down_verified(struct gossip *g,
    const uint8_t reporter[static ENDPOINT_ID_LEN],
    const uint8_t target[static ENDPOINT_ID_LEN], bool alive)
{
	if (alive) {
		gossip_mark_lie(g, reporter, target);
		return;
	}
	if (gossip_peer_find(g, target) == NULL)
		return;
	gossip_log(g, target, "peer-dead", "reported, does not answer", false);
	if (gossip_link_find(g, target) != NULL)
		gossip_push_id(g, GOSSIP_DISCONNECT, target);
	remove_marked(g, target);
}

void
gossip_peer_left(struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN])
{
	gossip_log(g, id, "peer-left", "said goodbye", false);
	gossip_push_id(g, GOSSIP_DISCONNECT, id);
	remove_marked(g, id);
}
