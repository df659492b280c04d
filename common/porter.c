// The porter trusts the kernel about users and its own table about who may
// come through which door; it reads nothing that a caller sends, and of what
// another porter sends one descriptor.  It must never hand over a
// channel to a user other than its door's, nor keep an end.
#include "common/porter.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "common/ipc.h"
#include "common/landlock.h"
#include "common/log.h"
#include "common/process.h"

enum {
	CALLERS_AT_A_TIME = 16,
	CALLER_FLAGS = SOCK_CLOEXEC | SOCK_NONBLOCK,
	KNOCK_TYPE = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	PAIR_TYPE = SOCK_SEQPACKET | SOCK_CLOEXEC,
	FDS_MAX = 256,	     // those of the start are below
	LEVEL_FIRST = 0x100, // beyond the doors: a level of the log
	// It has a few.  But the kernel sends no descriptor (ETOOMANYREFS)
	// while more than this many of the same user are under way, and
	// gossipd's tunnels are: as many as it may open.
	UNDER_WAY_MAX = 16 * 1024,
};

// clang-format off
const struct sandbox_rule porter_sandbox[] = {
	ALLOW(poll,		"wait for a caller, an answer, the daemon"),
	{ .syscall = SCMP_SYS(accept4), .why = "a caller; it has no address",
	    .n_args = 3, .args = { { 1, SCMP_CMP_EQ, 0, 0 },
		{ 2, SCMP_CMP_EQ, 0, 0 },
		{ 3, SCMP_CMP_EQ, CALLER_FLAGS, 0 } } },
	ALLOW_ARGS(getsockopt, 1, SOL_SOCKET, 2, SO_PEERCRED, "its user"),
	ALLOW_ARGS(socketpair, 0, AF_UNIX, 1, PAIR_TYPE, "a fresh channel"),
	ALLOW(sendmsg,		"its ends, to the daemon and the caller"),
	ALLOW_ARGS(socket, 0, AF_UNIX, 1, KNOCK_TYPE, "to knock"),
	ALLOW(connect,		"to knock"),
	ALLOW(recvmsg,		"a channel from a door; what the daemon wants"),
	ALLOW(close,		"what was handed on, or refused"),
	ALLOW_ARG(write, 0, STDERR_FILENO, "log_event"),
	ALLOW(clock_gettime,	"back-off, where the vDSO has no clock"),
	ALLOW(restart_syscall,	"poll after a stop"),
	ALLOW(exit_group,	"the daemon has ended"),
};
// clang-format on
const size_t porter_n_sandbox = N_ELEMENTS(porter_sandbox);

struct knock {
	int fd;		     // owned; -1: none is under way
	bool is_wanted;	     // the daemon has no channel
	uint64_t at_ms;	     // not before
	uint64_t opened_ms;  // the last time
	unsigned backoff_ms; // after the next failure
	bool has_complained; // since the last success
};

struct porter {
	struct porter_door *doors; // borrowed
	size_t n;
	int daemon; // owned, our end of the pair
	uid_t uid;  // ours
	struct knock knocks[PORTER_DOORS_MAX];
	struct log_limit refusals;
	struct ipc_frame frame;
};

// A door's number, with a channel.  The form is that of a frame of ipc.h
// without a body.
static int
send_channel(int to, size_t door, int channel)
{
	struct ipc_header h = { .type = (uint16_t)door };
	uint8_t bytes[sizeof(h)];

	memcpy(bytes, &h, sizeof(h));
	return ipc_send(to, bytes, sizeof(bytes), channel);
}

static bool
user_of(int fd, uid_t *ret)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == -1)
		return false;
	*ret = who.uid;
	return true;
}

// ---- doors that are ours

static void
refuse(struct porter *p, const struct porter_door *door, uid_t uid)
{
	if (log_limit_pass(&p->refusals, clock_mono_ms()))
		LOG(LOG_WARNING, "door-refused", F("door", door->name),
		    F("user", (uint64_t)uid));
}

static int
hand_over(struct porter *p, size_t door, int caller)
{
	AUTO_FD ours = -1;
	AUTO_FD theirs = -1;
	int pair[2], r;

	if (socketpair(AF_UNIX, PAIR_TYPE, 0, pair) == -1)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	// Whoever comes second finds the other end closed if this fails.
	r = send_channel(p->daemon, door, ours);
	if (r == 0)
		r = send_channel(caller, 0, theirs);
	return r;
}

