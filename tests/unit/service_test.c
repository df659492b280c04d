// What systemd may give a daemon and what it may not, and what it is told
// back.  Each start is a process of its own, with descriptors 3, 4, ...
#include "common/service.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/leaving.h"
#include "common/log.h"
#include "common/loop.h"

enum { WAIT_MS = 30000, LISTEN_FIRST = 3 };

static char dir[] = "/tmp/service_test.XXXXXX";

// Users that every machine has; none of them is who runs this.
static const struct service_door doors[] = {
	{ "test-one", "daemon", "one", .is_ours = true },
	{ "test-two", "bin", "two", .is_ours = true },
	{ "test-three", "sys", "three" },
};

struct given {
	const char *names; // LISTEN_FDNAMES
	const char *n;	   // LISTEN_FDS
	const char *pid;   // LISTEN_PID; NULL: the right one
	int type;	   // of the sockets; 0: SOCK_SEQPACKET
	bool is_silent;	   // they do not listen
	const char *notify, *watchdog;
	const struct service_door *doors; // NULL: those above
	size_t n_doors;
	uid_t uid; // to run as, if root runs this; 0: stay
};

static int
make_socket(const struct given *g, unsigned i)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, g->type != 0 ? g->type : SOCK_SEQPACKET, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/%u", dir, i);
	(void)unlink(at.sun_path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    (!g->is_silent && g->type != SOCK_DGRAM && listen(fd, 4) == -1))
		_exit(99);
	return fd;
}

static void
give(const struct given *g)
{
	unsigned n = g->n == NULL ? 0 : (unsigned)(g->n[0] - '0');
	int fds[8];
	char pid[16];

	for (unsigned i = 0; i < n; i++)
		fds[i] = fcntl(make_socket(g, i), F_DUPFD, 64);
	for (unsigned i = 0; i < n; i++)
		if (dup2(fds[i], LISTEN_FIRST + (int)i) == -1)
			_exit(99);
	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	(void)clearenv();
	if (g->names != NULL)
		(void)setenv("LISTEN_FDNAMES", g->names, 1);
	if (g->n != NULL)
		(void)setenv("LISTEN_FDS", g->n, 1);
	(void)setenv("LISTEN_PID", g->pid == NULL ? pid : g->pid, 1);
	if (g->notify != NULL)
		(void)setenv("NOTIFY_SOCKET", g->notify, 1);
	if (g->watchdog != NULL)
		(void)setenv("WATCHDOG_USEC", g->watchdog, 1);
}

// The error of a start, "" for none.
static void
start(const struct given *g, char ret[static SERVICE_ERROR_MAX])
{
	int out[2], status;
	pid_t pid;

	assert_return_code(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		char error[SERVICE_ERROR_MAX] = "";
		int to = fcntl(out[1], F_DUPFD_CLOEXEC, 128), r;
		struct service *s;

		give(g);
		if (geteuid() == 0 && g->uid != 0 &&
		    setresuid(g->uid, g->uid, g->uid) == -1)
			_exit(97);
		// It closes what it was not given.
		if (dup2(to, 2) == -1)
			_exit(98);
		r = service_start(&s, dir, g->doors == NULL ? doors : g->doors,
		    g->doors == NULL ? N_ELEMENTS(doors) : g->n_doors, error);
		(void)dprintf(2, "%s", r < 0 ? error : "started");
		_exit(0);
	}
	(void)close(out[1]);
	for (size_t n = 0;;) {
		ssize_t got = read(out[0], ret + n, SERVICE_ERROR_MAX - 1 - n);

		if (got <= 0) {
			ret[n] = '\0';
			break;
		}
		n += (size_t)got;
	}
	(void)close(out[0]);
	assert_true(waitpid(pid, &status, 0) == pid);
	assert_int_equal(status, 0);
}

