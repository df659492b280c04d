// A guarded process that ends, stops and is attacked in every way that a
// daemon is.
#include "common/guard.h"

#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/process.h"
#include "tests/sandbox/sandbox_check.h"

enum { WAIT_MS = 30000, STEP_MS = 5, NOBODY = 65534 };

struct guarded {
	pid_t pid, guard;
};

static void
on_signal(int signal)
{
	_exit(signal == SIGUSR1 ? 41 : 42);
}

static void
become_nobody(void)
{
	if (setresgid(NOBODY, NOBODY, NOBODY) == -1 ||
	    setresuid(NOBODY, NOBODY, NOBODY) == -1 ||
	    prctl(PR_SET_DUMPABLE, 1) == -1)
		_exit(99);
}

_Noreturn static void
be_guarded(int out, bool as_nobody)
{
	pid_t guard;

	if (as_nobody)
		become_nobody();
	(void)signal(SIGUSR1, on_signal);
	(void)signal(SIGSYS, SIG_DFL); // cmocka has a handler
	if (guard_start(&guard) < 0 || process_harden() < 0)
		_exit(98);
	if (write(out, &guard, sizeof(guard)) != sizeof(guard))
		_exit(97);
	for (;;)
		(void)pause();
}

static struct guarded
start(bool as_nobody)
{
	struct guarded g;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	g.pid = fork();
	assert_int_not_equal(g.pid, -1);
	if (g.pid == 0)
		be_guarded(fds[1], as_nobody);
	close_fd(&fds[1]);
	assert_int_equal(
	    read(fds[0], &g.guard, sizeof(g.guard)), sizeof(g.guard));
	close_fd(&fds[0]);
	return g;
}

// The state letter of proc(5), or 0 when there is no such process.
static char
state_of(pid_t pid)
{
	char path[64], line[256];
	char state = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "State: %c", &state) == 1)
			break;
	(void)fclose(f);
	return state;
}

static void
wait_for_state(pid_t pid, const char *states)
{
	char state = 0;

	for (unsigned ms = 0; ms < WAIT_MS; ms += STEP_MS) {
		state = state_of(pid);
		if (state == 0 ? strchr(states, '0') != NULL
			       : strchr(states, state) != NULL)
			return;
		(void)poll(NULL, 0, STEP_MS);
	}
	fail_msg("process %d is in state %c, not in %s", pid, state, states);
}

static int
end_of(struct guarded g)
{
	int status = 0;

	for (unsigned ms = 0; ms < WAIT_MS; ms += STEP_MS) {
		if (waitpid(g.pid, &status, WNOHANG) == g.pid) {
			wait_for_state(g.guard, "0Z");
			return status;
		}
		(void)poll(NULL, 0, STEP_MS);
	}
	fail_msg("process %d did not end", g.pid);
	return -1;
}

static void
nobody_else_may_trace_either(void **state)
{
	(void)state;
	for (int as_nobody = 0; as_nobody < 2; as_nobody++) {
		struct guarded g;

		if (as_nobody == 1 && geteuid() != 0)
			continue;
		g = start(as_nobody == 1);
		assert_int_equal(ptrace(PTRACE_SEIZE, g.pid, NULL, NULL), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(ptrace(PTRACE_ATTACH, g.pid, NULL, NULL), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(ptrace(PTRACE_SEIZE, g.guard, NULL, NULL), -1);
		assert_int_equal(errno, EPERM);
		(void)kill(g.pid, SIGKILL);
		assert_true(WIFSIGNALED(end_of(g)));
	}
}

static void
a_killed_guard_takes_its_daemon_along(void **state)
{
	struct guarded g;
	int status;

	(void)state;
	g = start(false);
	(void)kill(g.guard, SIGKILL);
	status = end_of(g);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void
the_end_of_the_daemon_is_seen_as_it_was(void **state)
{
	static const int deaths[] = { SIGTERM, SIGABRT, SIGSYS, SIGKILL };
	struct guarded g;
	int status;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(deaths); i++) {
		g = start(false);
		(void)kill(g.pid, deaths[i]);
		status = end_of(g);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), deaths[i]);
		assert_false(WCOREDUMP(status));
	}
	g = start(false);
	(void)kill(g.pid, SIGUSR1); // its handler exits
	status = end_of(g);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 41);
}

static void
a_daemon_can_be_stopped_and_goes_on(void **state)
{
	struct guarded g;

	(void)state;
	g = start(false);
	for (size_t i = 0; i < 3; i++) {
		(void)kill(g.pid, SIGSTOP);
		wait_for_state(g.pid, "tT");
		(void)kill(g.pid, SIGCONT);
		wait_for_state(g.pid, "S");
	}
	(void)kill(g.pid, SIGUSR1);
	assert_int_equal(WEXITSTATUS(end_of(g)), 41);
}

