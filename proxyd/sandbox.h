// The system calls that proxyd may make while it serves.
#ifndef PROXYD_SANDBOX_H
#define PROXYD_SANDBOX_H

#include "common/landlock.h"
#include "common/sandbox.h"
#include "proxyd/backend.h"

extern const struct sandbox_rule proxyd_sandbox[];
extern const size_t proxyd_sandbox_len;

struct proxyd_landlock {
	struct landlock_policy policy;
	uint16_t ports[CONFIG_BACKENDS_MAX +
	    BACKEND_PORT_RANGES_MAX * BACKEND_PORT_RANGE_MAX];
};
// No file system; TCP connections to the ports of the backends, and to those
// that the configuration keeps for backends of later.
void proxyd_landlock_init(struct proxyd_landlock *ret, const struct backends *,
    const struct option_list *later);

#endif
