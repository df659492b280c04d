// A circuit breaker without a timer: states follow from times when asked.
#include "proxyd/breaker.h"

enum breaker_state
breaker_state(const struct breaker *b, uint64_t now_ms)
{
	if (!b->is_open)
		return BREAKER_CLOSED;
	return now_ms >= b->until_ms && !b->is_tried ? BREAKER_TRY
						     : BREAKER_OPEN;
}

bool
breaker_begin(struct breaker *b)
{
	b->is_tried = b->is_open;
	return b->is_open;
}

bool
breaker_failed(
    struct breaker *b, bool is_trial, uint64_t now_ms, uint32_t random)
{
	bool was_open = b->is_open;

	// One that was on its way before: its news is old.
	if (was_open && !is_trial)
		return false;
	b->is_tried = false;
	if (b->failures < BREAKER_FAILURES)
		b->failures++;
	if (b->failures < BREAKER_FAILURES && !was_open)
		return false;
	b->is_open = true;
	b->wait_ms = !was_open ? BREAKER_FIRST_MS : b->wait_ms * 2;
	if (b->wait_ms > BREAKER_MOST_MS)
		b->wait_ms = BREAKER_MOST_MS;
	b->until_ms = now_ms + b->wait_ms + random % (b->wait_ms / 4);
	return !was_open;
}

bool
breaker_answered(struct breaker *b)
{
	bool was_open = b->is_open;

	b->is_tried = false;
	b->is_open = false;
	// Whether it also ends well is not known yet.
	if (was_open)
		b->failures = BREAKER_FAILURES - 1;
	return was_open;
}

void
breaker_succeeded(struct breaker *b)
{
	*b = (struct breaker){ .failures = 0 };
}

void
breaker_left(struct breaker *b)
{
	b->is_tried = false;
}

void
breaker_hope(struct breaker *b)
{
	b->until_ms = 0;
}