static void
serve(struct porter *p, size_t door)
{
	const struct porter_door *d = &p->doors[door];

	for (unsigned i = 0; i < CALLERS_AT_A_TIME; i++) {
		AUTO_FD caller =
		    accept4(d->listening, NULL, NULL, CALLER_FLAGS);
		uid_t uid = (uid_t)-1;
		int r;

		if (caller == -1)
			return;
		if (!user_of(caller, &uid) || uid != d->uid) {
			refuse(p, d, uid);
			continue;
		}
		// It knocks again; so does a caller that is gone by now.
		if ((r = hand_over(p, door, caller)) < 0)
			LOG(LOG_DEBUG, "door-failed", F("door", d->name),
			    F("error", log_error(r)));
	}
}

// ---- doors of others

static void
back_off(struct knock *k)
{
	k->at_ms = clock_mono_ms() + k->backoff_ms;
	k->backoff_ms *= 2;
	if (k->backoff_ms > PORTER_BACKOFF_MAX_MS)
		k->backoff_ms = PORTER_BACKOFF_MAX_MS;
}

static void
later(struct porter *p, size_t door, int r)
{
	struct knock *k = &p->knocks[door];

	close_fd(&k->fd);
	// While all is started anew a door is closed for a moment.
	if (!k->has_complained && k->backoff_ms == PORTER_BACKOFF_MAX_MS) {
		LOG(LOG_WARNING, "door-closed", F("door", p->doors[door].name),
		    F("error", log_error(r)));
		k->has_complained = true;
	}
	back_off(k);
}

// systemd listens, as root: nobody else can have put a socket there.
static bool
is_proper_door(const struct porter *p, int fd)
{
	uid_t uid;

	return user_of(fd, &uid) && (uid == 0 || uid == p->uid);
}

static int
connect_to(const struct porter *p, const char *path, int *ret)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	AUTO_FD fd = socket(AF_UNIX, KNOCK_TYPE, 0);

	if (fd == -1)
		return -errno;
	memcpy(to.sun_path, path, sizeof(to.sun_path));
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == -1)
		return -errno;
	if (!is_proper_door(p, fd))
		return -EPERM;
	*ret = take_fd(&fd);
	return 0;
}

static void
knock(struct porter *p, size_t door)
{
	struct knock *k = &p->knocks[door];
	int r = connect_to(p, p->doors[door].path, &k->fd);

	if (r < 0)
		later(p, door, r);
}

static int
check_channel(const struct porter_door *door, int channel)
{
	uid_t uid;

	if (channel == -1 || !user_of(channel, &uid))
		return -EPROTO;
	return uid == door->uid ? 0 : -EPERM;
}

// The door was opened, or slammed.
static void
answered(struct porter *p, size_t door)
{
	struct knock *k = &p->knocks[door];
	struct ipc_frame *f = &p->frame;
	int r = ipc_receive(k->fd, f);

	if (r == -EAGAIN)
		return;
	if (r == 0)
		r = check_channel(&p->doors[door], f->fd);
	if (r == 0)
		r = send_channel(p->daemon, door, f->fd);
	close_fd(&f->fd);
	if (r < 0) {
		later(p, door, r);
		return;
	}
	close_fd(&k->fd);
	k->is_wanted = k->has_complained = false;
	k->opened_ms = clock_mono_ms();
}

// ---- the process

// A channel that breaks as soon as it is there (two builds after half an
// upgrade) is no reason to hurry.
static void
want(struct porter *p, size_t door)
{
	struct knock *k;

	if (door >= LEVEL_FIRST &&
	    log_level_name((enum log_level)(door - LEVEL_FIRST)) != NULL)
		log_set_level((enum log_level)(door - LEVEL_FIRST));
	if (door >= p->n || p->doors[door].listening != -1)
		return;
	k = &p->knocks[door];
	if (k->is_wanted)
		return;
	k->is_wanted = true;
	if (clock_mono_ms() - k->opened_ms < PORTER_BACKOFF_MAX_MS) {
		back_off(k);
	} else {
		k->at_ms = 0;
		k->backoff_ms = PORTER_BACKOFF_MS;
	}
}

static void
hear_daemon(struct porter *p)
{
	int r = ipc_receive(p->daemon, &p->frame);

	if (r == 0) {
		close_fd(&p->frame.fd);
		want(p, p->frame.header.type);
	} else if (r != -EAGAIN) {
		_exit(EXIT_SUCCESS); // it has ended
	}
}

// Knock where it is time; how long to wait for the next time, -1: for ever.
static int
knock_where_due(struct porter *p)
{
	uint64_t now = clock_mono_ms();
	int wait = -1;

	for (size_t i = 0; i < p->n; i++) {
		struct knock *k = &p->knocks[i];
		int left;

		if (!k->is_wanted || k->fd != -1)
			continue;
		if (k->at_ms <= now)
			knock(p, i);
		if (k->fd != -1)
			continue;
		left = k->at_ms <= now ? 1 : (int)(k->at_ms - now);
		if (wait == -1 || left < wait)
			wait = left;
	}
	return wait;
}

