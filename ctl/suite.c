// Parent of the daemons: makes their channels, starts them, waits until all
// can serve, passes the wish to stop on, and ends all when one dies.  Trusts
// no daemon: it hears one message from each, and how the signer is.  It must
// never restart a daemon or let the others run on without it.
#include "ctl/suite.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/log.h"
#include "ctl/spawn.h"
#include "ctl/state_dir.h"

static void
after_ms(struct event *event, unsigned ms)
{
	struct timeval tv = { .tv_sec = ms / 1000,
		.tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	(void)evtimer_add(event, &tv);
}

struct child *
suite_child_of(struct suite *s, enum ipc_role role)
{
	for (enum daemon_index d = 0; d < N_DAEMONS; d++)
		if (s->children[d].daemon->role == role)
			return &s->children[d];
	return NULL;
}

// ---- stop

static bool
all_ended(const struct suite *s)
{
	for (enum daemon_index d = 0; d < N_DAEMONS; d++)
		if (s->children[d].pid != 0)
			return false;
	return true;
}

static void
kill_all(struct suite *s)
{
	for (enum daemon_index d = 0; d < N_DAEMONS; d++) {
		struct child *child = &s->children[d];

		if (child->pid == 0)
			continue;
		LOG(LOG_WARNING, "daemon-killed",
		    F("daemon", child->daemon->name), F("pid", child->pid));
		(void)kill(child->pid, SIGKILL);
	}
}

static void
ask_to_stop(struct child *child)
{
	Ipc__Stop stop = IPC__STOP__INIT;

	// One that cannot hear it any more is dead, or dies of SIGKILL.
	if (child->peer != NULL)
		(void)!ipc_notify(
		    child->peer, IPC__TYPE__IPC_STOP, &stop.base, -1);
}

// proxyd first: no new requests.  Then gossipd, which says goodbye to its
// peers.  The others have nothing left to do after these.
static void
stop_all(struct suite *s, int exit_status)
{
	static const enum daemon_index order[N_DAEMONS] = { PROXYD, GOSSIPD,
		VERIFIER, SIGNER, CRYPTOD };

	if (s->is_stopping)
		return;
	s->is_stopping = true;
	s->exit_status = exit_status;
	for (size_t i = 0; i < N_DAEMONS; i++)
		ask_to_stop(&s->children[order[i]]);
	after_ms(s->deadline, SUITE_GRACE_MS);
	if (all_ended(s))
		(void)event_base_loopbreak(s->base);
}

static void
on_stop_signal(evutil_socket_t signal, short what, void *arg)
{
	struct suite *s = arg;

	(void)what;
	// The second time somebody is in a hurry.
	if (s->is_stopping) {
		kill_all(s);
		return;
	}
	LOG(LOG_INFO, "stopping", F("signal", sigabbrev_np((int)signal)));
	stop_all(s, EXIT_SUCCESS);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct suite *s = arg;

	(void)fd;
	(void)what;
	if (s->is_stopping) {
		kill_all(s);
		return;
	}
	for (enum daemon_index d = 0; d < N_DAEMONS; d++)
		if (!s->children[d].is_ready)
			LOG(LOG_ERROR, "daemon-not-ready",
			    F("daemon", s->children[d].daemon->name),
			    F("after_ms", (uint64_t)SUITE_READY_MS));
	stop_all(s, EXIT_FAILURE);
}

// ---- a child ends

// 2 stands for bad options; a daemon says so with the same status.
static int
exit_status_for(const struct child *child, int status)
{
	if (!child->is_ready && WIFEXITED(status) && WEXITSTATUS(status) == 2)
		return 2;
	return EXIT_FAILURE;
}

static void
child_ended(struct child *child, int status)
{
	struct suite *s = child->suite;
	char text[WAIT_TEXT_MAX];
	pid_t pid = child->pid;

	child->pid = 0;
	(void)event_del(child->silent);
	describe_wait(status, text);
	if (!s->is_stopping) {
		LOG(LOG_ERROR, "daemon-died", F("daemon", child->daemon->name),
		    F("pid", pid), F("how", &text[0]));
		stop_all(s, exit_status_for(child, status));
	} else if (status != 0) {
		LOG(LOG_DEBUG, "daemon-ended", F("daemon", child->daemon->name),
		    F("pid", pid), F("how", &text[0]));
	}
	if (all_ended(s))
		(void)event_base_loopbreak(s->base);
}

static void
on_child_signal(evutil_socket_t signal, short what, void *arg)
{
	struct suite *s = arg;

	(void)signal;
	(void)what;
	for (enum daemon_index d = 0; d < N_DAEMONS; d++) {
		struct child *child = &s->children[d];
		int status;

		if (child->pid != 0 &&
		    waitpid(child->pid, &status, WNOHANG) == child->pid)
			child_ended(child, status);
	}
}

static void
on_silent(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;

	(void)fd;
	(void)what;
	if (child->pid == 0 || child->suite->is_stopping)
		return;
	LOG(LOG_ERROR, "daemon-silent", F("daemon", child->daemon->name),
	    F("pid", child->pid));
	(void)kill(child->pid, SIGKILL);
}

static void
on_channel_closed(struct ipc_peer *peer, int reason)
{
	struct suite *s = ipc_peer_daemon(peer);
	struct child *child = suite_child_of(s, ipc_peer_role(peer));

	child->peer = NULL; // frees itself after this
	if (s->is_stopping)
		return;
	if (reason == -EPIPE || reason == -ECONNRESET) {
		// Most likely it died, and SIGCHLD says how in a moment.
		after_ms(child->silent, SUITE_SILENT_MS);
		return;
	}
	LOG(LOG_ERROR, "daemon-broke-contract",
	    F("daemon", child->daemon->name), F("error", log_error(reason)));
	stop_all(s, EXIT_FAILURE);
}

// ---- ready

static void
on_telling(evutil_socket_t fd, short what, void *arg)
{
	struct suite *s = arg;

	(void)fd;
	(void)what;
	// One that takes nothing more has other troubles than old numbers.
	if (!s->is_stopping)
		(void)!suite_tell_processes(s);
}

static void
on_measuring(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	suite_measure(arg);
}

int
suite_ready(struct suite *s)
{
	int r;

	if (s->is_stopping)
		return 0;
	s->is_ready = true;
	(void)event_del(s->deadline);
	if ((r = suite_tell_processes(s)) < 0 ||
	    (r = suite_tell_attester(s)) < 0)
		return r;
	suite_measure(s);
	if (printf("ready id=%s api=%s management=%s mesh=%s\n", s->endpoint_id,
		s->api, s->management, s->mesh) < 0 ||
	    fflush(stdout) != 0)
		LOG(LOG_WARNING, "no-standard-output",
		    F("error", log_error(errno)));
	return 0;
}

// ---- start

static int
watch_signal(struct suite *s, size_t i, int signal, event_callback_fn fn)
{
	s->signals[i] = evsignal_new(s->base, signal, fn, s);
	if (s->signals[i] == NULL || event_add(s->signals[i], NULL) == -1)
		return -ENOMEM;
	return 0;
}

static bool
has_terminal(void)
{
	AUTO_FD fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	return fd != -1;
}

// Somebody wants a reload, or our terminal is gone.
static void
on_hangup(evutil_socket_t signal, short what, void *arg)
{
	struct suite *s = arg;

	if (s->has_terminal && !has_terminal())
		on_stop_signal(signal, what, arg);
	else if (s->is_ready && !s->is_stopping)
		suite_reload(s);
}

static int
watch_signals(struct suite *s)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, hup;
	int r;

	if (sigaction(SIGPIPE, &ignore, NULL) == -1 ||
	    sigaction(SIGHUP, NULL, &hup) == -1)
		return -errno;
	if ((r = watch_signal(s, 0, SIGCHLD, on_child_signal)) < 0 ||
	    (r = watch_signal(s, 1, SIGTERM, on_stop_signal)) < 0 ||
	    (r = watch_signal(s, 2, SIGINT, on_stop_signal)) < 0)
		return r;
	// Under nohup(1) the end of the terminal is nothing to hear of.
	if (hup.sa_handler == SIG_IGN)
		return 0;
	s->has_terminal = has_terminal();
	return watch_signal(s, 3, SIGHUP, on_hangup);
}

