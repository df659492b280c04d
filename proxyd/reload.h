// What can be changed while proxyd serves.
#ifndef PROXYD_RELOAD_H
#define PROXYD_RELOAD_H

#include "proxyd/proxyd.h"

enum {
	RELOAD_FILES_MAX = 1 + CONFIG_BACKENDS_MAX,
	RELOAD_ARGUMENTS_MAX = 256,
};

// What was handed over and not used yet.
void reload_drop(struct proxyd *);
// One that has begun is forgotten, and what was taken is given up.
void reload_done(struct proxyd *);

#endif
