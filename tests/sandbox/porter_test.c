// Two daemons' ends of their porters in one process, real doors in a folder,
// and callers that should not come in.
#include "common/porter.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/ipc.h"
#include "tests/sandbox/sandbox_check.h"

enum { WAIT_MS = 30000, SILENCE_MS = 300, NOBODY = 65534 };

static char dir[] = "/tmp/porter_test.XXXXXX";

static void
door_path(char ret[static PORTER_PATH_MAX])
{
	memset(ret, 0, PORTER_PATH_MAX);
	(void)snprintf(ret, PORTER_PATH_MAX, "%s/door", dir);
}

static int
listen_at_door(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd =
	    socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	door_path(at.sun_path);
	(void)unlink(at.sun_path);
	assert_return_code(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_return_code(chmod(at.sun_path, 0666), 0);
	assert_return_code(listen(fd, 8), 0);
	return fd;
}

static int
start_server(uid_t for_user)
{
	struct porter_door door = { .name = "test-door",
		.uid = for_user,
		.listening = listen_at_door() };
	int fd;

	assert_int_equal(porter_start(&door, 1, &fd), 0);
	return fd;
}

static int
start_caller(uid_t of_user)
{
	struct porter_door door = {
		.name = "test-door", .uid = of_user, .listening = -1
	};
	int fd;

	door_path(door.path);
	assert_int_equal(porter_start(&door, 1, &fd), 0);
	return fd;
}

static bool
comes(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static int
take(int porter)
{
	size_t door = 99;
	int channel = -1;

	assert_true(comes(porter, WAIT_MS));
	assert_int_equal(porter_take(porter, 1, &door, &channel), 0);
	assert_int_equal(door, 0);
	return channel;
}

static void
expect_nothing(int porter)
{
	size_t door;
	int channel;

	assert_false(comes(porter, SILENCE_MS));
	assert_int_equal(porter_take(porter, 1, &door, &channel), -EAGAIN);
}

// The porter ends when its daemon does.
static void
end(int porter)
{
	int status;

	(void)close(porter);
	assert_true(wait(&status) > 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
expect_joined(int a, int b)
{
	char text[8] = "";

	assert_int_equal(send(a, "hello", 5, 0), 5);
	assert_true(comes(b, WAIT_MS));
	assert_int_equal(recv(b, text, sizeof(text), 0), 5);
	assert_string_equal(text, "hello");
}

static void
both_sides_get_an_end_of_one_channel(void **state)
{
	int server = start_server(geteuid()), caller = start_caller(geteuid());
	int ours = take(server), theirs = take(caller);

	(void)state;
	expect_joined(ours, theirs);
	// No porter has kept an end of it.
	(void)close(ours);
	assert_int_equal(recv(theirs, &(char){ 0 }, 1, 0), 0);
	(void)close(theirs);
	end(caller);
	end(server);
}

// Of the same user, as the tunnels of gossipd are.
static void
descriptors_under_way_do_not_hold_it_up(void **state)
{
	enum { MANY = 200 };
	union {
		struct cmsghdr head;
		uint8_t bytes[CMSG_SPACE(MANY * sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(MANY * sizeof(int)),
			  .cmsg_level = SOL_SOCKET,
			  .cmsg_type = SCM_RIGHTS } };
	struct iovec one = { "", 1 };
	struct msghdr msg = { .msg_iov = &one,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	int pair[2], zeros[MANY] = { 0 };

	memcpy(CMSG_DATA(&control.head), zeros, sizeof(zeros));
	assert_return_code(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	assert_int_equal(sendmsg(pair[0], &msg, 0), 1);
	both_sides_get_an_end_of_one_channel(state);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void
a_lost_channel_comes_back(void **state)
{
	int server = start_server(geteuid()), caller = start_caller(geteuid());

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		int ours = take(server), theirs = take(caller);

		expect_joined(ours, theirs);
		(void)close(ours);
		(void)close(theirs);
		expect_nothing(caller); // unasked
		assert_int_equal(porter_knock(caller, 0), 0);
	}
	end(caller);
	end(server);
}

static void
a_door_that_is_not_there_yet_is_tried_again(void **state)
{
	int caller, server;
	char path[PORTER_PATH_MAX];

	(void)state;
	door_path(path);
	(void)unlink(path);
	caller = start_caller(geteuid());
	expect_nothing(caller);
	server = start_server(geteuid());
	(void)close(take(caller));
	(void)close(take(server));
	end(caller);
	end(server);
}

static void
a_new_server_finds_those_who_wait(void **state)
{
	int listening = listen_at_door(), caller = start_caller(geteuid());
	struct porter_door door = {
		.name = "test-door", .uid = geteuid(), .listening = listening
	};
	int server;

	(void)state;
	expect_nothing(caller);
	assert_int_equal(porter_start(&door, 1, &server), 0);
	(void)close(take(caller));
	(void)close(take(server));
	end(caller);
	end(server);
}

static void
need_root(void)
{
	if (geteuid() != 0) {
		print_message("skipped: only root can be other users\n");
		skip();
	}
}

// 0: came in.  Runs as a user of its own.
static int
come_as(uid_t uid)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct sockaddr_un at = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		static struct ipc_frame frame;

		door_path(at.sun_path);
		if (setresuid(uid, uid, uid) == -1 ||
		    connect(fd, (struct sockaddr *)&at, sizeof(at)) == -1)
			_exit(99);
		(void)comes(fd, WAIT_MS);
		_exit(ipc_receive(fd, &frame) == 0 && frame.fd != -1 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

// The kernel counts descriptors in flight per user: what else runs as this
// one can make a handover fail (ETOOMANYREFS), and a caller knocks again.
static int
come_again_as(uid_t uid)
{
	int r = 1;

	for (int i = 0; r != 0 && i < 50; i++) {
		if (i > 0)
			(void)usleep(100 * 1000);
		r = come_as(uid);
	}
	return r;
}

static void
only_the_doors_user_comes_in(void **state)
{
	int server;

	(void)state;
	need_root();
	server = start_server(NOBODY);
	for (uid_t uid = 0; uid < 3; uid++)
		assert_int_equal(come_as(uid), 1);
	expect_nothing(server);
	assert_int_equal(come_again_as(NOBODY), 0);
	(void)close(take(server));
	end(server);
}

static void
a_channel_of_another_user_is_not_taken(void **state)
{
	int server = start_server(geteuid());
	int caller = start_caller(geteuid() + 1);

	(void)state;
	expect_nothing(caller);
	end(caller);
	end(server);
}

static void
a_door_of_another_user_is_not_gone_through(void **state)
{
	int begin[2], listening, caller;
	pid_t owner;
	int status;

	(void)state;
	need_root();
	assert_return_code(chmod(dir, 0777), 0);
	assert_return_code(pipe(begin), 0);
	owner = fork();
	if (owner == 0) {
		if (setresuid(NOBODY, NOBODY, NOBODY) == -1)
			_exit(99);
		listening = listen_at_door();
		if (write(begin[1], "", 1) != 1)
			_exit(98);
		// Nobody must ever ask for anything.
		_exit(comes(listening, SILENCE_MS * 4) &&
			    accept(listening, NULL, NULL) != -1 &&
			    !comes(listening, SILENCE_MS)
			? 0
			: 1);
	}
	assert_int_equal(read(begin[0], &(char){ 0 }, 1), 1);
	caller = start_caller(NOBODY);
	expect_nothing(caller);
	assert_true(waitpid(owner, &status, 0) == owner);
	end(caller);
	(void)close(begin[0]);
	(void)close(begin[1]);
	assert_return_code(chmod(dir, 0755), 0);
}

static void
a_daemon_that_talks_nonsense_is_not_heard(void **state)
{
	int caller = start_caller(geteuid());
	int server = start_server(geteuid());

	(void)state;
	(void)close(take(caller));
	(void)close(take(server));
	assert_int_equal(porter_knock(caller, 7), 0);
	assert_int_equal(porter_knock(caller, 65535), 0);
	assert_int_equal(porter_knock(server, 0), 0); // that is a door
	expect_nothing(caller);
	expect_nothing(server);
	end(caller);
	end(server);
}

static void
a_porter_that_is_mad_is_noticed(void **state)
{
	struct ipc_header h = { .type = 1 };
	size_t door;
	int pair[2], channel;

	(void)state;
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	// Without a channel, with a door that is none, with too much.
	assert_int_equal(send(pair[0], &h, sizeof(h), 0), sizeof(h));
	assert_int_equal(ipc_send(pair[0], (uint8_t *)&h, sizeof(h), 0), 0);
	assert_int_equal(send(pair[0], "123456789", 9, 0), 9);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(
		    porter_take(pair[1], 1, &door, &channel), -EPROTO);
	(void)close(pair[0]);
	assert_int_equal(porter_take(pair[1], 1, &door, &channel), -EPIPE);
	(void)close(pair[1]);
}

static void
it_may_do_nothing_but_hand_channels_over(void **state)
{
	static char path[] = "/dev/null";
	enum { QUIET = SOCK_CLOEXEC | SOCK_NONBLOCK };
	const struct sandbox_call calls[] = {
		{ "open", SCMP_SYS(openat), { AT_FDCWD, (long)path } },
		{ "bind", SCMP_SYS(bind), { 0 } },
		{ "listen", SCMP_SYS(listen), { 0 } },
		{ "tcp", SCMP_SYS(socket), { AF_INET, SOCK_STREAM | QUIET } },
		{ "stream", SCMP_SYS(socket),
		    { AF_UNIX, SOCK_STREAM | QUIET } },
		{ "datagram", SCMP_SYS(socket),
		    { AF_UNIX, SOCK_DGRAM | QUIET } },
		{ "accept with an address", SCMP_SYS(accept4),
		    { 0, (long)path, (long)path, QUIET } },
		{ "accept that is inherited", SCMP_SYS(accept4), { 0 } },
		{ "stream pair", SCMP_SYS(socketpair),
		    { AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC } },
		{ "another option", SCMP_SYS(getsockopt),
		    { 0, SOL_SOCKET, SO_PEERSEC } },
		{ "set an option", SCMP_SYS(setsockopt),
		    { 0, SOL_SOCKET, SO_PASSCRED } },
		{ "read", SCMP_SYS(read), { 0 } },
		{ "write to 1", SCMP_SYS(write), { 1 } },
		{ "fork", SCMP_SYS(fork), { 0 } },
		{ "execve", SCMP_SYS(execve), { (long)path } },
		{ "ptrace", SCMP_SYS(ptrace), { PTRACE_ATTACH } },
		{ "read memory", SCMP_SYS(process_vm_readv), { 0 } },
		{ "kill", SCMP_SYS(kill), { 1 } },
		{ "mmap", SCMP_SYS(mmap), { 0 } },
	};

	(void)state;
	sandbox_check_killed(
	    porter_sandbox, porter_n_sandbox, calls, N_ELEMENTS(calls));
	sandbox_check_other_abi(porter_sandbox, porter_n_sandbox);
	sandbox_check_list(porter_sandbox, porter_n_sandbox);
	sandbox_check_reviewed(porter_sandbox, porter_n_sandbox, "porter");
}

static int
setup(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL || chmod(dir, 0755) == -1 ? -1 : 0;
}

static int
teardown(void **state)
{
	char path[PORTER_PATH_MAX];

	(void)state;
	door_path(path);
	(void)unlink(path);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_get_an_end_of_one_channel),
		cmocka_unit_test(descriptors_under_way_do_not_hold_it_up),
		cmocka_unit_test(a_lost_channel_comes_back),
		cmocka_unit_test(a_door_that_is_not_there_yet_is_tried_again),
		cmocka_unit_test(a_new_server_finds_those_who_wait),
		cmocka_unit_test(only_the_doors_user_comes_in),
		cmocka_unit_test(a_channel_of_another_user_is_not_taken),
		cmocka_unit_test(a_door_of_another_user_is_not_gone_through),
		cmocka_unit_test(a_daemon_that_talks_nonsense_is_not_heard),
		cmocka_unit_test(a_porter_that_is_mad_is_noticed),
		cmocka_unit_test(it_may_do_nothing_but_hand_channels_over),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
