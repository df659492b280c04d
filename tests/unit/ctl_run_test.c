// `meshllm run` with fake daemons: what they are given, and every way in
// which they end.
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/process.h"
#include "tests/unit/folder.h"

enum { OUTPUT_MAX = 16384, RUN_MS = 60 * 1000 };

static const char fake[] = BUILD_DIR "/tests/unit/ctl_fake_daemon";
static const char meshllm[] = BUILD_DIR "/ctl/meshllm";
static char dir[] = "ctl_run_test.XXXXXX";
static char config_arg[300], dir_arg[300], state_arg[300];

struct run {
	pid_t pid;
	int out, err;
	char stdout_text[OUTPUT_MAX], stderr_text[OUTPUT_MAX];
	int status; // of waitpid
};

static struct run run;

static void
write_file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static const char *
read_report(const char *name)
{
	static char text[OUTPUT_MAX];
	char path[256];
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/%s.report", dir, name);
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	(void)fclose(f);
	return text;
}

static void
start(const char *const *more)
{
	char *argv[24];
	int out[2], err[2], n = 0;

	argv[n++] = (char[]){ "meshllm" };
	argv[n++] = (char[]){ "run" };
	argv[n++] = config_arg;
	argv[n++] = dir_arg;
	argv[n++] = state_arg;
	for (; *more != NULL; more++)
		argv[n++] = (char *)(uintptr_t)*more;
	argv[n] = NULL;
	memset(&run, 0, sizeof(run));
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(err), 0);
	run.pid = fork();
	assert_int_not_equal(run.pid, -1);
	if (run.pid == 0) {
		(void)dup2(out[1], 1);
		(void)dup2(err[1], 2);
		(void)execv(meshllm, argv);
		_exit(99);
	}
	(void)close(out[1]);
	(void)close(err[1]);
	run.out = out[0];
	run.err = err[0];
}

static bool
take(int fd, char *text)
{
	size_t len = strlen(text);
	ssize_t n = read(fd, text + len, OUTPUT_MAX - 1 - len);

	assert_true(n >= 0);
	return n > 0;
}

// Read until text was seen on standard output, or (NULL) both have ended.
static void
read_until(const char *text)
{
	uint64_t until = clock_mono_ms() + RUN_MS;
	bool out_open = true, err_open = true;

	while (out_open || err_open) {
		struct pollfd p[2] = { { out_open ? run.out : -1, POLLIN, 0 },
			{ err_open ? run.err : -1, POLLIN, 0 } };

		assert_true(clock_mono_ms() < until);
		if (poll(p, 2, 1000) <= 0)
			continue;
		if (p[0].revents != 0)
			out_open = take(run.out, run.stdout_text);
		if (p[1].revents != 0)
			err_open = take(run.err, run.stderr_text);
		if (text != NULL && strstr(run.stdout_text, text) != NULL)
			return;
	}
	assert_null(text);
}

static void
finish(void)
{
	read_until(NULL);
	assert_int_equal(waitpid(run.pid, &run.status, 0), run.pid);
	(void)close(run.out);
	(void)close(run.err);
	run.pid = 0;
}

static void
expect_exit(int status)
{
	if (!WIFEXITED(run.status) || WEXITSTATUS(run.status) != status)
		print_error("%s\n", run.stderr_text);
	assert_true(WIFEXITED(run.status));
	assert_int_equal(WEXITSTATUS(run.status), status);
}

static void
expect_said(const char *text)
{
	if (strstr(run.stderr_text, text) == NULL)
		fail_msg("\"%s\" is not in:\n%s", text, run.stderr_text);
}

static void
expect_reported(const char *name, const char *text)
{
	const char *report = read_report(name);

	if (strstr(report, text) == NULL)
		fail_msg("\"%s\" is not in:\n%s", text, report);
}

#define START(...) start((const char *const[]){ __VA_ARGS__, NULL })

static void
run_with_behaviour(const char *behaviour)
{
	write_file("behaviour", behaviour);
	START("--log-level=debug");
	finish();
}

static void
five_daemons_become_one_ready_line(void **state)
{
	static const char *const names[] = { "cryptod", "attestd-signer",
		"attestd-verifier", "gossipd", "proxyd" };
	char pid[64];

	(void)state;
	START("--log-level=debug");
	read_until("\n");
	assert_string_equal(run.stdout_text,
	    "ready id=abababababababababababababababababababababababababababab"
	    "abababab api=127.0.0.1:1 management=[::1]:2 mesh=127.0.0.1:3\n");
	(void)kill(run.pid, SIGTERM);
	finish();
	expect_exit(0);
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		expect_reported(names[i], "\nstop\n");
	(void)snprintf(pid, sizeof(pid), "\nprocess gossipd %d\n",
	    atoi(strstr(read_report("gossipd"), "\npid ") + 5));
	expect_reported("proxyd", pid);
	expect_reported("proxyd", "\nprocess meshllm ");
	expect_reported("proxyd", " items 5 images\n");
	expect_reported("gossipd", "\nposture 0 items 0 images\n");
}

