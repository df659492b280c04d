// Reads what a host says of its load, and forgets it.  The host may lie: the
// numbers are bounded here, so that a sum over all hosts fits, and they can
// make that host look idle or busy and no other.
#include "proxyd/load.h"

#include <stdio.h>

enum { DIGITS_MAX = 4, FINE = 256 };

// A number at *at, which is moved behind it.
static bool
take_number(struct slice *at, unsigned *ret)
{
	unsigned n = 0;
	size_t i = 0;

	while (i < at->len && at->at[i] >= '0' && at->at[i] <= '9') {
		if (i == DIGITS_MAX)
			return false;
		n = n * 10 + (unsigned)(at->at[i++] - '0');
	}
	if (i == 0 || (i > 1 && at->at[0] == '0'))
		return false;
	at->at += i;
	at->len -= i;
	*ret = n;
	return true;
}

static bool
take_char(struct slice *at, char c)
{
	if (at->len == 0 || *at->at != c)
		return false;
	at->at++;
	at->len--;
	return true;
}

bool
load_parse(const struct http_fields *fields, struct load *ret)
{
	const struct http_field *f = NULL;
	struct load load;
	struct slice at;

	if (!http_fields_find_once(fields, LOAD_FIELD, &f) || f == NULL)
		return false;
	at = f->value;
	if (!take_number(&at, &load.running) || !take_char(&at, '/') ||
	    !take_number(&at, &load.limit) || !take_char(&at, ' ') ||
	    !take_number(&at, &load.queued) || at.len != 0 || load.limit == 0)
		return false;
	*ret = load;
	return true;
}

static unsigned
at_most(unsigned n)
{
	return n < LOAD_MAX ? n : LOAD_MAX;
}

void
load_write(const struct load *load, char ret[static LOAD_TEXT_MAX])
{
	(void)snprintf(ret, LOAD_TEXT_MAX, "%u/%u %u", at_most(load->running),
	    at_most(load->limit), at_most(load->queued));
}

bool
load_is_known(const struct load_heard *heard, uint64_t now_ms)
{
	return heard != NULL && heard->load.limit != 0 &&
	    now_ms - heard->heard_ms < LOAD_OLD_MS;
}

// Between two halvings a straight line is near enough.
unsigned
load_of_others(const struct load_heard *heard, uint64_t now_ms)
{
	uint64_t n, age;

	if (!load_is_known(heard, now_ms))
		return 0;
	age = now_ms - heard->heard_ms;
	n = (uint64_t)(heard->load.running + heard->load.queued) * FINE;
	n >>= age / LOAD_HALF_MS;
	n -= n * (age % LOAD_HALF_MS) / (2 * LOAD_HALF_MS);
	return (unsigned)((n + FINE / 2) / FINE);
}

bool
load_is_full(const struct load_heard *heard, unsigned own, uint64_t now_ms)
{
	return load_is_known(heard, now_ms) &&
	    own + load_of_others(heard, now_ms) >= heard->load.limit;
}
