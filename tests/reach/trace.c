// trace FOLDER PROGRAM...: runs a program and all that it starts, and writes
// to FOLDER/reached which lines of the filters of tests/reach/sandbox.c they
// came to.  It is their tracer and changes nothing that they do; with a file
// FOLDER/no-vdso they find no vDSO.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/reach/reach.h"
#include "tests/tools/vdso.h"

enum { HIGH_FD = 512 };

static bool is_known[REACH_IDS], has_no_vdso;

static void
note(int out, pid_t pid)
{
	unsigned long id;
	char line[8];

	if (ptrace(PTRACE_GETEVENTMSG, pid, NULL, &id) == -1 ||
	    id >= REACH_IDS || is_known[id])
		return;
	is_known[id] = true;
	(void)snprintf(line, sizeof(line), "%04lx\n", id);
	(void)!write(out, line, 5);
}

static void
let_go_on(pid_t pid, int status, int out)
{
	int signal = WSTOPSIG(status), event = status >> 16;

	if (event == PTRACE_EVENT_SECCOMP)
		note(out, pid);
	if (event == PTRACE_EVENT_EXEC && has_no_vdso && vdso_hide(pid) == -1)
		(void)kill(pid, SIGKILL);
	// A group stop ends with SIGCONT, not with us (ptrace(2)).
	if (event == PTRACE_EVENT_STOP && signal != SIGTRAP)
		(void)ptrace(PTRACE_LISTEN, pid, NULL, NULL);
	else
		(void)ptrace(PTRACE_CONT, pid, NULL,
		    (void *)(uintptr_t)(event != 0 ? 0 : signal));
}

static int
be_tracer(pid_t program, int ready, int out)
{
	unsigned long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK |
	    PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
	    PTRACE_O_EXITKILL;
	int status;
	pid_t pid;

	// Signals of the terminal or of the group are for the program.
	(void)setsid();
	if (ptrace(PTRACE_SEIZE, program, NULL, (void *)options) == -1 ||
	    write(ready, "", 1) != 1)
		return EXIT_FAILURE;
	(void)close(ready);
	while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR)
		if (pid > 0 && WIFSTOPPED(status))
			let_go_on(pid, status, out);
	return EXIT_SUCCESS;
}

static bool
is_there(const char *folder, const char *name)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

// Our place and number are the program's; a child traces it.
int
main(int argc, char *argv[])
{
	char path[PATH_MAX], byte;
	int ready[2], out;
	pid_t self = getpid(), child;

	if (argc < 3)
		return EXIT_FAILURE;
	(void)snprintf(path, sizeof(path), "%s/" REACH_FILE, argv[1]);
	has_no_vdso = is_there(argv[1], "no-vdso");
	out = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (out == -1 || pipe2(ready, O_CLOEXEC) == -1 ||
	    (child = fork()) == -1)
		return EXIT_FAILURE;
	if (child == 0) {
		// What it holds would keep pipes open when all have ended.
		ready[1] = fcntl(ready[1], F_DUPFD, HIGH_FD);
		out = fcntl(out, F_DUPFD, ready[1] + 1);
		for (int fd = 0; fd < ready[1]; fd++)
			(void)close(fd);
		_exit(be_tracer(self, ready[1], out));
	}
	// Yama lets only descendants be traced, unless they say so.
	(void)prctl(PR_SET_PTRACER, child, 0, 0, 0);
	(void)close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return EXIT_FAILURE;
	(void)execvp(argv[2], argv + 2);
	perror(argv[2]);
	return EXIT_FAILURE;
}
