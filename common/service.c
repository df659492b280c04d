// What systemd and a daemon tell each other.  Trusts systemd, by way of the
// environment and the descriptors that it gives; it must never take a
// descriptor for a door that is not a listening socket of that door's name.
#include "common/service.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "common/loop.h"
#include "common/porter.h"

enum {
	LISTEN_FD_FIRST = 3, // sd_listen_fds(3)
	SIGNALS_FD = STDIN_FILENO,
	TEXT_MAX = 512,
	TAKE_AT_A_TIME = 16,
};

struct service {
	const struct service_door *doors; // static
	size_t n;
	int porter;	      // owned
	int notify;	      // owned; -1: systemd does not listen
	uint64_t watchdog_us; // 0: it does not watch
	bool is_up[PORTER_DOORS_MAX];
	pid_t own_pid;
	bool is_ready, is_stopping;
	struct event *porter_event, *signal_event;  // owned
	struct event *watchdog_event, *retry_event; // owned
	const struct service_events *events;	    // borrowed
	void *arg;				    // borrowed
};

// ---- what systemd gives

// A number in the environment; 0: none, or not one.
static uint64_t
number_in(const char *variable)
{
	const char *text = getenv(variable);
	unsigned long long n;
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	n = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' ? n : 0;
}

static bool
is_for_us(const char *pid_variable)
{
	return number_in(pid_variable) == (uint64_t)getpid();
}

static bool
is_door_socket(int fd)
{
	int type = 0, listens = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == -1)
		return false;
	return type == SOCK_SEQPACKET && listens != 0;
}

static int
find_door(
    const struct service_door *doors, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (doors[i].is_ours && strlen(doors[i].name) == len &&
		    memcmp(doors[i].name, name, len) == 0)
			return (int)i;
	return -1;
}

// LISTEN_FDNAMES has a name for each descriptor, with colons between them.
static int
take_listening(const struct service_door *doors, size_t n,
    struct porter_door *ret, char error[static SERVICE_ERROR_MAX])
{
	const char *names = getenv("LISTEN_FDNAMES");
	uint64_t n_fds = is_for_us("LISTEN_PID") ? number_in("LISTEN_FDS") : 0;

	for (uint64_t i = 0; i < n_fds && names != NULL; i++) {
		size_t len = strcspn(names, ":");
		int fd = LISTEN_FD_FIRST + (int)i;
		int door = find_door(doors, n, names, len);

		if (door == -1 || ret[door].listening != -1 ||
		    !is_door_socket(fd)) {
			(void)snprintf(error, SERVICE_ERROR_MAX,
			    "--doors: systemd gave \"%.*s\", which is no door "
			    "of this daemon",
			    (int)(len > 64 ? 64 : len), names);
			return -EINVAL;
		}
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ||
		    fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
			return -errno;
		ret[door].listening = fd;
		names = names[len] == ':' ? names + len + 1 : NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (doors[i].is_ours && ret[i].listening == -1) {
			(void)snprintf(error, SERVICE_ERROR_MAX,
			    "--doors: systemd gave no socket %s: start "
			    "meshllm-%s.socket",
			    doors[i].name, doors[i].name);
			return -ENOTSOCK;
		}
	return syscall(SYS_close_range, LISTEN_FD_FIRST + (unsigned)n_fds, ~0u,
		   0) == -1
	    ? -errno
	    : 0;
}

static int
describe_door(const struct service_door *door, const char *dir,
    struct porter_door *ret, char error[static SERVICE_ERROR_MAX])
{
	const struct passwd *user =
	    door->is_visitor ? getpwuid(geteuid()) : getpwnam(door->user);
	int n;