static int
child_start(struct child *child, const struct run_options *options, int *fd)
{
	struct ipc_channel_config config = { .base = child->suite->base,
		.self = ROLE_PARENT,
		.role = child->daemon->role,
		.rules = parent_rules,
		.n_rules = parent_n_rules,
		.daemon = child->suite,
		.closed = on_channel_closed };
	struct arguments arguments;
	char path[PATH_MAX];
	struct spawn how = { .path = path,
		.fds = child->fds,
		.n_fds = child->n_fds,
		.privilege = &child->suite->privilege,
		.daemon = (enum daemon_index)(child->daemon - daemons) };
	int r;

	if ((r = daemon_find(child->daemon, options->daemon_dir, path)) < 0) {
		LOG(LOG_ERROR, "daemon-not-found",
		    F("program", child->daemon->program),
		    F("hint", "--daemon-dir says where the daemons are"));
		return r;
	}
	r = run_options_arguments(options, child->daemon, &arguments);
	if (r < 0)
		return r;
	how.argv = arguments.argv;
	r = spawn(&how, &child->pid);
	arguments_done(&arguments);
	if (r < 0)
		return r;
	config.fd = take_fd(fd);
	return ipc_peer_new(&child->peer, &config);
}

static int
make_state_dirs(const struct suite *s, const struct run_options *options)
{
	const struct privilege *p = &s->privilege;
	char error[512];
	int r;

	for (enum daemon_index d = 0; d < N_DAEMONS; d++) {
		struct state_dir dir = { .top = run_options_state_dir(options),
			.name = daemons[d].section,
			.uid = p->can_switch_users ? p->uids[d] : geteuid(),
			.gid = p->can_switch_users ? p->gids[d] : getegid() };

		if (!daemons[d].keeps_state)
			continue;
		r = state_dir_make(&dir, error, sizeof(error));
		if (r < 0) {
			LOG(LOG_ERROR, "no-state", F("error", &error[0]));
			return r;
		}
	}
	return 0;
}