static void
expect(const struct given *g, const char *text)
{
	char error[SERVICE_ERROR_MAX];

	start(g, error);
	if (strstr(error, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, error);
}

static void
starts_with_its_sockets_in_any_order(void **state)
{
	(void)state;
	expect(&(struct given){ .names = "test-one:test-two", .n = "2" },
	    "started");
	expect(&(struct given){ .names = "test-two:test-one", .n = "2" },
	    "started");
}

static void
what_is_missing_is_named(void **state)
{
	static const char one[] = "systemd gave no socket test-one: start "
				  "meshllm-test-one.socket";

	(void)state;
	expect(&(struct given){ .n = NULL }, one);
	expect(&(struct given){ .names = "test-two", .n = "1" }, one);
	expect(&(struct given){ .names = "test-one", .n = "1" },
	    "no socket test-two");
	// For another process, for none, or not a number.
	expect(
	    &(struct given){
		.names = "test-one:test-two", .n = "2", .pid = "1" },
	    one);
	expect(
	    &(struct given){
		.names = "test-one:test-two", .n = "2", .pid = "x" },
	    one);
	expect(&(struct given){ .n = "2" }, one);
}

static void
what_is_no_door_is_refused(void **state)
{
	static const char refused[] = "which is no door of this daemon";

	(void)state;
	expect(&(struct given){ .names = "test-one:other", .n = "2" }, refused);
	expect(
	    &(struct given){ .names = "test-one:test-one", .n = "2" }, refused);
	// One that we knock at.
	expect(&(struct given){ .names = "test-one:test-three", .n = "2" },
	    refused);
	expect(
	    &(struct given){
		.names = "test-one:test-two", .n = "2", .is_silent = true },
	    refused);
	expect(
	    &(struct given){
		.names = "test-one:test-two", .n = "2", .type = SOCK_STREAM },
	    refused);
	expect(
	    &(struct given){
		.names = "test-one:test-two", .n = "2", .type = SOCK_DGRAM },
	    refused);
	// A name without a descriptor's worth, and more descriptors than names.
	expect(&(struct given){ .names = "test-one:", .n = "2" }, refused);
	expect(&(struct given){ .names = "", .n = "1" }, refused);
}

static void
users_must_be_there_and_others(void **state)
{
	static const struct service_door unknown[] = { { "test-one",
	    "nobody-of-this-name", "one" } };
	static const struct service_door root[] = { { "test-one", "root",
	    "one" } };

	(void)state;
	expect(&(struct given){ .doors = unknown, .n_doors = 1 },
	    "no user nobody-of-this-name");
	expect(&(struct given){ .doors = root, .n_doors = 1 }, "no user root");
}

static void
a_notify_socket_must_be_one(void **state)
{
	(void)state;
	expect(
	    &(struct given){
		.names = "test-one:test-two", .n = "2", .notify = "relative" },
	    "NOTIFY_SOCKET");
	expect(&(struct given){ .names = "test-one:test-two",
		   .n = "2",
		   .notify = "/nonexistent/notify" },
	    "NOTIFY_SOCKET");
}

// ---- what systemd is told

static int
take_channel(void *arg, size_t door, int fd)
{
	(void)arg;
	(void)door;
	(void)close(fd);
	return 0;
}

static void
stop_loop(void *arg)
{
	(void)event_base_loopbreak(arg);
}

_Noreturn static void
serve(const char *notify)
{
	static const struct service_events events = { take_channel, stop_loop };
	struct given g = { .names = "test-one:test-two",
		.n = "2",
		.notify = notify,
		.watchdog = "300000" };
	char error[SERVICE_ERROR_MAX];
	struct event_base *base;
	struct service *s;

	give(&g);
	if (service_start(&s, dir, doors, N_ELEMENTS(doors), error) < 0 ||
	    loop_new(&base) < 0 || service_watch(s, base, &events, base) < 0)
		_exit(97);
	service_ready(s);
	(void)event_base_dispatch(base);
	service_free(s);
	_exit((int)log_get_level() - LOG_INFO);
}

static void
expect_told(int notify, const char *text)
{
	char told[512];

	for (unsigned i = 0; i < 1000; i++) {
		struct pollfd p = { .fd = notify, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, WAIT_MS) != 1)
			break;
		n = recv(notify, told, sizeof(told) - 1, 0);
		assert_true(n > 0);
		told[n] = '\0';
		if (strcmp(told, text) == 0)
			return;
	}
	fail_msg("\"%s\" was not told", text);
}

