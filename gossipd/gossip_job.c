// Contacts: dial, then exchange gossip; or exchange, or probe, on the
// connection that is there.  One job per peer; a second wish joins the job
// that runs.  Each has a deadline of its own, in case nobody reports.
#include "gossipd/gossip_impl.h"

#include <string.h>

struct job *
gossip_job_find(
    const struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN])
{
	for (size_t i = 0; i < g->n_jobs; i++)
		if (memcmp(g->jobs[i]->id, id, ENDPOINT_ID_LEN) == 0)
			return g->jobs[i];
	return NULL;
}

size_t
gossip_jobs_count(
    const struct gossip *g, unsigned flags, const uint8_t *reporter)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_jobs; i++)
		if ((g->jobs[i]->flags & flags) != 0 &&
		    (reporter == NULL ||
			memcmp(g->jobs[i]->reporter, reporter,
			    ENDPOINT_ID_LEN) == 0))
			n++;
	return n;
}

size_t
gossip_dials_count(const struct gossip *g, unsigned flags)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_jobs; i++)
		if (g->jobs[i]->state == JOB_DIALING &&
		    (flags == 0 || (g->jobs[i]->flags & flags) != 0))
			n++;
	return n;
}

static void
set_state(struct gossip *g, struct job *job, enum job_state state)
{
	const unsigned patient = JOB_JOIN | JOB_FOLLOWING | JOB_CHANGE;
	struct item item = { .deadline_ms = GOSSIP_DEADLINE };

	job->state = state;
	memcpy(item.id, job->id, ENDPOINT_ID_LEN);
	if ((job->flags & patient) != 0)
		item.deadline_ms = JOIN_DEADLINE;
	switch (state) {
	case JOB_DIALING:
		item.kind = GOSSIP_DIAL;
		if (job->flags == JOB_VERIFY)
			item.deadline_ms = VERIFY_DIAL_DEADLINE;
		break;
	case JOB_EXCHANGING:
		item.kind = GOSSIP_EXCHANGE;
		item.frame_kind = GOSSIP_FRAME_EXCHANGE;
		break;
	case JOB_PROBING:
		item.kind = GOSSIP_PROBE;
		item.deadline_ms = PROBE_DEADLINE;
		break;
	}
	job->deadline_ms = g->now + item.deadline_ms + DEADLINE_GRACE;
	gossip_push(g, &item);
}

static int
may_dial(const struct gossip *g, const uint8_t *id, unsigned flags)
{
	const struct peer *p = gossip_peer_find(g, id);

	if ((flags & JOB_JOIN) != 0)
		return 0;
	if (p == NULL || !gossip_peer_can_be_reached(p))
		return -EHOSTUNREACH;
	return gossip_dials_count(g, 0) < DIALS_MAX ? 0 : -EBUSY;
}

int
gossip_job_start(
    struct gossip *g, const uint8_t id[static ENDPOINT_ID_LEN], unsigned flags)
{
	struct job *job = gossip_job_find(g, id);
	bool linked = gossip_link_find(g, id) != NULL;
	int r;

	if (job != NULL) {
		if (job->state == JOB_EXCHANGING && (flags & JOB_CHANGE) != 0)
			job->again = true;
		job->flags |= flags;
		return 0;
	}
	if (!linked && (r = may_dial(g, id, flags)) < 0)
		return r;
	if (g->n_jobs == JOBS_MAX)
		return -EBUSY;
	if ((job = calloc(1, sizeof(*job))) == NULL)
		return -ENOMEM;
	memcpy(job->id, id, ENDPOINT_ID_LEN);
	job->flags = flags;
	g->jobs[g->n_jobs++] = job;
	if (!linked)
		set_state(g, job, JOB_DIALING);
	else if (flags == JOB_VERIFY)
		set_state(g, job, JOB_PROBING);
	else
		set_state(g, job, JOB_EXCHANGING);
	return 0;
}

static void
remove_job(struct gossip *g, struct job *job)
{
	for (size_t i = 0; i < g->n_jobs; i++)
		if (g->jobs[i] == job) {
			g->jobs[i] = g->jobs[--g->n_jobs];
			return;
		}
}

// The dialler gossips first: a connection made for any reason exchanges.
void
gossip_job_connected(struct gossip *g, struct job *job)
{
	if (job->state != JOB_DIALING)
		return;
	if ((job->flags & JOB_VERIFY) != 0)
		gossip_down_verified(g, job->reporter, job->id, true);
	job->flags &= ~(unsigned)JOB_VERIFY;
	set_state(g, job, JOB_EXCHANGING);
}

// Wishes that joined while it ran and that its end does not answer.
static unsigned
left_over(const struct job *job, bool ok, bool linked)
{
	if (!linked)
		return 0;
	if (job->state == JOB_PROBING && ok)
		return job->flags & ~(unsigned)JOB_VERIFY;
	if (job->state == JOB_EXCHANGING && !ok)
		return job->flags & JOB_VERIFY;
	return job->again && ok ? JOB_CHANGE | JOB_FOLLOW_UP : 0;
}

static void
verified(struct gossip *g, const struct job *job, bool ok, unsigned left)
{
	if ((job->flags & JOB_VERIFY) != 0 && (left & JOB_VERIFY) == 0)
		gossip_down_verified(g, job->reporter, job->id, ok);
}

// A dead connection that could not be made again: the peer is gone, without
// a mark, and whoever hears of it may learn it again (3.8).
static void
reconnect_failed(struct gossip *g, const struct job *job)
{
	struct peer *p = gossip_peer_find(g, job->id);

	if (p != NULL && p->link == NULL)
		gossip_peer_remove(g, p);
}

void
gossip_job_end(struct gossip *g, struct job *job, bool ok)
{
	bool linked = gossip_link_find(g, job->id) != NULL;
	unsigned left = left_over(job, ok, linked);
	// A probe does not end what an exchange has to.
	unsigned ended = job->state == JOB_PROBING && ok ? 0 : job->flags;
	struct job *next;

	remove_job(g, job);
	if ((ended & JOB_JOIN) != 0)
		gossip_join_ended(g, job->id, ok);
	if ((ended & JOB_HEARTBEAT) != 0)
		gossip_heartbeat_ended(g, job->id, ok);
	verified(g, job, ok, left);
	if ((ended & JOB_RECONNECT) != 0 && !ok)
		reconnect_failed(g, job);
	if (left != 0 && gossip_job_start(g, job->id, left) == 0 &&
	    (next = gossip_job_find(g, job->id)) != NULL)
		memcpy(next->reporter, job->reporter, ENDPOINT_ID_LEN);
	free(job);
	gossip_follow_ups_pump(g);
}

void
gossip_jobs_expire(struct gossip *g)
{
	size_t i = 0;

	// Ending one may start and end others: begin again each time.
	while (i < g->n_jobs) {
		if (g->now < g->jobs[i]->deadline_ms) {
			i++;
			continue;
		}
		gossip_job_end(g, g->jobs[i], false);
		i = 0;
	}
}
