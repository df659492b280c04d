// Who holds the connections that there are, and which of them is asking for
// nothing: the longest idle one of whoever holds most can be closed for a
// newcomer.  A connection of a client has a seat for as long as it is open.
#ifndef PROXYD_SEATS_H
#define PROXYD_SEATS_H

#include <sodium.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "common/cleanup.h"
#include "proxyd/party.h"

enum {
	CONNS_MAX = 4096, // HTTP connections, both listeners
	// Default of --client-connections: half of them.
	CLIENT_CONNECTIONS = CONNS_MAX / 2,
	SEATS_BUCKETS = 1024,
	REFUSED_MAX = 256, // that have got no seat and are told so at leisure
};

struct holder;

struct seat {
	struct holder *holder; // borrowed; NULL: not taken
	bool is_idle;
	TAILQ_ENTRY(seat) entry; // of the idle ones
};

TAILQ_HEAD(seat_queue, seat);
LIST_HEAD(holder_list, holder);

// A party with a seat.
struct holder {
	LIST_ENTRY(holder) same_hash;
	LIST_ENTRY(holder) same_n; // while it has an idle seat
	struct party_id id;
	unsigned n;		// seats
	struct seat_queue idle; // the longest first
};

struct seats {
	uint8_t secret[crypto_shorthash_KEYBYTES];
	struct holder_list by_id[SEATS_BUCKETS];
	struct holder_list by_n[CONNS_MAX + 1]; // those with an idle seat
	unsigned most;				// nobody is above
};

void seats_init(struct seats *);
// At most CONNS_MAX are taken at a time.  The seat is idle.
MUST_CHECK int seat_take(
    struct seats *, struct seat *, const struct party_id *);
void seat_leave(struct seats *, struct seat *);
// It asks for something, or no longer; can be repeated.
void seat_busy(struct seats *, struct seat *);
void seat_idle(struct seats *, struct seat *);

// NULL: this party has no seat.
const struct holder *seats_find(const struct seats *, const struct party_id *);
// The longest idle seat of whoever has most; NULL: all are busy.
struct seat *seats_longest_idle(struct seats *);

#endif
