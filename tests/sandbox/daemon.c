// Starts a real daemon program for a test.  Everything is waited for with a
// deadline: a daemon that hangs must fail the test, not stop it.
#include "tests/sandbox/daemon.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cmocka.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

enum { FREE_FDS_FROM = 64, DEADLINE_MS = 30000, EXEC_FAILED = 127 };

static void
refuse_memfd_secret(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (filter == NULL ||
	    seccomp_rule_add(
		filter, SCMP_ACT_ERRNO(ENOSYS), SYS_memfd_secret, 0) < 0 ||
	    seccomp_load(filter) < 0)
		_exit(EXEC_FAILED);
	seccomp_release(filter);
}

// The one that was built, or with TEST_REACH (tests/reach/run) that of there.
static void
find_program(const char *built, char ret[static PATH_MAX])
{
	const char *folder = getenv("TEST_REACH");

	(void)snprintf(ret, PATH_MAX, "%s%s", folder == NULL ? "" : folder,
	    folder == NULL ? built : strrchr(built, '/'));
}

_Noreturn static void
run_child(const struct daemon_options *o, const int *ends)
{
	int high[1 + PROCESS_CHANNELS_MAX];
	char path[PATH_MAX];

	find_program(o->program, path);
	for (size_t i = 0; i <= o->n_channels; i++)
		high[i] = fcntl(ends[i], F_DUPFD, FREE_FDS_FROM);
	for (size_t i = 0; i <= o->n_channels; i++)
		if (dup2(high[i], PROCESS_PARENT_FD + (int)i) == -1)
			_exit(EXEC_FAILED);
	if (o->environment != NULL)
		(void)clearenv();
	for (size_t i = 0; o->environment != NULL && o->environment[i] != NULL;
	     i++)
		(void)putenv((char *)(uintptr_t)o->environment[i]);
	if (o->no_memfd_secret)
		refuse_memfd_secret();
	(void)execv(path, o->argv);
	_exit(EXEC_FAILED);
}

void
daemon_start(struct daemon *ret, const struct daemon_options *o)
{
	int ours[1 + PROCESS_CHANNELS_MAX], theirs[1 + PROCESS_CHANNELS_MAX];
	int pair[2];

	for (size_t i = 0; i <= o->n_channels; i++) {
		assert_int_equal(
		    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair),
		    0);
		ours[i] = pair[0];
		theirs[i] = pair[1];
	}
	ret->n = o->n_channels;
	ret->pid = fork();
	assert_int_not_equal(ret->pid, -1);
	if (ret->pid == 0)
		run_child(o, theirs);
	ret->parent_fd = ours[0];
	for (size_t i = 0; i <= o->n_channels; i++)
		(void)close(theirs[i]);
	for (size_t i = 0; i < o->n_channels; i++)
		ret->fds[i] = ours[1 + i];
}

int
daemon_wait(struct daemon *d)
{
	int status;

	close_fd(&d->parent_fd);
	for (size_t i = 0; i < d->n; i++)
		close_fd(&d->fds[i]);
	for (unsigned ms = 0; ms < DEADLINE_MS; ms += 10) {
		if (waitpid(d->pid, &status, WNOHANG) == d->pid)
			return status;
		(void)poll(NULL, 0, 10);
	}
	(void)kill(d->pid, SIGKILL);
	(void)waitpid(d->pid, &status, 0);
	fail_msg("the daemon did not end");
	return status;
}

struct ipc_peer *
daemon_peer(int *fd, enum ipc_role self, enum ipc_role other,
    const struct ipc_rule *rules, size_t n_rules, void *arg)
{
	struct ipc_channel_config config = { .fd = take_fd(fd),
		.self = self,
		.role = other,
		.rules = rules,
		.n_rules = n_rules,
		.daemon = arg };
	struct ipc_peer *peer;

	assert_int_equal(ipc_peer_new(&peer, &config), 0);
	return peer;
}

int
daemon_pump(struct ipc_peer *peer, int fd)
{
	static struct ipc_frame frame;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	if (poll(&p, 1, DEADLINE_MS) != 1)
		return -ETIMEDOUT;
	r = ipc_receive(fd, &frame);
	return r < 0 ? r : ipc_dispatch(peer, &frame);
}
