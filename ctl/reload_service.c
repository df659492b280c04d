// `meshllm reload`, which a unit runs as ExecReload=, as the user of its daemon
// and as confined as the daemon was at its start.  proxyd gets the files
// through its door; the others need none, and get the log level with a signal.
// Trusts the configuration as `meshllm run` does, and at the door only root,
// for whom systemd listens there.
#include "ctl/reload.h"

#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "proxyd/client.h"

#define DOOR "/run/meshllm/proxyd-reload"

enum { EXIT_USAGE = 2, DOOR_MS = 5000 };

static void
print_usage(FILE *f)
{
	(void)fputs(
	    "usage: meshllm reload DAEMON PID [OPTION...]\n\n"
	    "For the units of systemd: systemctl reload meshllm.target.\n"
	    "Hands the configuration to a daemon that runs; with the options "
	    "of its\nstart, where there were any besides the file's.\n\n",
	    f);
	for (size_t i = 0; i < N_DAEMONS; i++)
		(void)fprintf(f, "  %-16s  of meshllm-%s.service\n",
		    daemons[i].name, daemons[i].name);
}

static int
complain(const char *what, int r)
{
	LOG(LOG_ERROR, "reload-refused", F("what", what),
	    F("error", strerrordesc_np(-r)));
	return r;
}

// ---- proxyd

struct reload_client {
	struct event_base *base;
	struct ipc_peer *proxyd;
	bool is_done;
};

// clang-format off
static const struct ipc_rule rules[] = {
	{ IPC__TYPE__IPC_RELOAD_REPLY, .from = FROM(ROLE_PROXYD),
	    .phases = IPC_SERVING, .max_body = 1024, .is_reply = true,
	    .descriptor = &ipc__reload_reply__descriptor },
};
// clang-format on

static int
is_roots(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == -1)
		return -errno;
	return who.uid == 0 ? 0 : -EPERM;
}

static int
take_channel(int door, int *ret)
{
	static struct ipc_frame frame;
	struct pollfd wait = { .fd = door, .events = POLLIN };
	int r;

	if (poll(&wait, 1, DOOR_MS) != 1)
		return -ETIMEDOUT;
	if ((r = ipc_receive(door, &frame)) < 0)
		return r;
	if (frame.fd == -1)
		return -EPROTO;
	*ret = take_fd(&frame.fd);
	return 0;
}

static int
knock(int *ret)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = DOOR };
	AUTO_FD door = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int r;

	if (door == -1 ||
	    connect(door, (const struct sockaddr *)&to, sizeof(to)) == -1)
		return -errno;
	r = is_roots(door);
	return r < 0 ? r : take_channel(door, ret);
}

static void
on_closed(struct ipc_peer *peer, int reason)
{
	struct reload_client *c = ipc_peer_daemon(peer);

	(void)reason;
	c->proxyd = NULL;
	(void)event_base_loopbreak(c->base);
}

static void
on_reply(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct reload_client *c = arg;

	(void)frame;
	c->is_done = reload_is_done(status, msg);
	if (!c->is_done && status == 0)
		(void)fprintf(stderr, "meshllm reload: %s\n",
		    ((const Ipc__ReloadReply *)msg)->error);
	(void)event_base_loopbreak(c->base);
}

static int
hand_over(const struct run_options *o)
{
	struct reload_client c = { .base = event_base_new() };
	struct ipc_channel_config config = { .base = c.base,
		.self = ROLE_RELOADER,
		.role = ROLE_PROXYD,
		.rules = rules,
		.n_rules = N_ELEMENTS(rules),
		.daemon = &c,
		.closed = on_closed };
	int r = c.base == NULL ? -ENOMEM : knock(&config.fd);

	if (r == 0)
		r = ipc_peer_new(&c.proxyd, &config);
	if (r < 0)
		(void)complain(DOOR, r);
	else if ((r = reload_hand_over(c.proxyd, o, on_reply, &c)) == 0)
		(void)event_base_dispatch(c.base);
	ipc_peer_free(c.proxyd);
	if (c.base != NULL)
		event_base_free(c.base);
	return r == 0 && !c.is_done ? -EINVAL : r;
}

// ---- the others

static int
send_level(const char *pid_text, enum log_level level)
{
	union sigval value = { .sival_int = (int)level };
	char *end;
	long pid;

	errno = 0;
	pid = strtol(pid_text, &end, 10);
	if (errno != 0 || *end != '\0' || pid <= 1 || (pid_t)pid != pid)
		return complain(pid_text, -EINVAL);
	return sigqueue((pid_t)pid, SIGHUP, value) == -1
	    ? complain(pid_text, -errno)
	    : 0;
}

static const struct daemon *
find_daemon(const char *name)
{
	for (size_t i = 0; i < N_DAEMONS; i++)
		if (strcmp(daemons[i].name, name) == 0)
			return &daemons[i];
	return NULL;
}

int
command_reload(int argc, char *const argv[])
{
	const struct daemon *d = argc < 3 ? NULL : find_daemon(argv[1]);
	struct run_options o;
	enum log_level level;
	int r;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		print_usage(stdout);
		return EXIT_SUCCESS;
	}
	if (d == NULL) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	// A file that is wrong cannot say how to log that.
	(void)log_set_format("auto", -1);
	r = reload_read(&o, argc - 2, argv + 2, &level);
	if (r == 0)
		r = d == &daemons[PROXYD] ? hand_over(&o)
					  : send_level(argv[2], level);
	run_options_done(&o);
	log_settle();
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
