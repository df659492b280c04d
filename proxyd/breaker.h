// Keeps requests from a source that fails again and again: after a few
// failures in a row it is set aside for a time that doubles, then one request
// tries it.
#ifndef PROXYD_BREAKER_H
#define PROXYD_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum {
	BREAKER_FAILURES = 3,
	BREAKER_FIRST_MS = 1000,
	BREAKER_MOST_MS = 60 * 1000,
};

struct breaker {
	unsigned failures; // in a row
	bool is_open;
	bool is_tried; // by the one request
	unsigned wait_ms;
	uint64_t until_ms;
};

enum breaker_state {
	BREAKER_CLOSED,
	BREAKER_TRY, // one request may
	BREAKER_OPEN,
};

enum breaker_state breaker_state(const struct breaker *, uint64_t now_ms);
// A request goes there now.  true: it is the one that tries.
bool breaker_begin(struct breaker *);
// One failed.  true: the source has been set aside just now.  random: spreads
// those who come back.
bool breaker_failed(
    struct breaker *, bool is_trial, uint64_t now_ms, uint32_t random);
// It has begun to answer.  true: it had been set aside.
bool breaker_answered(struct breaker *);
void breaker_succeeded(struct breaker *);
// The one request is over and nothing was learned.
void breaker_left(struct breaker *);
// There is news of it: the wait is over.
void breaker_hope(struct breaker *);

#endif