static void
systemd_is_told_what_goes_on(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), status;
	pid_t pid;

	(void)state;
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", dir);
	assert_return_code(bind(notify, (struct sockaddr *)&at, sizeof(at)), 0);
	pid = fork();
	if (pid == 0)
		serve(at.sun_path);
	expect_told(notify, "STATUS=starting without one, two, three");
	expect_told(
	    notify, "READY=1\nSTATUS=degraded: without one, two, three");
	expect_told(notify, "WATCHDOG=1");
	expect_told(notify, "WATCHDOG=1");
	assert_return_code(kill(pid, SIGHUP), 0); // is no end
	expect_told(notify, "WATCHDOG=1");
	assert_return_code(kill(pid, SIGTERM), 0);
	expect_told(notify, "STOPPING=1\nSTATUS=stopping");
	assert_true(waitpid(pid, &status, 0) == pid);
	assert_int_equal(status, 0);
	(void)close(notify);
	(void)unlink(at.sun_path);
}

static void
a_hangup_changes_the_log_level_if_it_carries_one(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), status;
	const union sigval debug = { .sival_int = LOG_DEBUG },
			   none[] = { { .sival_int = LOG_DEBUG + 1 },
				   { .sival_int = -1 }, { .sival_int = 0 },
				   { .sival_int = 5 } };
	pid_t pid;

	(void)state;
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", dir);
	assert_return_code(bind(notify, (struct sockaddr *)&at, sizeof(at)), 0);
	pid = fork();
	if (pid == 0)
		serve(at.sun_path);
	expect_told(
	    notify, "READY=1\nSTATUS=degraded: without one, two, three");
	// One signal waits at most: each is heard before the next is sent.
	assert_return_code(sigqueue(pid, SIGHUP, debug), 0);
	expect_told(notify, "WATCHDOG=1");
	expect_told(notify, "WATCHDOG=1");
	for (size_t i = 0; i < N_ELEMENTS(none); i++) {
		assert_return_code(sigqueue(pid, SIGHUP, none[i]), 0);
		expect_told(notify, "WATCHDOG=1");
		expect_told(notify, "WATCHDOG=1");
	}
	assert_return_code(kill(pid, SIGHUP), 0);
	assert_return_code(kill(pid, SIGTERM), 0);
	assert_true(waitpid(pid, &status, 0) == pid);
	assert_int_equal(WEXITSTATUS(status), LOG_DEBUG - LOG_INFO);
	(void)close(notify);
	(void)unlink(at.sun_path);
}

static void
a_visitor_is_not_missed_and_needs_its_socket(void **state)
{
	static const struct service_door own[] = {
		{ "test-one", "daemon", "one", .is_ours = true },
		{ "test-own", NULL, "own", .is_ours = true,
		    .is_visitor = true },
	};
	struct given g = { .names = "test-one:test-own",
		.n = "2",
		.doors = own,
		.n_doors = N_ELEMENTS(own),
		.uid = 3 };

	(void)state;
	expect(&g, "started");
	g.names = "test-one";
	g.n = "1";
	expect(&g, "no socket test-own");
}

static void
a_systemd_that_is_busy_is_told_later(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), status;
	int others =
	    socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	pid_t pid;

	(void)state;
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", dir);
	assert_return_code(bind(notify, (struct sockaddr *)&at, sizeof(at)), 0);
	// What others say fills its queue.
	while (
	    sendto(others, "x", 1, 0, (struct sockaddr *)&at, sizeof(at)) == 1)
		;
	pid = fork();
	if (pid == 0)
		serve(at.sun_path);
	(void)poll(NULL, 0, 300);
	expect_told(
	    notify, "READY=1\nSTATUS=degraded: without one, two, three");
	assert_return_code(kill(pid, SIGTERM), 0);
	assert_true(waitpid(pid, &status, 0) == pid);
	assert_int_equal(status, 0);
	(void)close(others);
	(void)close(notify);
	(void)unlink(at.sun_path);
}

