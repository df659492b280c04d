// What Landlock takes away, tried in a child that has no seccomp filter: the
// kernel must say EACCES or EPERM where it said yes before.
#include "common/landlock.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/process.h"
#include "common/sandbox.h"

static char dir[] = "/tmp/landlock_test.XXXXXX";
static char file[64], other[64];
static int listening, abstract;
static uint16_t listening_port;
static pid_t parent;

// ---- probes: 0, or the errno

static int
errno_of(int result)
{
	if (result == -1)
		return errno;
	return 0;
}

static int
open_with(const char *path, int flags)
{
	AUTO_FD fd = open(path, flags | O_CLOEXEC, 0600);

	return errno_of(fd);
}

static int
reads_a_file(void)
{
	return open_with(file, O_RDONLY);
}

static int
writes_a_file(void)
{
	return open_with(file, O_WRONLY);
}

static int
makes_a_file(void)
{
	return open_with(other, O_WRONLY | O_CREAT | O_EXCL);
}

static int
lists_a_folder(void)
{
	return open_with("/", O_RDONLY | O_DIRECTORY);
}

static int
opens_a_device(void)
{
	return open_with("/dev/null", O_RDWR);
}

static int
opens_memory_of_another(void)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", parent);
	return open_with(path, O_RDONLY);
}

static int
truncates_a_file(void)
{
	return errno_of(truncate(file, 0));
}

static int
makes_a_folder(void)
{
	return errno_of(mkdir(other, 0700));
}

static int
links_a_file(void)
{
	return errno_of(symlink("x", other));
}

static int
removes_a_file(void)
{
	return errno_of(unlink(file));
}

static int
renames_a_file(void)
{
	return errno_of(rename(file, other));
}

