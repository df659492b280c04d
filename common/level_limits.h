// What a level of attestation does not protect from, for people.
#ifndef COMMON_LEVEL_LIMITS_H
#define COMMON_LEVEL_LIMITS_H

// One sentence; level: a number of Ipc__Level.
const char *level_limits(unsigned level);

#endif