// Of a proxyd or a parent that has said that it leaves, or has not.
static enum log_level
level_of(const struct service *s, enum ipc_role role, bool is_leaving,
    int reason, bool is_stopping)
{
	static const struct ipc_rule rules[] = { LEAVING_RULE(
	    FROM(ROLE_PROXYD)) };
	static struct ipc_frame frame;
	struct ipc_channel_config config = {
		.fd = -1, .role = role, .rules = rules, .n_rules = 1
	};
	struct ipc_peer *peer;
	enum log_level level;

	assert_int_equal(ipc_peer_new_detached(&peer, &config, IPC_SERVING), 0);
	frame.header.type = IPC__TYPE__IPC_LEAVING;
	frame.fd = -1;
	if (is_leaving)
		assert_int_equal(ipc_dispatch(peer, &frame), 0);
	level = service_lost_level(s, peer, reason, is_stopping);
	ipc_peer_free(peer);
	return level;
}

static const struct service *const some = (const void *)dir; // any but NULL

static void
a_parent_tells_why_a_sibling_ended_and_systemd_does_not(void **state)
{
	(void)state;
	assert_int_equal(
	    level_of(NULL, ROLE_PROXYD, false, -EPIPE, false), LOG_DEBUG);
	assert_int_equal(
	    level_of(NULL, ROLE_PROXYD, false, -EPROTO, false), LOG_ERROR);
	assert_int_equal(
	    level_of(NULL, ROLE_PARENT, false, -EPIPE, false), LOG_ERROR);
	assert_int_equal(
	    level_of(some, ROLE_PROXYD, false, -EPIPE, false), LOG_ERROR);
	assert_int_equal(
	    level_of(some, ROLE_PROXYD, false, -EPIPE, true), LOG_DEBUG);
}

static void
a_sibling_that_said_that_it_leaves_is_no_error_but_its_crimes_are(void **state)
{
	(void)state;
	assert_int_equal(
	    level_of(some, ROLE_PROXYD, true, -EPIPE, false), LOG_INFO);
	assert_int_equal(
	    level_of(some, ROLE_PROXYD, true, -EPROTO, false), LOG_ERROR);
	assert_int_equal(
	    level_of(some, ROLE_PROXYD, true, -EPIPE, true), LOG_DEBUG);
	assert_int_equal(
	    level_of(NULL, ROLE_PROXYD, true, -EPIPE, false), LOG_DEBUG);
	assert_int_equal(
	    level_of(NULL, ROLE_PROXYD, true, -EBADMSG, false), LOG_ERROR);
}

static void
a_request_that_fails_with_its_channel_is_not_told_twice(void **state)
{
	(void)state;
	assert_int_equal(service_failed_level(-EPIPE), LOG_DEBUG);
	assert_int_equal(service_failed_level(-ETIMEDOUT), LOG_ERROR);
	assert_int_equal(service_failed_level(-EPROTO), LOG_ERROR);
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
	char path[64];

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		(void)snprintf(path, sizeof(path), "%s/%u", dir, i);
		(void)unlink(path);
	}
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_with_its_sockets_in_any_order),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(what_is_no_door_is_refused),
		cmocka_unit_test(users_must_be_there_and_others),
		cmocka_unit_test(a_notify_socket_must_be_one),
		cmocka_unit_test(systemd_is_told_what_goes_on),
		cmocka_unit_test(
		    a_hangup_changes_the_log_level_if_it_carries_one),
		cmocka_unit_test(a_visitor_is_not_missed_and_needs_its_socket),
		cmocka_unit_test(a_systemd_that_is_busy_is_told_later),
		cmocka_unit_test(
		    a_parent_tells_why_a_sibling_ended_and_systemd_does_not),
		cmocka_unit_test(
		    a_sibling_that_said_that_it_leaves_is_no_error_but_its_crimes_are),
		cmocka_unit_test(
		    a_request_that_fails_with_its_channel_is_not_told_twice),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
