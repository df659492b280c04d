// What can be changed while proxyd serves.
#ifndef PROXYD_RELOAD_H
#define PROXYD_RELOAD_H

#include "proxyd/proxyd.h"

enum {
	RELOAD_FILES_MAX = 1 + CONFIG_BACKENDS_MAX,
	RELOAD_ARGUMENTS_MAX = 256,
};

// One that has begun is forgotten, and what was taken is given up.
void reload_done(struct proxyd *);

#endif
