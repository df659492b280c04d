// The guard and the daemon trace each other.  Neither trusts a debugger to ask
// first.  The guard must never do more than let a stopped daemon go on, and
// must never hold a descriptor or a byte of a key.
#include "common/guard.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/landlock.h"
#include "common/log.h"
#include "common/process.h"

// clang-format off
const struct sandbox_rule guard_sandbox[] = {
	ALLOW(wait4,		"wait for the daemon's next stop, or its end"),
	ALLOW_ARG(ptrace, 0, PTRACE_CONT, "hand a signal on to the daemon"),
	ALLOW_ARG(ptrace, 0, PTRACE_LISTEN, "leave it stopped by SIGSTOP"),
};
// clang-format on
const size_t guard_n_sandbox = N_ELEMENTS(guard_sandbox);

static int
seize(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, NULL,
		(void *)(uintptr_t)PTRACE_O_EXITKILL) == -1)
		return -errno;
	return 0;
}

// ---- the guard

static void
let_go_on(pid_t daemon, int status)
{
	int signal = WSTOPSIG(status);
	bool is_event = status >> 16 == PTRACE_EVENT_STOP;

	// A group stop ends with SIGCONT, not with us (ptrace(2)).
	if (is_event && signal != SIGTRAP)
		(void)ptrace(PTRACE_LISTEN, daemon, NULL, NULL);
	else
		(void)ptrace(PTRACE_CONT, daemon, NULL,
		    (void *)(uintptr_t)(is_event ? 0 : signal));
}

_Noreturn static void
watch(pid_t daemon)
{
	int status;

	while (waitpid(daemon, &status, __WALL) == daemon)
		if (WIFSTOPPED(status))
			let_go_on(daemon, status);
		else
			break;
	// Not reached: the daemon is our tracer too, and its end is ours.
	_exit(EXIT_FAILURE);
}

// Signals are for the daemon.  SIGCHLD above all: a stop for it would have to
// be answered by a daemon that is stopped itself.
static void
block_signals(int signal)
{
	sigset_t set;

	if (signal == 0) {
		(void)sigfillset(&set);
	} else {
		(void)sigemptyset(&set);
		(void)sigaddset(&set, signal);
	}
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static int
guard_confine(void)
{
	static const struct landlock_policy nothing = { 0 };
	int r, abi;

	(void)prctl(PR_SET_NAME, "meshllm-guard");
	if ((r = process_harden()) < 0 || (r = process_confine()) < 0)
		return r;
	// A kernel without it is told about by the daemon.
	r = landlock_enter(&nothing, &abi);
	return r == -ENOSYS || r == -EOPNOTSUPP ? 0 : r;
}

// Told to begin when the daemon has seized us; answers when we have it.
_Noreturn static void
guard(pid_t daemon, int begin, int done)
{
	char byte;
	int r;

	block_signals(0);
	if (read(begin, &byte, 1) != 1)
		_exit(EXIT_FAILURE);
	if ((r = seize(daemon)) == 0)
		r = guard_confine();
	if (write(done, &r, sizeof(r)) != sizeof(r) || r < 0 ||
	    syscall(SYS_close_range, 0, ~0u, 0) == -1 ||
	    sandbox_enter(guard_sandbox, guard_n_sandbox) < 0)
		_exit(EXIT_FAILURE);
	watch(daemon);
}

// ---- the daemon

static int
agree(pid_t pid, int begin, int done)
{
	int r, answer;

	// Yama lets only descendants be traced, unless they say so; without
	// Yama there is no such call.
	(void)prctl(PR_SET_PTRACER, pid, 0, 0, 0);
	if ((r = seize(pid)) < 0)
		return r;
	if (write(begin, "", 1) != 1 ||
	    read(done, &answer, sizeof(answer)) != sizeof(answer))
		return -EPIPE;
	return answer;
}

int
guard_start(pid_t *ret_guard)
{
	int begin[2], done[2], r;
	pid_t self = getpid(), pid;

	if (pipe2(begin, O_CLOEXEC) == -1)
		return -errno;
	if (pipe2(done, O_CLOEXEC) == -1) {
		r = -errno;
		close_fd(&begin[0]);
		close_fd(&begin[1]);
		return r;
	}
	block_signals(SIGCHLD);
	pid = fork();
	r = pid == -1 ? -errno : 0;
	if (pid == 0) {
		close_fd(&begin[1]);
		close_fd(&done[0]);
		guard(self, begin[0], done[1]);
	}
	close_fd(&begin[0]);
	close_fd(&done[1]);
	if (r == 0)
		r = agree(pid, begin[1], done[0]);
	close_fd(&begin[1]); // one that still waits to begin ends
	close_fd(&done[0]);
	if (r < 0 && pid > 0)
		(void)waitpid(pid, NULL, __WALL);
	if (r == 0)
		*ret_guard = pid;
	return r;
}

// Our tracer as the kernel names it, 0: none, or not to be found out.
static pid_t
find_tracer(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	int tracer = 0;

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "TracerPid:", 10) == 0)
			tracer = (int)strtol(line + 10, NULL, 10);
	(void)fclose(f);
	return tracer;
}

#ifdef UNCONFINED
static const char *const is_unconfined = UNCONFINED;
#else
static const char *const is_unconfined = NULL;
#endif

bool
guard_start_or_die(void)
{
	pid_t pid = 0;
	int r;

	if (is_unconfined != NULL) {
		LOG(LOG_WARNING, "guard-off", F("reason", is_unconfined));
		return false;
	}

	if (find_tracer() != 0)
		fatal("a debugger is attached", -EPERM);
	if ((r = guard_start(&pid)) < 0) {
		LOG(LOG_WARNING, "guard-off", F("error", log_error(r)));
		return false;
	}
	if (find_tracer() != pid)
		fatal("guard", -EPERM);
	LOG(LOG_INFO, "guarded", F("by", pid));
	return true;
}