	if (user == NULL || user->pw_uid == 0) {
		(void)snprintf(error, SERVICE_ERROR_MAX,
		    "--doors: this machine has no user %s: see "
		    "systemd-sysusers(8)",
		    door->is_visitor ? "like its own" : door->user);
		return -ENOENT;
	}
	if (!door->is_visitor && user->pw_uid == geteuid()) {
		(void)snprintf(error, SERVICE_ERROR_MAX,
		    "--doors: this daemon runs as %s, who is to be on the "
		    "other side of a door: each daemon needs its own user",
		    door->user);
		return -EPERM;
	}
	*ret = (struct porter_door){
		.name = door->name, .uid = user->pw_uid, .listening = -1
	};
	n = snprintf(ret->path, sizeof(ret->path), "%s/%s", dir, door->name);
	if (n < 0 || (size_t)n >= sizeof(ret->path)) {
		(void)snprintf(error, SERVICE_ERROR_MAX,
		    "--doors: the path is too long for a socket");
		return -ENAMETOOLONG;
	}
	return 0;
}

static int
open_porter(
    struct service *s, const char *dir, char error[static SERVICE_ERROR_MAX])
{
	struct porter_door doors[PORTER_DOORS_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n; i++)
		r = describe_door(&s->doors[i], dir, &doors[i], error);
	if (r == 0)
		r = take_listening(s->doors, s->n, doors, error);
	return r < 0 ? r : porter_start(doors, s->n, &s->porter);
}

// Connected now: the path is out of reach later.
static int
open_notify(struct service *s)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	socklen_t len;

	if (path == NULL)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || path[1] == '\0' ||
	    strlen(path) >= sizeof(to.sun_path))
		return -EINVAL;
	memcpy(to.sun_path, path, strlen(path));
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	s->notify =
	    socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->notify == -1 ||
	    connect(s->notify, (const struct sockaddr *)&to, len) == -1)
		return -errno;
	if (getenv("WATCHDOG_PID") == NULL || is_for_us("WATCHDOG_PID"))
		s->watchdog_us = number_in("WATCHDOG_USEC");
	return 0;
}

// Standard input is of no use to a daemon; as a fixed number the sandbox can
// name it.
static int
open_signals(void)
{
	AUTO_FD fd = -1;
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd == -1 || dup2(fd, SIGNALS_FD) == -1)
		return -errno;
	return 0;
}