static void
each_daemon_gets_its_own_and_nothing_else(void **state)
{
	(void)state;
	(void)setenv("SECRET_OF_THE_CALLER", "x", 1);
	(void)setenv("LD_LIBRARY_PATH", "/nonexistent", 1);
	write_file("config",
	    "[proxyd]\nbackend = http://127.0.0.1:1\n"
	    "[gossipd]\njoin = token1\njoin = token2\n"
	    "[meshllm]\nlog-level = warning\n");
	START("--api=127.0.0.1:0", "--mesh", "127.0.0.1:0",
	    "--require-attested-hosts=hardware");
	read_until("\n");
	(void)kill(run.pid, SIGINT);
	finish();
	expect_exit(0);
	write_file("config", "");
	expect_reported("proxyd",
	    "arg meshllm-proxyd\narg --log-level=warning\n"
	    "arg --api=127.0.0.1:0\narg --backend=http://127.0.0.1:1\n"
	    "arg --require-attested-hosts=hardware\nfds 0 1 2 3 4 5 6\n");
	expect_reported("gossipd",
	    "/gossipd\narg --log-level=warning\n"
	    "arg --mesh=127.0.0.1:0\narg --join=token1\n"
	    "arg --join=token2\nfds 0 1 2 3 4 5 6 7\n");
	expect_reported("cryptod",
	    "/cryptod\narg --log-level=warning\n"
	    "fds 0 1 2 3 4 5 6 7\n");
	expect_reported("attestd-signer", "arg --role=signer\n");
	expect_reported("attestd-signer", "\nfds 0 1 2 3 4 5\n");
	expect_reported("attestd-verifier", "\nfds 0 1 2 3 4\n");
	expect_reported("cryptod", "\ndeath-signal 9\nsession 1\n");
	assert_null(strstr(read_report("proxyd"), "env "));
}

static void
a_daemon_that_dies_ends_the_node_and_is_named(void **state)
{
	(void)state;
	run_with_behaviour("gossipd=later-abort\n");
	expect_exit(1);
	expect_said("error meshllm daemon-died daemon=gossipd pid=");
	expect_said("how=\"killed by SIGABRT\"\n");
	expect_reported("cryptod", "\nstop\n");
	run_with_behaviour("proxyd=later-exit\n");
	expect_exit(1);
	expect_said("daemon-died daemon=proxyd");
	expect_said("how=\"exit status 0\"");
}

static void
a_broken_sandbox_is_explained(void **state)
{
	(void)state;
	run_with_behaviour("attestd-verifier=later-sigsys\n");
	expect_exit(1);
	expect_said("daemon-died daemon=attestd-verifier");
	expect_said("SIGSYS: broke its sandbox");
}

static void
bad_options_of_a_daemon_are_bad_options_of_run(void **state)
{
	(void)state;
	run_with_behaviour("proxyd=exit-2\n");
	expect_exit(2);
	assert_string_equal(run.stdout_text, "");
}

static void
a_daemon_that_breaks_the_contract_ends_the_node(void **state)
{
	(void)state;
	run_with_behaviour("cryptod=short-id\n");
	expect_exit(1);
	expect_said("daemon-broke-contract daemon=cryptod");
	run_with_behaviour("gossipd=bad-address\n");
	expect_exit(1);
	expect_said("daemon-broke-contract daemon=gossipd");
	run_with_behaviour("proxyd=ready-twice\n");
	expect_exit(1);
	expect_said("daemon-broke-contract daemon=proxyd");
	run_with_behaviour("attestd-signer=close-channel\n");
	expect_exit(1);
	expect_said("daemon-silent daemon=attestd-signer");
}

static void
a_daemon_that_does_not_stop_is_killed(void **state)
{
	uint64_t before = clock_mono_ms();

	(void)state;
	write_file("behaviour", "proxyd=ignore-stop\n");
	START("--log-level=info");
	read_until("\n");
	(void)kill(run.pid, SIGTERM);
	finish();
	expect_exit(0);
	expect_said("warning meshllm daemon-killed daemon=proxyd");
	assert_true(clock_mono_ms() - before >= 4900);
	expect_reported("gossipd", "\nstop\n");
}

