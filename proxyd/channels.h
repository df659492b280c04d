// Who proxyd talks to in its node.
#ifndef PROXYD_CHANNELS_H
#define PROXYD_CHANNELS_H

#include "proxyd/proxyd.h"

// Open those that the parent gave, or wait for them at the doors.
MUST_CHECK int channels_open(struct proxyd *);
// Say that their end will be no failure.
void channels_leave(struct proxyd *);

#endif