static int
start_all(struct suite *s, const struct run_options *options)
{
	int parent[N_DAEMONS] = { -1, -1, -1, -1, -1 };
	int r = make_state_dirs(s, options);

	if (r == 0)
		r = suite_make_channels(s, parent);
	for (enum daemon_index d = 0; d < N_DAEMONS && r == 0; d++)
		r = child_start(&s->children[d], options, &parent[d]);
	// The children have theirs; ours would keep a dead one's alive.
	suite_close_channels(s);
	for (enum daemon_index d = 0; d < N_DAEMONS; d++)
		close_fd(&parent[d]);
	return r;
}

static int
suite_init(struct suite *s, struct event_base *base)
{
	memset(s, 0, sizeof(*s));
	s->base = base;
	for (enum daemon_index d = 0; d < N_DAEMONS; d++) {
		struct child *child = &s->children[d];

		child->suite = s;
		child->daemon = &daemons[d];
		child->silent = evtimer_new(base, on_silent, child);
		if (child->silent == NULL)
			return -ENOMEM;
	}
	if ((s->deadline = evtimer_new(base, on_deadline, s)) == NULL)
		return -ENOMEM;
	after_ms(s->deadline, SUITE_READY_MS);
	s->measuring = evtimer_new(base, on_measuring, s);
	s->telling = evtimer_new(base, on_telling, s);
	if (s->measuring == NULL || s->telling == NULL)
		return -ENOMEM;
	return watch_signals(s);
}

static void
suite_done(struct suite *s)
{
	for (enum daemon_index d = 0; d < N_DAEMONS; d++) {
		ipc_peer_free(s->children[d].peer);
		if (s->children[d].silent != NULL)
			event_free(s->children[d].silent);
	}
	for (size_t i = 0; i < N_ELEMENTS(s->signals); i++)
		if (s->signals[i] != NULL)
			event_free(s->signals[i]);
	if (s->measuring != NULL)
		event_free(s->measuring);
	if (s->telling != NULL)
		event_free(s->telling);
	if (s->deadline != NULL)
		event_free(s->deadline);
}

int
suite_run(const struct run_options *options, int argc, char *const argv[])
{
	struct event_base *base = event_base_new();
	char missing[PRIVILEGE_MISSING_MAX];
	struct suite s;
	int r;

	if (base == NULL)
		fatal("event_base", -ENOMEM);
	if ((r = suite_init(&s, base)) < 0)
		fatal("init", r);
	s.options = options;
	s.argc = argc;
	s.argv = argv;
	privilege_find(&s.privilege, missing);
	if (missing[0] != '\0')
		LOG(LOG_WARNING, "less-protected", F("missing", &missing[0]));
	if ((r = start_all(&s, options)) < 0) {
		LOG(LOG_ERROR, "not-started", F("error", log_error(r)));
		stop_all(&s, EXIT_FAILURE);
	}
	while (!all_ended(&s))
		if (event_base_dispatch(base) != 0)
			fatal("loop", -EIO);
	suite_done(&s);
	event_base_free(base);
	return s.exit_status;
}