_Noreturn static void
work(struct porter *p)
{
	struct pollfd fds[PORTER_DOORS_MAX + 1];

	for (;;) {
		int wait = knock_where_due(p);

		fds[p->n] = (struct pollfd){ .fd = p->daemon, POLLIN, 0 };
		for (size_t i = 0; i < p->n; i++)
			fds[i] =
			    (struct pollfd){ .fd = p->doors[i].listening != -1
					? p->doors[i].listening
					: p->knocks[i].fd,
				    .events = POLLIN };
		if (poll(fds, p->n + 1, wait) == -1 && errno != EINTR)
			fatal("porter", -errno);
		if (fds[p->n].revents != 0)
			hear_daemon(p);
		for (size_t i = 0; i < p->n; i++) {
			if (fds[i].revents == 0)
				continue;
			if (p->doors[i].listening != -1)
				serve(p, i);
			else
				answered(p, i);
		}
	}
}

static int
confine(void)
{
	static const struct landlock_policy nothing = { 0 };
	static const struct process_limits limits = {
		.descriptors = UNDER_WAY_MAX, .data_bytes = 32 * 1024 * 1024
	};
	uint64_t ignored;
	int r, abi;

	(void)prctl(PR_SET_NAME, "meshllm-porter");
	if ((r = process_harden()) < 0 ||
	    (r = process_limit(&limits, &ignored)) < 0 ||
	    (r = process_confine()) < 0)
		return r;
	// Told about by the daemon.  It is not asked when sockets are reached
	// by a path.
	r = landlock_enter(&nothing, &abi);
	return r == -ENOSYS || r == -EOPNOTSUPP ? 0 : r;
}

static bool
is_kept(const struct porter *p, unsigned fd)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->doors[i].listening == (int)fd)
			return true;
	return p->daemon == (int)fd || fd == STDERR_FILENO ||
	    (int)fd == log_descriptor();
}

// Nothing of the daemon's but the doors and the pair.
static int
close_others(const struct porter *p)
{
	unsigned from = 0, fd;

	for (fd = 0; fd < FDS_MAX; fd++) {
		if (!is_kept(p, fd))
			continue;
		if (fd > from &&
		    syscall(SYS_close_range, from, fd - 1, 0) == -1)
			return -errno;
		from = fd + 1;
	}
	return syscall(SYS_close_range, from, ~0u, 0) == -1 ? -errno : 0;
}

_Noreturn static void
porter(struct porter *p)
{
	sigset_t all;
	int r;

	if ((r = close_others(p)) < 0)
		fatal("porter", r);
	// Its daemon ends it.
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	if ((r = confine()) < 0)
		fatal("porter", r);
	sandbox_enter_or_die(porter_sandbox, porter_n_sandbox);
	work(p);
}

int
porter_start(struct porter_door *doors, size_t n, int *ret_fd)
{
	struct porter p;
	int pair[2];
	pid_t pid;

	if (n > PORTER_DOORS_MAX)
		return -EINVAL;
	if (socketpair(AF_UNIX, PAIR_TYPE, 0, pair) == -1)
		return -errno;
	p = (struct porter){
		.doors = doors, .n = n, .daemon = pair[1], .uid = geteuid()
	};
	for (size_t i = 0; i < n; i++)
		p.knocks[i] = (struct knock){ .fd = -1,
			.backoff_ms = PORTER_BACKOFF_MS,
			.is_wanted = doors[i].listening == -1 };
	if ((pid = fork()) == 0)
		porter(&p);
	*ret_fd = pair[0];
	if (pid == -1)
		close_fd(ret_fd);
	(void)close(pair[1]);
	for (size_t i = 0; i < n; i++)
		close_fd(&doors[i].listening);
	return pid == -1 ? -EAGAIN : 0;
}

// ---- the daemon

int
porter_knock(int fd, size_t door)
{
	struct ipc_header h = { .type = (uint16_t)door };
	uint8_t bytes[sizeof(h)];

	memcpy(bytes, &h, sizeof(h));
	return ipc_send(fd, bytes, sizeof(bytes), -1);
}

int
porter_tell_level(int fd)
{
	return porter_knock(fd, LEVEL_FIRST + (size_t)log_get_level());
}

int
porter_take(int fd, size_t n, size_t *ret_door, int *ret_channel)
{
	struct ipc_frame f;
	int r = ipc_receive(fd, &f);

	if (r < 0)
		return r;
	if (f.fd == -1 || f.header.type >= n || f.body_len != 0) {
		close_fd(&f.fd);
		return -EPROTO;
	}
	*ret_door = f.header.type;
	*ret_channel = take_fd(&f.fd);
	return 0;
}
