// Finds the vDSO in what the kernel tells a new program, and takes it out.
#include "tests/tools/vdso.h"

#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/user.h>

static unsigned long
peek(pid_t pid, unsigned long at)
{
	errno = 0;
	return (unsigned long)ptrace(PTRACE_PEEKDATA, pid, (void *)at, NULL);
}

// Past argc, argv and the environment, each list with its NULL.
static unsigned long
find_auxv(pid_t pid, unsigned long at)
{
	at += sizeof(long) * (peek(pid, at) + 2);
	while (peek(pid, at) != 0 && errno == 0)
		at += sizeof(long);
	return at + sizeof(long);
}

int
vdso_hide(pid_t pid)
{
	struct user_regs_struct regs;
	unsigned long at, type;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) == -1)
		return -1;
	for (at = find_auxv(pid, regs.rsp);; at += sizeof(Elf64_auxv_t)) {
		type = peek(pid, at);
		if (errno != 0 || type == AT_NULL)
			return -1;
		if (type == AT_SYSINFO_EHDR)
			return (int)ptrace(PTRACE_POKEDATA, pid, (void *)at,
			    (void *)(uintptr_t)AT_IGNORE);
	}
}
