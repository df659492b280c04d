// meshllm-demo-backend: an OpenAI-shaped HTTP server for the demo, the system
// tests and the benchmark.  It is not a language model: it repeats the words
// it was sent, as fast, as slowly or as badly as it is asked to.  It listens
// on loopback only and must never be given anything real to keep.
#include "tests/tools/backend.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum option_id {
	OPT_PORT = 1,
	OPT_MODEL,
	OPT_RECORD,
	OPT_CHECKSUM,
	OPT_HALF_CLOSE,
	OPT_INTRODUCE,
	OPT_CONTEXT,
	OPT_FAULT,
	OPT_FAULT_AFTER,
	OPT_TOKENS,
	OPT_TOKEN_BYTES,
	OPT_DELAY,
	OPT_FIRST,
	OPT_FRAMING,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "port", required_argument, NULL, OPT_PORT },
	{ "model", required_argument, NULL, OPT_MODEL },
	{ "record", required_argument, NULL, OPT_RECORD },
	{ "checksum", no_argument, NULL, OPT_CHECKSUM },
	{ "half-close", no_argument, NULL, OPT_HALF_CLOSE },
	{ "introduce", no_argument, NULL, OPT_INTRODUCE },
	{ "context-words", required_argument, NULL, OPT_CONTEXT },
	{ "fault", required_argument, NULL, OPT_FAULT },
	{ "fault-after", required_argument, NULL, OPT_FAULT_AFTER },
	{ "tokens", required_argument, NULL, OPT_TOKENS },
	{ "token-bytes", required_argument, NULL, OPT_TOKEN_BYTES },
	{ "delay-ms", required_argument, NULL, OPT_DELAY },
	{ "first-ms", required_argument, NULL, OPT_FIRST },
	{ "framing", required_argument, NULL, OPT_FRAMING },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static void
usage(FILE *to)
{
	fprintf(to,
	    "usage: meshllm-demo-backend [--port PORT] [--model NAME]... "
	    "[options]\n"
	    "Not a language model: it repeats your words.\n");
	for (size_t i = 0; long_options[i].name != NULL; i++)
		fprintf(to, "  --%s%s\n", long_options[i].name,
		    long_options[i].has_arg == required_argument ? " VALUE"
								 : "");
}

static void
open_record(struct backend *b, const char *path)
{
	b->record_fd =
	    open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (b->record_fd == -1)
		tool_die(path);
}

static void
apply_flag(struct backend *b, int id)
{
	if (id == OPT_HELP) {
		usage(stdout);
		exit(EXIT_SUCCESS);
	}
	if (id == OPT_CHECKSUM)
		b->checksum = true;
	else if (id == OPT_HALF_CLOSE)
		b->half_close = true;
	else
		b->introduce = true;
}

static void
apply_option(struct backend *b, int id, const char *name, uint16_t *port)
{
	struct knobs *k = &b->defaults;
	int64_t *const numbers[] = { [OPT_CONTEXT] = &b->context_words,
		[OPT_FAULT_AFTER] = &k->fault_after,
		[OPT_TOKENS] = &k->tokens,
		[OPT_TOKEN_BYTES] = &k->token_bytes,
		[OPT_DELAY] = &k->delay_ms,
		[OPT_FIRST] = &k->first_ms,
		[OPT_FRAMING] = NULL };

	if (optarg == NULL) {
		apply_flag(b, id);
	} else if (id == OPT_PORT) {
		*port = (uint16_t)tool_number(name, optarg, 0, 65535);
	} else if (id == OPT_MODEL && b->n_models < MODELS_MAX) {
		b->models[b->n_models++] = optarg;
	} else if (id == OPT_RECORD) {
		open_record(b, optarg);
	} else if (id == OPT_FAULT) {
		(void)snprintf(k->fault, sizeof(k->fault), "%s", optarg);
	} else if (id == OPT_FRAMING) {
		(void)snprintf(k->framing, sizeof(k->framing), "%s", optarg);
	} else if (numbers[id] != NULL) {
		*numbers[id] = tool_number(name, optarg, 0, INT32_MAX);
	}
}

static uint16_t
parse_options(struct backend *b, int argc, char **argv)
{
	uint16_t port = 0;
	int index = 0;
	int id;

	while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (id == '?') {
			usage(stderr);
			exit(2);
		}
		apply_option(b, id, long_options[index].name, &port);
	}
	if (optind != argc) {
		usage(stderr);
		exit(2);
	}
	if (b->n_models == 0)
		b->models[b->n_models++] = "echo";
	return port;
}

static int
listen_on(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int one = 1;
	int fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		tool_die("socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, len) == -1 ||
	    listen(fd, 4096) == -1 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) == -1)
		tool_die("listen");
	printf("listening http://127.0.0.1:%u\n", ntohs(address.sin_port));
	if (fflush(stdout) == EOF)
		tool_die("stdout");
	return fd;
}

static void
on_accept(evutil_socket_t listener, short what, void *arg)
{
	int fd;

	(void)what;
	while ((fd = accept4(
		    listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1)
		conn_new(arg, fd);
}

int
main(int argc, char **argv)
{
	static struct backend b = { .record_fd = -1 };
	uint16_t port = parse_options(&b, argc, argv);

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		tool_die("signal");
	tool_raise_file_limit();
	b.started = (int64_t)time(NULL);
	b.base = event_base_new();
	b.scratch = malloc(SCRATCH_SIZE);
	if (b.base == NULL || b.scratch == NULL)
		tool_die("event_base_new");
	b.listen_fd = listen_on(port);
	if (event_assign(&b.listener, b.base, b.listen_fd, EV_READ | EV_PERSIST,
		on_accept, &b) == -1 ||
	    event_add(&b.listener, NULL) == -1)
		tool_die("event_add");
	(void)event_base_dispatch(b.base);
	tool_die("the event loop ended");
}
