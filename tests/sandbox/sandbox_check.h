// What every sandbox list has to pass.  All end the cmocka test that calls
// them with a failure that names the call, or skip it where it cannot hold.
// In a sanitizer build what its own list adds does not kill.
#ifndef TESTS_SANDBOX_SANDBOX_CHECK_H
#define TESTS_SANDBOX_SANDBOX_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/sandbox.h"

enum { SANDBOX_CALL_ARGS = 6 };

struct sandbox_call {
	const char *name;
	long number;
	long args[SANDBOX_CALL_ARGS];
};

// Every call of this kernel, with all arguments zero, in a process of its
// own: it dies of SIGSYS if and only if the list does not have it.
void sandbox_check_all_calls(const struct sandbox_rule *, size_t n);
// Each of these calls kills, or does not.
void sandbox_check_killed(const struct sandbox_rule *, size_t n,
    const struct sandbox_call *, size_t n_calls);
void sandbox_check_allowed(const struct sandbox_rule *, size_t n,
    const struct sandbox_call *, size_t n_calls);
// A call of another architecture or ABI kills.
void sandbox_check_other_abi(const struct sandbox_rule *, size_t n);
// No line stands twice, each has its reason, none allows what no daemon
// needs once it serves.
void sandbox_check_list(const struct sandbox_rule *, size_t n);
// The compiled filter is that of the reviewed file tests/sandbox/NAME.pfc.
// With UPDATE_PFC in the environment the file is written instead.
void sandbox_check_reviewed(
    const struct sandbox_rule *, size_t n, const char *name);

#endif
