// Stands for every daemon in the tests of `meshllm run`: greets, is ready,
// and behaves as the file `behaviour` beside it says (`name=what`, one per
// line).  Writes what it was given to `name.report` in the same folder.
#include <dirent.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/ipc.h"
#include "common/process.h"

extern char **environ;

static struct event_base *base;
static char dir[512], behaviour[64];
static const char *name;
static enum ipc_role role;
static unsigned n_siblings;

static bool
behaves(const char *what)
{
	return strcmp(behaviour, what) == 0;
}

static void
read_behaviour(void)
{
	char path[600], line[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/behaviour", dir);
	if ((f = fopen(path, "re")) == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		char *value = strchr(line, '=');

		line[strcspn(line, "\n")] = '\0';
		if (value == NULL)
			continue;
		*value++ = '\0';
		if (strcmp(line, name) == 0)
			(void)snprintf(
			    behaviour, sizeof(behaviour), "%.60s", value);
	}
	(void)fclose(f);
}

static void
report_descriptors(FILE *f)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;

	(void)fprintf(f, "fds");
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && atol(e->d_name) != dirfd(d) &&
		    atol(e->d_name) != fileno(f))
			(void)fprintf(f, " %s", e->d_name);
	(void)fprintf(f, "\n");
	(void)closedir(d);
}

static void
report(int argc, char *const argv[])
{
	char path[600];
	int death_signal = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s.report", dir, name);
	if ((f = fopen(path, "we")) == NULL)
		exit(3);
	(void)prctl(PR_GET_PDEATHSIG, &death_signal);
	for (int i = 0; i < argc; i++)
		(void)fprintf(f, "arg %s\n", argv[i]);
	for (char **e = environ; *e != NULL; e++)
		(void)fprintf(f, "env %s\n", *e);
	report_descriptors(f);
	(void)fprintf(f, "pid %d\ndeath-signal %d\nsession %d\n", getpid(),
	    death_signal, getsid(0) == getpid());
	(void)fclose(f);
}

static void
note(const char *text)
{
	char path[600];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s.report", dir, name);
	if ((f = fopen(path, "ae")) == NULL)
		exit(3);
	(void)fprintf(f, "%s\n", text);
	(void)fclose(f);
}

static int
handle_stop(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	(void)peer;
	(void)frame;
	(void)msg;
	note("stop");
	if (!behaves("ignore-stop"))
		(void)event_base_loopbreak(base);
	return 0;
}

static int
handle_processes(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__Processes *list = (const Ipc__Processes *)msg;
	char text[128];

	(void)peer;
	(void)frame;
	for (size_t i = 0; i < list->n_processes; i++) {
		(void)snprintf(text, sizeof(text), "process %s %u",
		    list->processes[i]->name, list->processes[i]->pid);
		note(text);
	}
	return 0;
}

static int
handle_posture(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__Posture *posture = (const Ipc__Posture *)msg;
	char text[128];

	(void)peer;
	(void)frame;
	(void)snprintf(text, sizeof(text), "posture %zu items %zu images",
	    posture->n_items, posture->n_images);
	note(text);
	return 0;
}

static const struct ipc_rule rules[] = {
	{ IPC__TYPE__IPC_POSTURE, .from = FROM(ROLE_PARENT),
	    .phases = IPC_SERVING, .max_body = IPC_BODY_MAX,
	    .descriptor = &ipc__posture__descriptor, .handle = handle_posture },
	{ IPC__TYPE__IPC_STOP, .from = FROM(ROLE_PARENT), .phases = IPC_SERVING,
	    .max_body = 0, .descriptor = &ipc__stop__descriptor,
	    .handle = handle_stop },
	{ IPC__TYPE__IPC_PROCESSES, .from = FROM(ROLE_PARENT),
	    .phases = IPC_SERVING, .max_body = 512,
	    .descriptor = &ipc__processes__descriptor,
	    .handle = handle_processes },
};

static void
on_closed(struct ipc_peer *peer, int reason)
{
	(void)peer;
	(void)reason;
	if (!behaves("close-channel"))
		exit(4);
}

static void
send_ready(struct ipc_peer *parent)
{
	static char bad[] = "x\033[2J", mesh[] = "127.0.0.1:3";
	static char api[] = "127.0.0.1:1", management[] = "[::1]:2";
	Ipc__Ready ready = IPC__READY__INIT;
	uint8_t id[32];

	memset(id, 0xab, sizeof(id));
	if (role == ROLE_CRYPTOD) {
		ready.has_endpoint_id = 1;
		ready.endpoint_id.data = id;
		ready.endpoint_id.len = behaves("short-id") ? 31 : 32;
	}
	if (role == ROLE_GOSSIPD)
		ready.mesh_address = behaves("bad-address") ? bad : mesh;
	if (role == ROLE_PROXYD) {
		ready.api_address = api;
		ready.management_address = management;
	}
	if (ipc_notify(parent, IPC__TYPE__IPC_READY, &ready.base, -1) < 0)
		exit(5);
}

static void
misbehave(struct ipc_peer *parent)
{
	if (behaves("exit-2"))
		exit(2);
	if (behaves("no-ready"))
		return;
	send_ready(parent);
	if (behaves("ready-twice"))
		send_ready(parent);
	if (behaves("close-channel"))
		(void)shutdown(PROCESS_PARENT_FD, SHUT_RDWR);
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (behaves("later-abort"))
		(void)raise(SIGABRT);
	if (behaves("later-sigsys"))
		(void)raise(SIGSYS);
	if (behaves("later-exit"))
		exit(0);
}

static void
find_role(int argc, char *const argv[])
{
	const char *program = argv[0], *slash;
	const char *path = (const char *)(uintptr_t)getauxval(AT_EXECFN);

	slash = strrchr(path, '/');
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	if (strcmp(program, "meshllm-cryptod") == 0) {
		role = ROLE_CRYPTOD;
		n_siblings = 4;
	} else if (strcmp(program, "meshllm-gossipd") == 0) {
		role = ROLE_GOSSIPD;
		n_siblings = 4;
	} else if (strcmp(program, "meshllm-proxyd") == 0) {
		role = ROLE_PROXYD;
		n_siblings = 3;
	} else if (argc > 1 && strcmp(argv[1], "--role=signer") == 0) {
		role = ROLE_SIGNER;
		n_siblings = 2;
	} else {
		role = ROLE_VERIFIER;
		n_siblings = 1;
	}
	name = ipc_role_name(role);
}

int
main(int argc, char *argv[])
{
	struct ipc_channel_config config = { .rules = rules,
		.n_rules = N_ELEMENTS(rules),
		.role = ROLE_PARENT,
		.closed = on_closed };
	struct rlimit no_core = { 0, 0 };
	struct timeval soon = { .tv_usec = 100 * 1000 };
	struct process_channels channels;
	struct ipc_peer *parent;

	find_role(argc, argv);
	read_behaviour();
	report(argc, argv);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	if (process_take_channels(n_siblings, &channels) < 0)
		return 6;
	base = event_base_new();
	config.base = base;
	config.self = role;
	config.fd = channels.parent_fd;
	if (ipc_peer_new(&parent, &config) < 0)
		return 7;
	misbehave(parent);
	(void)event_base_once(base, -1, EV_TIMEOUT, on_later, NULL, &soon);
	// The loop ends by itself when the channel is closed; we stay.
	while (!event_base_got_break(base) && event_base_dispatch(base) >= 0)
		(void)usleep(10 * 1000);
	return 0;
}