static void
a_second_signal_ends_the_wait(void **state)
{
	struct timespec shortly = { .tv_nsec = 300 * 1000 * 1000 };
	uint64_t before;

	(void)state;
	write_file("behaviour", "proxyd=ignore-stop\n");
	START("--log-level=info");
	read_until("\n");
	before = clock_mono_ms();
	(void)kill(run.pid, SIGINT);
	(void)nanosleep(&shortly, NULL);
	(void)kill(run.pid, SIGINT);
	finish();
	expect_exit(0);
	assert_true(clock_mono_ms() - before < 4900); // the wait is longer
}

static void
no_daemon_outlives_its_parent(void **state)
{
	pid_t pid;

	(void)state;
	START("--log-level=info");
	read_until("\n");
	pid = atoi(strstr(read_report("cryptod"), "\npid ") + 5);
	assert_int_equal(kill(pid, 0), 0);
	(void)kill(run.pid, SIGKILL);
	// Ends with the last daemon: they hold standard error.
	finish();
	assert_true(WIFSIGNALED(run.status));
}

static void
missing_daemons_and_bad_options_are_named(void **state)
{
	(void)state;
	(void)snprintf(dir_arg, sizeof(dir_arg), "--daemon-dir=/nonexistent");
	START("--log-level=info");
	finish();
	expect_exit(1);
	expect_said("daemon-not-found program=meshllm-cryptod");
	(void)snprintf(dir_arg, sizeof(dir_arg), "--daemon-dir=%s", dir);
	START("--api=localhost:1");
	finish();
	expect_exit(2);
	expect_said("meshllm run: --api: the value \"localhost:1\" is not "
		    "ADDR:PORT");
	START("--bakend=x");
	finish();
	expect_exit(2);
	expect_said("meshllm run: unknown option --bakend");
	START("--log-level=loud");
	finish();
	expect_exit(2);
	expect_said("--log-level: the value \"loud\" is not error");
	write_file("config", "[proxyd]\nbackends = x\n");
	START("--log-level=info");
	finish();
	expect_exit(2);
	expect_said("/config:2: unknown key \"backends\" in [proxyd]");
	write_file("config", "");
}

static void
a_state_folder_that_others_can_enter_is_refused(void **state)
{
	char path[256], other[280];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/bad", dir);
	(void)snprintf(other, sizeof(other), "%s/cryptod", path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(chmod(other, 0755), 0);
	(void)snprintf(state_arg, sizeof(state_arg), "--state-dir=%s", path);
	START("--log-level=info");
	finish();
	expect_exit(1);
	expect_said("bad/cryptod: others may enter it");
	assert_int_equal(rmdir(other), 0);
	assert_int_equal(symlink("/tmp", other), 0);
	START("--log-level=info");
	finish();
	expect_exit(1);
	expect_said("bad/cryptod: Not a directory");
	(void)snprintf(
	    state_arg, sizeof(state_arg), "--state-dir=/nonexistent/state");
	START("--log-level=info");
	finish();
	expect_exit(1);
	expect_said("state directory /nonexistent/state: No such file");
	(void)snprintf(
	    state_arg, sizeof(state_arg), "--state-dir=%s/state", dir);
}

static int
forget(void **state)
{
	char path[256];

	(void)state;
	if (run.pid > 0) {
		(void)kill(run.pid, SIGKILL);
		(void)waitpid(run.pid, NULL, 0);
	}
	(void)snprintf(path, sizeof(path), "%s/behaviour", dir);
	(void)unlink(path);
	return 0;
}

static int
make_folder(void **state)
{
	static const char *const programs[] = { "meshllm-cryptod",
		"meshllm-attestd", "meshllm-gossipd", "meshllm-proxyd" };
	char path[256];

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	for (size_t i = 0; i < N_ELEMENTS(programs); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, programs[i]);
		if (symlink(fake, path) == -1)
			return -1;
	}
	(void)snprintf(
	    config_arg, sizeof(config_arg), "--config=%s/config", dir);
	(void)snprintf(dir_arg, sizeof(dir_arg), "--daemon-dir=%s", dir);
	(void)snprintf(
	    state_arg, sizeof(state_arg), "--state-dir=%s/state", dir);
	write_file("config", "");
	return 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	return folder_remove(dir);
}

#define TEST(f) cmocka_unit_test_teardown(f, forget)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(five_daemons_become_one_ready_line),
		TEST(each_daemon_gets_its_own_and_nothing_else),
		TEST(a_daemon_that_dies_ends_the_node_and_is_named),
		TEST(a_broken_sandbox_is_explained),
		TEST(bad_options_of_a_daemon_are_bad_options_of_run),
		TEST(a_daemon_that_breaks_the_contract_ends_the_node),
		TEST(a_daemon_that_does_not_stop_is_killed),
		TEST(a_second_signal_ends_the_wait),
		TEST(no_daemon_outlives_its_parent),
		TEST(missing_daemons_and_bad_options_are_named),
		TEST(a_state_folder_that_others_can_enter_is_refused),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
