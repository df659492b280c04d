// GET /api/events of the management listener: a stream of what changes.
//
// Three kinds of events, each with the whole of its part of /api/status as it
// is now: `node`, `backends`, `peers`.  All three come at once in the
// beginning, later each when it differs from what was sent last.
#ifndef PROXYD_EVENTS_H
#define PROXYD_EVENTS_H

#include <event2/event_struct.h>
#include <stddef.h>
#include <stdint.h>

enum {
	EVENTS_SUBSCRIBERS_MAX = 16,
	EVENTS_DELAY_MS = 200, // changes that come together are one
	EVENTS_ALIVE_S = 15,   // between comments that show life
	EVENTS_HASH_LEN = 16,
};

enum events_part {
	EVENTS_NODE,
	EVENTS_BACKENDS,
	EVENTS_PEERS,
	EVENTS_PARTS,
};

struct request;
struct proxyd;

struct events {
	struct request *at[EVENTS_SUBSCRIBERS_MAX]; // borrowed
	size_t n;
	unsigned changed; // 1 << enum events_part
	uint8_t sent[EVENTS_PARTS][EVENTS_HASH_LEN];
	struct event timer, alive;
};

void events_init(struct proxyd *);
// Ends the streams.
void events_done(struct proxyd *);
void events_changed(struct proxyd *, enum events_part);
void events_answer(struct request *);
// The subscriber is gone.
void events_gone(struct request *);

#endif
