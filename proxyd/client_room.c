// Room for one more connection: where the holder has its share, or all there
// are are taken, the longest idle one makes room, of the holder or of whoever
// holds most.  One that is being served is never closed for another.
#include <string.h>

#include "common/log.h"
#include "proxyd/client_conn.h"
#include "proxyd/client_conn_state.h"
#include "proxyd/metrics.h"

static struct client_conn *
conn_of(struct seat *seat)
{
	return (struct client_conn *)(void *)((char *)seat -
	    offsetof(struct client_conn, seat));
}

static void
say_full(struct listener *l, const struct party_id *holder, const char *limit,
    bool is_refused)
{
	char who[PARTY_TEXT_MAX];

	if (!log_limit_pass(&l->d->seats_log, clock_mono_ms()))
		return;
	party_format(holder, who);
	if (is_refused)
		LOG(LOG_WARNING, "connection-refused",
		    F("listener", (const char *)l->text), F("limit", limit),
		    F("holder", (const char *)who));
	else
		LOG(LOG_WARNING, "idle-connection-closed",
		    F("listener", (const char *)l->text), F("limit", limit),
		    F("holder", (const char *)who));
}

const char *
client_room_make(struct listener *l, const struct party_id *holder)
{
	struct proxyd *d = l->d;
	const struct holder *of = seats_find(&d->seats, holder);
	const char *limit = "client-connections";
	struct seat *seat;

	// What cannot be told apart shares all.
	if (holder->kind != PARTY_UNKNOWN && of != NULL &&
	    of->n >= d->limits.client_connections) {
		seat = TAILQ_FIRST(&of->idle);
	} else if (d->n_conns >= CONNS_MAX) {
		seat = seats_longest_idle(&d->seats);
		limit = "connections";
	} else {
		return NULL;
	}
	if (seat == NULL) {
		metrics_count_limited(d, limit);
		say_full(l, holder, limit, true);
		return limit;
	}
	d->counters.displaced++;
	say_full(l, &seat->holder->id, limit, false);
	client_conn_close(conn_of(seat));
	return NULL;
}
