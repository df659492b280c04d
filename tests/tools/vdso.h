// For tests: a program to which the kernel has no vDSO.
#ifndef TESTS_TOOLS_VDSO_H
#define TESTS_TOOLS_VDSO_H

#include <sys/types.h>

// Of a program that has just begun, stopped at PTRACE_EVENT_EXEC and traced
// by us.  -1: it cannot be done.
int vdso_hide(pid_t pid);

#endif
