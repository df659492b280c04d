// Models that a host had until a moment ago: their absence is for now, not for
// ever, and a client should ask again.
#ifndef PROXYD_RECENT_H
#define PROXYD_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sizes.h"

enum { RECENT_MAX = 256, RECENT_MS = 10 * 60 * 1000 };

struct recent_model {
	char name[MODEL_NAME_MAX + 1]; // empty: unused
	uint64_t gone_ms;
};

struct recent {
	struct recent_model at[RECENT_MAX]; // a ring
	size_t next;
};

// A host that had the model has it no longer.
void recent_note(struct recent *, const char *model, uint64_t now_ms);
bool recent_has(const struct recent *, const char *model, uint64_t now_ms);

#endif
