// System calls of the sanitizers' runtimes, for sandbox_enter() of builds with
// --enable-sanitizers.  No other build has them: neither this header nor the
// list is compiled there.
#ifndef TESTS_SANDBOX_SANITIZERS_H
#define TESTS_SANDBOX_SANITIZERS_H

#include "common/sandbox.h"

extern const struct sandbox_rule sanitizers_sandbox[];
extern const size_t sanitizers_n_sandbox;

// From now on this process cannot be searched for leaks.
void sanitizers_enter(void);

#endif