int
service_start(struct service **ret, const char *dir,
    const struct service_door *doors, size_t n,
    char error[static SERVICE_ERROR_MAX])
{
	struct service *s = calloc(1, sizeof(*s));
	int r;

	(void)snprintf(error, SERVICE_ERROR_MAX, "--doors: no memory");
	if (s == NULL)
		return -ENOMEM;
	*s = (struct service){ .doors = doors,
		.n = n,
		.porter = -1,
		.notify = -1,
		.own_pid = getpid() };
	r = n > PORTER_DOORS_MAX ? -EINVAL : open_porter(s, dir, error);
	if (r == 0 && (r = open_notify(s)) < 0)
		(void)snprintf(error, SERVICE_ERROR_MAX, "NOTIFY_SOCKET: %s",
		    strerrordesc_np(-r));
	if (r == 0 && (r = open_signals()) < 0)
		(void)snprintf(error, SERVICE_ERROR_MAX, "signals: %s",
		    strerrordesc_np(-r));
	if (r < 0) {
		service_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void
service_join(const struct service_join *j, struct process_channels *channels,
    struct service **ret)
{
	char error[SERVICE_ERROR_MAX];
	size_t n = j->n_doors;

	*ret = NULL;
	while (n > 0 && j->doors[n - 1].is_visitor)
		n--;
	*channels = (struct process_channels){ .parent_fd = -1, .n = n };
	for (size_t i = 0; i < N_ELEMENTS(channels->fds); i++)
		channels->fds[i] = -1;
	if (j->dir != NULL) {
		if (service_start(ret, j->dir, j->doors, j->n_doors, error) ==
		    0)
			return;
		(void)fprintf(stderr, "%s: %s\n", j->program, error);
	} else {
		if (process_take_channels(n, channels) == 0)
			return;
		process_explain_alone(j->program, j->siblings);
	}
	exit(2);
}

static void
free_event(struct event *event)
{
	if (event != NULL)
		event_free(event);
}

void
service_free(struct service *s)
{
	if (s == NULL)
		return;
	free_event(s->porter_event);
	free_event(s->signal_event);
	free_event(s->watchdog_event);
	free_event(s->retry_event);
	close_fd(&s->porter);
	close_fd(&s->notify);
	free(s);
}

// ---- what systemd is told

// false: later.
static bool
tell(const struct service *s, const char *text)
{
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	// If systemd does not listen, nobody is there to be told that; if it
	// is busy, it will.
	return s->notify == -1 ||
	    sendmsg(s->notify, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) != -1 ||
	    errno != EAGAIN;
}

static void
tell_status(const struct service *s)
{
	static const struct timeval later = { 0, 100 * 1000 };
	char text[TEXT_MAX];
	const char *separator = " ";
	int len = snprintf(
	    text, sizeof(text), "%sSTATUS=", s->is_ready ? "READY=1\n" : "");
	int before = len;

	for (size_t i = 0; i < s->n; i++) {
		if (s->is_up[i] || s->doors[i].is_visitor)
			continue;
		if (len == before)
			len += snprintf(text + len, sizeof(text) - (size_t)len,
			    "%s without",
			    s->is_ready ? "degraded:" : "starting");
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%s",
		    separator, s->doors[i].peer);
		separator = ", ";
	}
	if (len == before)
		(void)snprintf(text + len, sizeof(text) - (size_t)len, "%s",
		    s->is_ready ? "serving" : "starting");
	// Without READY=1 systemd would take us for not started.
	if (!tell(s, text))
		(void)evtimer_add(s->retry_event, &later);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	tell_status(arg);
}

void
service_ready(struct service *s)
{
	if (s == NULL)
		return;
	s->is_ready = true;
	tell_status(s);
}

void
service_stopping(struct service *s)
{
	if (s == NULL)
		return;
	s->is_stopping = true;
	(void)evtimer_del(s->retry_event);
	// Nothing more is to come in; the porter ends.
	if (s->porter_event != NULL)
		(void)event_del(s->porter_event);
	close_fd(&s->porter);
	(void)tell(s, "STOPPING=1\nSTATUS=stopping");
}

void
service_lost(struct service *s, size_t door)
{
	if (s == NULL || s->is_stopping)
		return;
	s->is_up[door] = false;
	// Full: the porter has been told often enough.
	if (!s->doors[door].is_ours)
		(void)!porter_knock(s->porter, door);
	tell_status(s);
}

void
service_role_lost(
    struct service *s, const enum ipc_role *roles, size_t n, enum ipc_role role)
{
	for (size_t i = 0; i < n; i++)
		if (roles[i] == role)
			service_lost(s, i);
}

enum log_level
service_lost_level(const struct service *s, const struct ipc_peer *peer,
    int reason, bool is_stopping)
{
	bool is_over = reason == -EPIPE || reason == -ECONNRESET;
	bool is_parent = ipc_peer_role(peer) == ROLE_PARENT;

	if (is_stopping || (s == NULL && !is_parent && is_over))
		return LOG_DEBUG;
	// Leaving excuses the end, not a broken contract.
	return is_over && ipc_peer_is_leaving(peer) ? LOG_INFO : LOG_ERROR;
}

// The end of the channel has a line of its own.
enum log_level
service_failed_level(int reason)
{
	return reason == -EPIPE ? LOG_DEBUG : LOG_ERROR;
}

void
service_log_lost(const struct service *s, const struct ipc_peer *peer,
    const char *to, int reason, bool is_stopping)
{
	enum log_level level = service_lost_level(s, peer, reason, is_stopping);

	if (level == LOG_INFO)
		LOG(LOG_INFO, "channel-left", F("to", to));
	else
		LOG(level, "channel-lost", F("to", to),
		    F("error", log_error(reason)));
}

void
service_level_changed(const struct service *s)
{
	// What is lost with a full queue are lines.
	if (s != NULL && !s->is_stopping)
		(void)!porter_tell_level(s->porter);
}

pid_t
service_own_pid(const struct service *s)
{
	return s == NULL ? 0 : s->own_pid;
}

// ---- events

static void
take(struct service *s, size_t door, int channel)
{
	int r = s->events->channel(s->arg, door, channel);

	if (r < 0) {
		LOG(LOG_ERROR, "channel-unusable",
		    F("door", s->doors[door].name), F("error", log_error(r)));
		service_lost(s, door);
		return;
	}
	s->is_up[door] = true;
	LOG(LOG_INFO, "channel-open", F("door", s->doors[door].name));
	tell_status(s);
}

static void
on_porter(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;

	(void)what;
	for (unsigned i = 0; i < TAKE_AT_A_TIME; i++) {
		size_t door;
		int channel;
		int r = porter_take(fd, s->n, &door, &channel);

		if (r == -EAGAIN)
			return;
		// Without it no lost channel would ever come back.
		if (r < 0)
			fatal("porter", r);
		take(s, door, channel);
	}
}

// A value comes with sigqueue(3) only, from `meshllm reload`: root or our own
// user.  Nothing but the log depends on it.
static void
take_level(const struct service *s, const struct signalfd_siginfo *info)
{
	const char *name = info->ssi_code == SI_QUEUE
	    ? log_level_name((enum log_level)info->ssi_int)
	    : NULL;

	if (name == NULL) {
		LOG(LOG_WARNING, "reload-refused",
		    F("error",
			"a signal alone changes nothing: systemctl reload"));
		return;
	}
	// Said whatever the level is and was.
	log_set_level(LOG_INFO);
	LOG(LOG_INFO, "reloaded", F("log_level", name));
	log_set_level((enum log_level)info->ssi_int);
	service_level_changed(s);
}

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;
	struct signalfd_siginfo info;

	(void)what;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	// It would end us, and systemd would take that for a clean end.
	if (info.ssi_signo == SIGHUP) {
		take_level(s, &info);
		return;
	}
	service_stopping(s);
	s->events->stop(s->arg);
}

