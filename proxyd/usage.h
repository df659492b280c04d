// How many tokens an answer says that it took, read while it passes by.
//
// Only the object behind "usage" is looked at, in JSON or in a stream of
// events, whole or cut in pieces; the last one counts.  Inside the words of an
// answer its quotes would be escaped, so these cannot be taken for it.
#ifndef PROXYD_USAGE_H
#define PROXYD_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	USAGE_TEXT_MAX = 512, // of one object; a larger one is not read
	USAGE_TAIL_MAX = 6,   // of a name that is cut
};

struct usage {
	uint64_t prompt, completion; // 0: not told

	// Private.
	uint8_t state;
	uint8_t depth;
	uint8_t n_tail;
	char tail[USAGE_TAIL_MAX];
	uint16_t len;
	char text[USAGE_TEXT_MAX];
};

// Zeroed at the start.
void usage_feed(struct usage *, const uint8_t *bytes, size_t n);

#endif
