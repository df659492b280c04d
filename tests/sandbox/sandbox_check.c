// Tries a sandbox list on processes that may die of it.  What is expected is
// worked out from the list, not from the filter that was made of it.
#include "tests/sandbox/sandbox_check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cmocka.h>

#ifdef SANITIZERS
#include "tests/sandbox/sanitizers.h"
#endif

enum {
	CALLS_END = 512, // beyond the last number of any kernel so far
	PFC_MAX = 64 * 1024,
	SURVIVED = 33,
	NO_SANDBOX = 34,
	HANG_SECONDS = 30,
	X32_BIT = 0x40000000,
	// x86-64: only for the kernel's own trampolines, which no filter
	// sees; from elsewhere they end in SIGILL (Linux 6.11, 6.18).
	URETPROBE = 335,
	UPROBE = 336,
};

typedef void probe_fn(const struct sandbox_call *);

static void
make_call(const struct sandbox_call *c)
{
	(void)syscall(c->number, c->args[0], c->args[1], c->args[2], c->args[3],
	    c->args[4], c->args[5]);
}

static bool
holds_for_zero(const struct sandbox_rule *rule)
{
	for (unsigned i = 0; i < rule->n_args; i++) {
		const struct scmp_arg_cmp *c = &rule->args[i];

		if (c->op == SCMP_CMP_EQ && c->datum_a != 0)
			return false;
		if (c->op == SCMP_CMP_MASKED_EQ && c->datum_b != 0)
			return false;
	}
	return true;
}

static bool
stands_in(const struct sandbox_rule *rules, size_t n, long number)
{
	for (size_t i = 0; i < n; i++)
		if (rules[i].syscall == number && holds_for_zero(&rules[i]))
			return true;
	return false;
}

static bool
is_in_list(const struct sandbox_rule *rules, size_t n, long number)
{
#ifdef SANITIZERS
	if (stands_in(sanitizers_sandbox, sanitizers_n_sandbox, number))
		return true;
#endif
	return stands_in(rules, n, number);
}

// The list that only sanitizer builds add has this call, with any arguments.
static bool
is_of_sanitizers(const struct sandbox_call *c)
{
#ifdef SANITIZERS
	for (size_t i = 0; i < sanitizers_n_sandbox; i++)
		if (sanitizers_sandbox[i].syscall == c->number)
			return true;
#else
	(void)c;
#endif
	return false;
}

static int
run(const struct sandbox_rule *rules, size_t n, probe_fn *probe,
    const struct sandbox_call *call)
{
	struct rlimit none = { 0, 0 };
	bool may_exit = is_in_list(rules, n, SYS_exit_group);
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGSYS, SIG_DFL);
		(void)signal(SIGILL, SIG_DFL);
		(void)alarm(HANG_SECONDS);
		if (sandbox_enter(rules, n) < 0)
			_exit(NO_SANDBOX);
		probe(call);
		if (may_exit)
			(void)syscall(SYS_exit_group, SURVIVED);
		__builtin_trap(); // the end of those that may not exit
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == NO_SANDBOX);
	return status;
}

