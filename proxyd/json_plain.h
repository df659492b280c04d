// What JSON readers and writers may copy as it is.
#ifndef PROXYD_JSON_PLAIN_H
#define PROXYD_JSON_PLAIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A vector of gcc and clang, on any machine.
typedef int8_t json_v16 __attribute__((vector_size(16)));

static inline json_v16
json_plain_lanes(const uint8_t *at)
{
	json_v16 v;

	memcpy(&v, at, sizeof(v));
	// Signed: what is above 0x7f is below zero.
	return (v >= 0x20) & (v != '"') & (v != '\\');
}

// How many bytes at the front stand for themselves in a JSON string: ASCII
// but control bytes, '"' and '\'.  Many at a time, for long prompts.
static inline size_t
json_plain_run(const uint8_t *at, size_t len)
{
	enum { LANES = sizeof(json_v16), STEP = 4 * LANES };
	json_v16 plain;
	uint64_t halves[2];
	size_t n = 0;

	for (; len - n >= STEP; n += STEP) {
		// Not by way of an array: it would be one in memory.
		plain = json_plain_lanes(at + n) &
		    json_plain_lanes(at + n + LANES) &
		    json_plain_lanes(at + n + 2 * LANES) &
		    json_plain_lanes(at + n + 3 * LANES);
		memcpy(halves, &plain, sizeof(halves));
		if ((halves[0] & halves[1]) != UINT64_MAX)
			break;
	}
	while (n < len && at[n] >= 0x20 && at[n] < 0x80 && at[n] != '"' &&
	    at[n] != '\\')
		n++;
	return n;
}

#endif
