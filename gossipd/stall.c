// A gap between two calls that should come every second.  Trusts the clock
// alone.  Too early a time costs a request that is asked of another host, too
// late a one may have it done twice: when in doubt, early.
#include "gossipd/stall.h"

uint64_t
stall_since(struct stall *s, uint64_t now_ms)
{
	if (s->seen_ms != 0 && now_ms - s->seen_ms >= STALL_MS) {
		s->since_ms = s->seen_ms;
		s->until_ms = now_ms + STALL_DRAIN_MS;
	}
	s->seen_ms = now_ms;
	return now_ms < s->until_ms ? s->since_ms : now_ms;
}