static void
a_stopped_guard_holds_up_nobody(void **state)
{
	struct guarded g;

	(void)state;
	g = start(false);
	(void)kill(g.guard, SIGSTOP);
	wait_for_state(g.guard, "tT");
	assert_int_equal(ptrace(PTRACE_SEIZE, g.guard, NULL, NULL), -1);
	assert_int_equal(state_of(g.pid), 'S');
	(void)kill(g.pid, SIGKILL);
	assert_int_equal(WTERMSIG(end_of(g)), SIGKILL);
}

static void
signals_to_the_guard_do_nothing(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD,
		SIGUSR1, SIGQUIT, SIGALRM };
	struct guarded g;

	(void)state;
	g = start(false);
	for (size_t i = 0; i < N_ELEMENTS(signals); i++)
		(void)kill(g.guard, signals[i]);
	(void)poll(NULL, 0, 50);
	assert_int_equal(state_of(g.guard), 'S');
	(void)kill(g.pid, SIGUSR1);
	assert_int_equal(WEXITSTATUS(end_of(g)), 41);
}

static void
a_guard_holds_no_descriptor(void **state)
{
	char path[64];
	struct guarded g;
	struct dirent *e;
	DIR *d;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: only root may look into it\n");
		skip();
	}
	g = start(false);
	wait_for_state(g.guard, "S");
	(void)snprintf(path, sizeof(path), "/proc/%d/fd", g.guard);
	// It closes them after it said that it is there.
	for (unsigned ms = 0, n = 1; n != 0; ms += STEP_MS) {
		assert_true(ms < WAIT_MS);
		assert_non_null(d = opendir(path));
		for (n = 0; (e = readdir(d)) != NULL;)
			n += e->d_name[0] != '.';
		(void)closedir(d);
		(void)poll(NULL, 0, STEP_MS);
	}
	(void)kill(g.pid, SIGKILL);
	(void)end_of(g);
}

static void
a_process_that_is_traced_gets_no_guard(void **state)
{
	int begin[2], status;
	pid_t pid, guard;
	char byte;

	(void)state;
	assert_int_equal(pipe(begin), 0);
	pid = fork();
	if (pid == 0) {
		if (read(begin[0], &byte, 1) != 1)
			_exit(99);
		_exit(guard_start(&guard) == -EPERM ? 0 : 1);
	}
	assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
	assert_int_equal(write(begin[1], "", 1), 1);
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
		(void)ptrace(PTRACE_CONT, pid, NULL,
		    (void *)(uintptr_t)WSTOPSIG(status));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close_fd(&begin[0]);
	close_fd(&begin[1]);
}

static void
it_may_do_nothing_but_let_go_on(void **state)
{
	const struct sandbox_call calls[] = {
		{ "peek", SCMP_SYS(ptrace), { PTRACE_PEEKDATA } },
		{ "poke", SCMP_SYS(ptrace), { PTRACE_POKEDATA } },
		{ "registers", SCMP_SYS(ptrace), { PTRACE_GETREGSET } },
		{ "detach", SCMP_SYS(ptrace), { PTRACE_DETACH } },
		{ "options", SCMP_SYS(ptrace), { PTRACE_SETOPTIONS } },
		{ "syscalls", SCMP_SYS(ptrace), { PTRACE_SYSCALL } },
		{ "step", SCMP_SYS(ptrace), { PTRACE_SINGLESTEP } },
		{ "seize", SCMP_SYS(ptrace), { PTRACE_SEIZE } },
		{ "read memory", SCMP_SYS(process_vm_readv), { 0 } },
		{ "write", SCMP_SYS(write), { 2 } },
	};

	(void)state;
	sandbox_check_killed(
	    guard_sandbox, guard_n_sandbox, calls, N_ELEMENTS(calls));
	sandbox_check_all_calls(guard_sandbox, guard_n_sandbox);
	sandbox_check_other_abi(guard_sandbox, guard_n_sandbox);
	sandbox_check_reviewed(guard_sandbox, guard_n_sandbox, "guard");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_else_may_trace_either),
		cmocka_unit_test(a_killed_guard_takes_its_daemon_along),
		cmocka_unit_test(the_end_of_the_daemon_is_seen_as_it_was),
		cmocka_unit_test(a_daemon_can_be_stopped_and_goes_on),
		cmocka_unit_test(a_stopped_guard_holds_up_nobody),
		cmocka_unit_test(signals_to_the_guard_do_nothing),
		cmocka_unit_test(a_guard_holds_no_descriptor),
		cmocka_unit_test(a_process_that_is_traced_gets_no_guard),
		cmocka_unit_test(it_may_do_nothing_but_let_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