static void
on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)tell(arg, "WATCHDOG=1"); // there are two more
}

static int
watch_one(struct event **ret, struct event_base *base, int fd,
    event_callback_fn fn, struct service *s)
{
	*ret = event_new(base, fd, EV_READ | EV_PERSIST, fn, s);
	if (*ret == NULL || event_priority_set(*ret, LOOP_FIRST) == -1 ||
	    event_add(*ret, NULL) == -1)
		return -ENOMEM;
	return 0;
}

// Three signs of life in the time after which systemd takes us for dead.
static int
start_watchdog(struct service *s, struct event_base *base)
{
	uint64_t us = s->watchdog_us / 3;
	struct timeval every = { .tv_sec = (time_t)(us / 1000000),
		.tv_usec = (suseconds_t)(us % 1000000) };

	if (us == 0)
		return 0;
	s->watchdog_event = event_new(base, -1, EV_PERSIST, on_watchdog, s);
	if (s->watchdog_event == NULL ||
	    event_add(s->watchdog_event, &every) == -1)
		return -ENOMEM;
	return 0;
}

int
service_watch(struct service *s, struct event_base *base,
    const struct service_events *events, void *arg)
{
	int r;

	if (s == NULL)
		return 0;
	s->events = events;
	s->arg = arg;
	s->retry_event = evtimer_new(base, on_retry, s);
	if (s->retry_event == NULL)
		return -ENOMEM;
	r = watch_one(&s->porter_event, base, s->porter, on_porter, s);
	if (r == 0)
		r = watch_one(&s->signal_event, base, SIGNALS_FD, on_signal, s);
	if (r == 0)
		r = start_watchdog(s, base);
	tell_status(s);
	return r;
}
