// What every daemon does with what it was started with: variables, limits,
// its name.  Looked at from outside, as root, in the running process.
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "tests/sandbox/daemon.h"
#include "tests/unit/folder.h"

enum { WAIT_MS = 30000, STEP_MS = 10 };

static char dir[] = "/tmp/start_test.XXXXXX";

static const struct {
	const char *program;
	size_t n_channels;
	const char *args[6];
	uint64_t descriptors;
} daemons[] = {
	{ "meshllm-cryptod", 4, { "--state-dir", dir }, 32 },
	{ "meshllm-attestd", 2, { "--role=signer" }, 320 },
	{ "meshllm-attestd", 1, { "--role=verifier" }, 320 },
	{ "meshllm-gossipd", 4, { "--state-dir", dir, "--mesh", "127.0.0.1:0" },
	    16384 },
	{ "meshllm-proxyd", 3,
	    { "--api", "127.0.0.1:0", "--management", "127.0.0.1:0" }, 32768 },
};

static void
start(struct daemon *d, size_t i, const char *const *environment)
{
	static char program[256];
	char *argv[8] = { (char *)(uintptr_t)daemons[i].program };
	struct daemon_options o = { .program = program,
		.argv = argv,
		.n_channels = daemons[i].n_channels,
		.environment = environment };

	(void)snprintf(
	    program, sizeof(program), BUILD_DIR "/%s", daemons[i].program);
	for (size_t k = 0; k < N_ELEMENTS(daemons[i].args); k++)
		argv[1 + k] = (char *)(uintptr_t)daemons[i].args[k];
	daemon_start(d, &o);
}

static void
stop(struct daemon *d)
{
	(void)kill(d->pid, SIGKILL);
	(void)daemon_wait(d);
}

static void
read_proc(pid_t pid, const char *name, char *ret, size_t size)
{
	char path[64];
	AUTO_FD fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd == -1 ? -1 : read(fd, ret, size - 1);
	if (n < 0) // gone
		n = 0;
	ret[n] = '\0';
}

// gossipd confines itself only after cryptod's first answers, but limits
// itself before that, as all do.
static void
wait_until_limited(pid_t pid)
{
	struct rlimit limit;

	for (unsigned ms = 0; ms < WAIT_MS; ms += STEP_MS) {
		assert_int_equal(prlimit(pid, RLIMIT_NPROC, NULL, &limit), 0);
		if (limit.rlim_max == 0)
			return;
		(void)poll(NULL, 0, STEP_MS);
	}
	fail_msg("process %d did not start", pid);
}

static void
need_root(void)
{
	if (geteuid() != 0) {
		print_message("skipped: only root may look into them\n");
		skip();
	}
}

// What a process has in this file is that, now or soon.
static void
expect_soon(pid_t pid, const char *name, const char *expected)
{
	char text[4096];

	for (unsigned ms = 0; ms < WAIT_MS; ms += STEP_MS) {
		read_proc(pid, name, text, sizeof(text));
		if (strcmp(text, expected) == 0)
			return;
		(void)poll(NULL, 0, STEP_MS);
	}
	fail_msg("%s of process %d is still %s", name, pid, text);
}

static void
no_variable_reaches_a_daemon(void **state)
{
	static const char *const dirty[] = { "LD_LIBRARY_PATH=/nonexistent",
		"LD_BIND_NOT=1", "GCONV_PATH=/tmp", "MALLOC_PERTURB_=85",
		"GLIBC_TUNABLES=glibc.malloc.check=3",
		"OPENSSL_CONF=/nonexistent", "GNUTLS_DEBUG_LEVEL=9",
		"GNUTLS_SYSTEM_PRIORITY_FILE=/nonexistent",
		"EVENT_SHOW_METHOD=1", "SSLKEYLOGFILE=/tmp/keys", "TZ=:/x",
		"PATH=/bin", "HOME=/root", "UNHEARD_OF=1", NULL };

	(void)state;
	need_root();
	for (size_t i = 0; i < N_ELEMENTS(daemons); i++) {
		struct daemon d;
		char comm[32];

		start(&d, i, dirty);
		expect_soon(d.pid, "environ", "");
		// It takes its name back after it ran itself again as "exe".
		(void)snprintf(comm, sizeof(comm), "%s\n", daemons[i].program);
		expect_soon(d.pid, "comm", comm);
		stop(&d);
	}
}

static void
expect_limit(pid_t pid, __rlimit_resource_t resource, uint64_t most)
{
	struct rlimit limit;

	assert_int_equal(prlimit(pid, resource, NULL, &limit), 0);
	assert_true(limit.rlim_max <= most);
	assert_int_equal(limit.rlim_cur, limit.rlim_max);
}

static void
a_daemon_is_limited_before_it_serves(void **state)
{
	static const char *const clean[] = { NULL };

	(void)state;
	need_root();
	for (size_t i = 0; i < N_ELEMENTS(daemons); i++) {
		struct daemon d;
		struct rlimit limit;

		start(&d, i, clean);
		wait_until_limited(d.pid);
		expect_limit(d.pid, RLIMIT_NOFILE, daemons[i].descriptors);
		expect_limit(d.pid, RLIMIT_NPROC, 0);
#ifndef SANITIZERS
		expect_limit(d.pid, RLIMIT_DATA, (uint64_t)4 << 30);
#endif
		// 1 and not 0: a piped core_pattern heeds it (core(5)).
		assert_int_equal(prlimit(d.pid, RLIMIT_CORE, NULL, &limit), 0);
		assert_int_equal(limit.rlim_max, 1);
		stop(&d);
	}
}

static int
setup(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	return folder_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_variable_reaches_a_daemon),
		cmocka_unit_test(a_daemon_is_limited_before_it_serves),
	};

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
