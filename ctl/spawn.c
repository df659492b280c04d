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

#include "common/process.h"

enum { ENVIRONMENT_MAX = 16, FD_ASIDE = 64 };

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

extern char **environ;

// What a daemon may be told by whoever started us.
static const char *const allowed[] = {
	"GLIBC_TUNABLES", // malloc settings; the suite is tested under others
#ifdef SANITIZERS
	"ASAN_OPTIONS",
	"LSAN_OPTIONS",
	"UBSAN_OPTIONS",
#endif
};

static void
scrub_environment(char *ret[static ENVIRONMENT_MAX])
{
	size_t n = 0;

	for (char **e = environ; *e != NULL; e++)
		for (size_t i = 0; i < N_ELEMENTS(allowed); i++) {
			size_t len = strlen(allowed[i]);

			if (strncmp(*e, allowed[i], len) == 0 &&
			    (*e)[len] == '=' && n < ENVIRONMENT_MAX - 1)
				ret[n++] = *e;
		}
	ret[n] = NULL;
}

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
become(const char *path, char *const argv[], const int *fds, size_t n,
    pid_t parent)
{
	char *environment[ENVIRONMENT_MAX];
	int r = 0;

	reset_signals();
	// The terminal's ^C is for the parent, which says goodbye in order.
	(void)setsid();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		r = -errno;
	else if (getppid() != parent)
		r = -ESRCH;
	else
		r = place_descriptors(fds, n);
	if (r == 0) {
		scrub_environment(environment);
		(void)execve(path, argv, environment);
		r = -errno;
	}
	(void)dprintf(STDERR_FILENO, "meshllm: cannot run %s: %s\n", path,
	    strerrordesc_np(-r));
	_exit(SPAWN_NO_EXEC);
}

int
spawn(const char *path, char *const argv[], const int *fds, size_t n_fds,
    pid_t *ret)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == -1)
		return -errno;
	if (pid == 0)
		become(path, argv, fds, n_fds, parent);
	*ret = pid;
	return 0;
}