static int
makes_a_socket_file(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(a.sun_path, other, strlen(other) + 1);
	return errno_of(bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

static int
runs_a_program(void)
{
	char program[] = "/bin/true";
	char *argv[] = { program, NULL };

	return errno_of(execv(program, argv));
}

static struct sockaddr_in
loopback(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(port) };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static int
binds_tcp(void)
{
	AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = loopback(0);

	return errno_of(bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

static int
connects_tcp(void)
{
	AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = loopback(listening_port);

	return errno_of(connect(fd, (struct sockaddr *)&a, sizeof(a)));
}

static struct sockaddr_un
abstract_address(socklen_t *ret_len)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int n = snprintf(
	    a.sun_path + 1, sizeof(a.sun_path) - 1, "landlock_test.%d", parent);

	*ret_len = (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 +
	    (socklen_t)n;
	return a;
}

static int
connects_an_abstract_socket(void)
{
	AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len;
	struct sockaddr_un a = abstract_address(&len);

	return errno_of(connect(fd, (struct sockaddr *)&a, len));
}

static int
signals_the_parent(void)
{
	return errno_of(kill(parent, 0));
}

// ---- the harness

// Errno of the probe in a child under the policy, or without any.
static int
try_it(int (*probe)(void), const struct landlock_policy *policy)
{
	int status, abi = 0;
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		if (policy != NULL &&
		    (process_confine() < 0 || landlock_enter(policy, &abi) < 0))
			_exit(255);
		_exit(probe());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
need(int abi)
{
	if (landlock_kernel_abi() < abi) {
		print_message("needs Landlock %d, this kernel has %d\n", abi,
		    landlock_kernel_abi());
		skip();
	}
}

// Old profiles of container managers answer so for calls they do not know.
static int
enters_where_a_filter_says_eperm(void)
{
	const struct landlock_policy none = { 0 };
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int abi;

	if (filter == NULL ||
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM),
		SCMP_SYS(landlock_create_ruleset), 0) < 0 ||
	    process_confine() < 0 || seccomp_load(filter) < 0)
		return 255;
	if (landlock_enter_or_die(&none))
		return 254;
	return -landlock_enter(&none, &abi);
}

static void
a_container_that_hides_it_is_a_kernel_without(void **state)
{
	(void)state;
	assert_int_equal(
	    try_it(enters_where_a_filter_says_eperm, NULL), ENOSYS);
}

static void
nothing_of_the_file_system_is_left(void **state)
{
	static const struct {
		int abi;
		int (*probe)(void);
	} probes[] = {
		{ 1, reads_a_file },
		{ 1, writes_a_file },
		{ 1, makes_a_file },
		{ 1, lists_a_folder },
		{ 1, opens_a_device },
		{ 1, opens_memory_of_another },
		{ 1, makes_a_folder },
		{ 1, links_a_file },
		{ 1, makes_a_socket_file },
		{ 1, runs_a_program },
		{ 3, truncates_a_file },
		{ 1, renames_a_file },
		{ 1, removes_a_file },
	};
	const struct landlock_policy none = { 0 };

	(void)state;
	need(1);
	for (size_t i = 0; i < N_ELEMENTS(probes); i++) {
		if (landlock_kernel_abi() < probes[i].abi)
			continue;
		assert_int_equal(try_it(probes[i].probe, &none), EACCES);
	}
	// They say no because of Landlock: without it all succeed.
	assert_int_equal(try_it(reads_a_file, NULL), 0);
	assert_int_equal(try_it(truncates_a_file, NULL), 0);
	assert_int_equal(try_it(lists_a_folder, NULL), 0);
	assert_int_equal(try_it(opens_a_device, NULL), 0);
}

static void
a_folder_that_is_named_can_be_read_and_not_written(void **state)
{
	const struct landlock_path paths[] = { { dir, false } };
	const struct landlock_policy policy = { .paths = paths, .n_paths = 1 };

	(void)state;
	need(1);
	assert_int_equal(try_it(reads_a_file, &policy), 0);
	assert_int_equal(try_it(writes_a_file, &policy), EACCES);
	assert_int_equal(try_it(makes_a_file, &policy), EACCES);
	assert_int_equal(try_it(lists_a_folder, &policy), EACCES);
	assert_int_equal(try_it(removes_a_file, &policy), EACCES);
}

static char inner[64], inner_file[80];

static int
replaces_an_inner_file(void)
{
	char beside[96];
	int r;

	(void)snprintf(beside, sizeof(beside), "%s.new", inner_file);
	r = open_with(beside, O_WRONLY | O_CREAT | O_EXCL);
	return r != 0 ? r : errno_of(rename(beside, inner_file));
}

static int
moves_an_inner_file_out(void)
{
	return errno_of(rename(inner_file, file));
}

// As attestd's verifier has it: the folder to read, one in it to write.
static void
a_folder_in_a_folder_can_be_written_alone(void **state)
{
	const struct landlock_path paths[] = { { dir, false },
		{ inner, true } };
	const struct landlock_policy policy = { .paths = paths, .n_paths = 2 };

	(void)state;
	need(1);
	(void)snprintf(inner, sizeof(inner), "%s/inner", dir);
	(void)snprintf(inner_file, sizeof(inner_file), "%s/inner/file", dir);
	assert_int_equal(mkdir(inner, 0700), 0);
	assert_int_equal(try_it(reads_a_file, &policy), 0);
	assert_int_equal(try_it(writes_a_file, &policy), EACCES);
	assert_int_equal(try_it(makes_a_file, &policy), EACCES);
	assert_int_equal(try_it(removes_a_file, &policy), EACCES);
	assert_int_equal(try_it(replaces_an_inner_file, &policy), 0);
	assert_int_equal(try_it(replaces_an_inner_file, &policy), 0);
	// Out of it, over a decision.
	assert_int_equal(try_it(moves_an_inner_file_out, &policy), EACCES);
	assert_int_equal(unlink(inner_file), 0);
	assert_int_equal(rmdir(inner), 0);
}

static void
a_device_that_is_named_can_be_opened_alone(void **state)
{
	const struct landlock_path paths[] = { { "/dev/null", true } };
	const struct landlock_policy policy = { .paths = paths, .n_paths = 1 };

	(void)state;
	need(1);
	assert_int_equal(try_it(opens_a_device, &policy), 0);
	assert_int_equal(try_it(reads_a_file, &policy), EACCES);
}

static void
a_path_that_is_not_there_is_an_error(void **state)
{
	const struct landlock_path paths[] = { { "/nonexistent", false } };
	const struct landlock_policy policy = { .paths = paths, .n_paths = 1 };
	int abi;

	(void)state;
	need(1);
	assert_int_equal(landlock_enter(&policy, &abi), -ENOENT);
}

static void
tcp_is_for_the_named_ports_only(void **state)
{
	const struct landlock_policy none = { 0 };
	const struct landlock_policy one = { .connect_ports = &listening_port,
		.n_connect_ports = 1 };

	(void)state;
	need(4);
	assert_int_equal(try_it(connects_tcp, NULL), 0);
	assert_int_equal(try_it(binds_tcp, NULL), 0);
	assert_int_equal(try_it(connects_tcp, &none), EACCES);
	assert_int_equal(try_it(binds_tcp, &none), EACCES);
	assert_int_equal(try_it(connects_tcp, &one), 0);
	assert_int_equal(try_it(binds_tcp, &one), EACCES);
}

static void
abstract_sockets_and_signals_do_not_reach_others(void **state)
{
	const struct landlock_policy none = { 0 };

	(void)state;
	need(6);
	assert_int_equal(try_it(connects_an_abstract_socket, NULL), 0);
	assert_int_equal(try_it(signals_the_parent, NULL), 0);
	assert_int_equal(try_it(connects_an_abstract_socket, &none), EPERM);
	assert_int_equal(try_it(signals_the_parent, &none), EPERM);
}

static int
listen_on_tcp(void)
{
	struct sockaddr_in a = loopback(0);
	socklen_t len = sizeof(a);

	listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listening, (struct sockaddr *)&a, len) == -1 ||
	    listen(listening, 16) == -1 ||
	    getsockname(listening, (struct sockaddr *)&a, &len) == -1)
		return -1;
	listening_port = ntohs(a.sin_port);
	return 0;
}

static int
listen_on_abstract(void)
{
	socklen_t len;
	struct sockaddr_un a = abstract_address(&len);

	abstract = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(abstract, (struct sockaddr *)&a, len) == -1)
		return -1;
	return listen(abstract, 16);
}

static int
setup(void **state)
{
	(void)state;
	parent = getpid();
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(file, sizeof(file), "%s/file", dir);
	(void)snprintf(other, sizeof(other), "%s/other", dir);
	if (open_with(file, O_WRONLY | O_CREAT) != 0)
		return -1;
	return listen_on_tcp() == -1 ? -1 : listen_on_abstract();
}

static int
teardown(void **state)
{
	(void)state;
	close_fd(&listening);
	close_fd(&abstract);
	(void)unlink(file);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_container_that_hides_it_is_a_kernel_without),
		cmocka_unit_test(nothing_of_the_file_system_is_left),
		cmocka_unit_test(
		    a_folder_that_is_named_can_be_read_and_not_written),
		cmocka_unit_test(a_folder_in_a_folder_can_be_written_alone),
		cmocka_unit_test(a_device_that_is_named_can_be_opened_alone),
		cmocka_unit_test(a_path_that_is_not_there_is_an_error),
		cmocka_unit_test(tcp_is_for_the_named_ports_only),
		cmocka_unit_test(
		    abstract_sockets_and_signals_do_not_reach_others),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
