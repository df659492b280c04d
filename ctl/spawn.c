// fork and exec.  The child gets its channels, standard error, a few
// variables; it must never get a descriptor, a signal disposition or a
// variable that is not named here, nor outlive us.
#include "ctl/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "common/environment.h"
#include "common/process.h"

enum { ENVIRONMENT_MAX = 16, FD_ASIDE = 64 };

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

extern char **environ;

static void
reset_signals(void)
{
	struct sigaction normal = { .sa_handler = SIG_DFL };
	sigset_t none;

	// Those of the C library cannot be set; nobody else has set them.
	for (int s = 1; s < NSIG; s++)
		(void)sigaction(s, &normal, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int
place_descriptors(const int *fds, size_t n)
{
	int aside[PROCESS_CHANNELS_MAX + 1];
	int null, next = PROCESS_PARENT_FD;

	if (n > N_ELEMENTS(aside))
		return -EINVAL;
	// First out of the way of the numbers they go to.
	for (size_t i = 0; i < n; i++) {
		aside[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FD_ASIDE);
		if (aside[i] == -1)
			return -errno;
	}
	if ((null = open("/dev/null", O_RDWR)) == -1 ||
	    dup2(null, STDIN_FILENO) == -1 || dup2(null, STDOUT_FILENO) == -1)
		return -errno;
	for (size_t i = 0; i < n; i++)
		if (dup2(aside[i], next++) == -1)
			return -errno;
	if (syscall(SYS_close_range, (unsigned)next, ~0u,
		CLOSE_RANGE_CLOEXEC) == -1)
		return -errno;
	return 0;
}

static void
become(const struct spawn *s, pid_t parent)
{
	char *environment[ENVIRONMENT_MAX];
	int r;

	reset_signals();
	// The terminal's ^C is for the parent, which says goodbye in order.
	(void)setsid();
	r = privilege_drop(s->privilege, s->daemon);
	// A change of user forgets it: so after that.
	if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		r = -errno;
	if (r == 0 && getppid() != parent)
		r = -ESRCH;
	if (r == 0)
		r = place_descriptors(s->fds, s->n_fds);
	if (r == 0) {
		environment_filter(environ, environment, ENVIRONMENT_MAX);
		(void)execve(s->path, s->argv, environment);
		r = -errno;
	}
	(void)dprintf(STDERR_FILENO, "meshllm: cannot run %s: %s\n", s->path,
	    strerrordesc_np(-r));
	_exit(SPAWN_NO_EXEC);
}

int
spawn(const struct spawn *s, pid_t *ret)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == -1)
		return -errno;
	if (pid == 0)
		become(s, parent);
	*ret = pid;
	return 0;
}
