// Times of RFC 3339, as the reference reads and writes them.
#ifndef COMMON_RFC3339_H
#define COMMON_RFC3339_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

enum { RFC3339_TEXT_LEN = 35 }; // 2026-05-07T05:58:00.123456789+00:00

struct rfc3339_time {
	int64_t seconds; // Unix
	uint32_t nanoseconds;
};

// -EBADMSG: not a date, a time and an offset.  Digits of the fraction behind
// the ninth are dropped.
MUST_CHECK int rfc3339_parse(
    const char *text, size_t len, struct rfc3339_time *ret);
// UTC, nine digits of fraction; years 1970 to 9999.
void rfc3339_format(struct rfc3339_time, char ret[static RFC3339_TEXT_LEN + 1]);
// Whole seconds of a - b, truncated toward zero.
int64_t rfc3339_seconds_between(struct rfc3339_time a, struct rfc3339_time b);

#endif
