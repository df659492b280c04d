// Runs a program as on a machine whose clock the vDSO cannot read: every look
// at the time is a system call.  For tests only.  The program gets no
// environment: a daemon that has one to clean runs itself again, and what is
// hidden here would be back.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tools/vdso.h"

// The program keeps our place and number; a child does the work and is gone
// before the program makes its first step.
static int
be_tracer(pid_t pid, int ready)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, NULL,
		(void *)(uintptr_t)PTRACE_O_TRACEEXEC) == -1 ||
	    write(ready, "", 1) != 1)
		return EXIT_FAILURE;
	if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status) ||
	    vdso_hide(pid) == -1) {
		(void)kill(pid, SIGKILL);
		return EXIT_FAILURE;
	}
	return ptrace(PTRACE_DETACH, pid, NULL, NULL) == -1 ? EXIT_FAILURE
							    : EXIT_SUCCESS;
}

int
main(int argc, char *argv[])
{
	static char *const empty[] = { NULL };
	int ready[2];
	pid_t self = getpid(), child;
	char byte;

	if (argc < 2 || pipe2(ready, O_CLOEXEC) == -1 || (child = fork()) == -1)
		return EXIT_FAILURE;
	if (child == 0)
		_exit(be_tracer(self, ready[1]));
	// Yama lets only descendants be traced, unless they say so.
	(void)prctl(PR_SET_PTRACER, child, 0, 0, 0);
	(void)close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return EXIT_FAILURE;
	(void)execve(argv[1], argv + 1, empty);
	perror(argv[1]);
	return EXIT_FAILURE;
}
