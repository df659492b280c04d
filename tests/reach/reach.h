// How a line of a filter is named between the daemons of this test, their
// tracer and the report: 16 bits, of which the list decides the upper nine.
#ifndef TESTS_REACH_REACH_H
#define TESTS_REACH_REACH_H

#include <stdint.h>

#include "common/sandbox.h"

enum {
	REACH_LINES = 1 << 7, // of one list
	REACH_IDS = 1 << 16,
};

// The file, in the folder of the daemons, with a line of four hexadecimal
// digits for each line of a filter that was reached.
#define REACH_FILE "reached"

static inline uint16_t
reach_id(const struct sandbox_rule *rules, size_t n, size_t line)
{
	uint32_t h = (uint32_t)n;

	for (size_t i = 0; i < n; i++) {
		h = h * 31 + (uint32_t)rules[i].syscall;
		for (unsigned k = 0; k < rules[i].n_args; k++)
			h = h * 31 + (uint32_t)rules[i].args[k].datum_a;
	}
	h ^= h >> 16;
	return (uint16_t)(h % (REACH_IDS / REACH_LINES) * REACH_LINES + line);
}

#endif
