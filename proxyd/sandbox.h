// The system calls that proxyd may make while it serves.
#ifndef PROXYD_SANDBOX_H
#define PROXYD_SANDBOX_H

#include "common/sandbox.h"

extern const struct sandbox_rule proxyd_sandbox[];
extern const size_t proxyd_sandbox_len;

#endif