static bool
is_killed(const struct sandbox_rule *rules, size_t n, probe_fn *probe,
    const struct sandbox_call *call)
{
	int status = run(rules, n, probe, call);

	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

void
sandbox_check_all_calls(const struct sandbox_rule *rules, size_t n)
{
	for (long number = 0; number < CALLS_END; number++) {
		struct sandbox_call c = { .number = number };
		bool killed;

		if (number == URETPROBE || number == UPROBE)
			continue;
		killed = is_killed(rules, n, make_call, &c);
		if (killed == is_in_list(rules, n, number))
			fail_msg("system call %ld is %s", number,
			    killed ? "in the list, but kills"
				   : "not in the list, but does not kill");
	}
}

void
sandbox_check_killed(const struct sandbox_rule *rules, size_t n,
    const struct sandbox_call *calls, size_t n_calls)
{
	for (size_t i = 0; i < n_calls; i++)
		if (!is_of_sanitizers(&calls[i]) &&
		    !is_killed(rules, n, make_call, &calls[i]))
			fail_msg("%s does not kill", calls[i].name);
}

void
sandbox_check_allowed(const struct sandbox_rule *rules, size_t n,
    const struct sandbox_call *calls, size_t n_calls)
{
	for (size_t i = 0; i < n_calls; i++)
		if (is_killed(rules, n, make_call, &calls[i]))
			fail_msg("%s kills", calls[i].name);
}

#ifdef __x86_64__
static void
call_i386(const struct sandbox_call *c)
{
	long getpid_i386 = 20;

	(void)c;
	__asm__ volatile("int $0x80" : "+a"(getpid_i386) : : "memory");
}

static void
call_x32(const struct sandbox_call *c)
{
	(void)c;
	(void)syscall(X32_BIT | SYS_close, -1);
}
#endif

void
sandbox_check_other_abi(const struct sandbox_rule *rules, size_t n)
{
#ifdef __x86_64__
	int status = run(rules, n, call_i386, NULL);

	// A kernel without the old entry answers with SIGSEGV.
	assert_true(WIFSIGNALED(status));
	assert_true(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV);
	assert_true(is_killed(rules, n, call_x32, NULL));
#else
	(void)rules;
	(void)n;
	print_message("skipped: x86-64 only\n");
	skip();
#endif
}

void
sandbox_check_list(const struct sandbox_rule *rules, size_t n)
{
	static const int never[] = { SCMP_SYS(execve), SCMP_SYS(execveat),
		SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
		SCMP_SYS(process_vm_writev), SCMP_SYS(bpf),
		SCMP_SYS(io_uring_setup), SCMP_SYS(seccomp),
		SCMP_SYS(pidfd_getfd), SCMP_SYS(memfd_create), SCMP_SYS(fork),
		SCMP_SYS(vfork) };

	for (size_t i = 0; i < n; i++) {
		assert_non_null(rules[i].why);
		assert_true(strlen(rules[i].why) > 0);
		assert_true(rules[i].n_args <= SANDBOX_ARGS_MAX);
		for (size_t k = 0; k < N_ELEMENTS(never); k++)
			assert_int_not_equal(rules[i].syscall, never[k]);
		// mmap and mprotect only with their protection checked.
		if (rules[i].syscall == SCMP_SYS(mmap) ||
		    rules[i].syscall == SCMP_SYS(mprotect))
			assert_true(rules[i].n_args > 0);
		for (size_t k = 0; k < i; k++)
			assert_false(rules[k].syscall == rules[i].syscall &&
			    (rules[k].n_args == 0 || rules[i].n_args == 0));
	}
}

static size_t
read_all(int fd, char ret[static PFC_MAX])
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, ret + len, PFC_MAX - len)) > 0)
		len += (size_t)n;
	assert_int_equal(n, 0);
	assert_true(len < PFC_MAX);
	return len;
}

void
sandbox_check_reviewed(
    const struct sandbox_rule *rules, size_t n, const char *name)
{
	static char now[PFC_MAX], reviewed[PFC_MAX];
	char path[1024];
	AUTO_FD made = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	AUTO_FD file = -1;
	size_t len;

#ifndef __x86_64__
	print_message("skipped: the reviewed files are for x86-64\n");
	skip();
#endif
	(void)snprintf(path, sizeof(path), SANDBOX_DATA "/%s.pfc", name);
	assert_true(made >= 0);
	assert_int_equal(sandbox_export(rules, n, made), 0);
	assert_int_equal(lseek(made, 0, SEEK_SET), 0);
	len = read_all(made, now);
	if (getenv("UPDATE_PFC") != NULL) {
		file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		assert_int_equal(write(file, now, len), (ssize_t)len);
		return;
	}
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file == -1 || read_all(file, reviewed) != len ||
	    memcmp(now, reviewed, len) != 0)
		fail_msg("the filter is not the reviewed %s; run this test "
			 "with UPDATE_PFC=1, look at the difference and "
			 "commit it by itself",
		    path);
}
