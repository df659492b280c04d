// The generated test that every rule table has to pass: each type from each
// role in each phase, with and without a descriptor, of every size, cut,
// with an unknown field.  What must be refused is worked out from the table;
// the daemon's handlers are replaced by one that counts.
#ifndef TESTS_UNIT_RULES_CHECK_H
#define TESTS_UNIT_RULES_CHECK_H

#include <stddef.h>

#include "common/ipc.h"

// Ends the cmocka test that calls it with a failure that names type, sender
// and phase.
void rules_check(const struct ipc_rule *, size_t n, enum ipc_role self);

#endif
