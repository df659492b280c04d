// meshllm-load: load and latency client for the OpenAI-shaped services of the
// benchmark and the soak test.  It needs the demo backend at the far end: the
// answers it expects, and the stamps from which it takes the delay that was
// added to a token, are that program's.  Both run on one machine, so they
// share CLOCK_MONOTONIC.  Ends with 0 only without an error.
#include "tests/bench/load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_id {
	OPT_URL = 1,
	OPT_MODE,
	OPT_MODEL,
	OPT_CONCURRENCY,
	OPT_SECONDS,
	OPT_REQUESTS,
	OPT_PROMPT_BYTES,
	OPT_TOKENS,
	OPT_DELAY,
	OPT_TIMEOUT,
	OPT_ABORT_EVERY,
	OPT_SEED,
};

static const struct option long_options[] = {
	{ "url", required_argument, NULL, OPT_URL },
	{ "mode", required_argument, NULL, OPT_MODE },
	{ "model", required_argument, NULL, OPT_MODEL },
	{ "concurrency", required_argument, NULL, OPT_CONCURRENCY },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "requests", required_argument, NULL, OPT_REQUESTS },
	{ "prompt-bytes", required_argument, NULL, OPT_PROMPT_BYTES },
	{ "tokens", required_argument, NULL, OPT_TOKENS },
	{ "delay-ms", required_argument, NULL, OPT_DELAY },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "abort-every", required_argument, NULL, OPT_ABORT_EVERY },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ NULL, 0, NULL, 0 },
};

_Noreturn static void
usage(void)
{
	fputs("usage: meshllm-load --url http://127.0.0.1:PORT --mode "
	      "rps|stream|upload|idle|soak [options]\n",
	    stderr);
	for (size_t i = 0; long_options[i].name != NULL; i++)
		fprintf(stderr, "  --%s VALUE\n", long_options[i].name);
	exit(2);
}

static void
parse_url(struct load *l, const char *url)
{
	static const char scheme[] = "http://";
	char host[sizeof(l->authority)];
	char *colon;

	if (strncmp(url, scheme, sizeof(scheme) - 1) == 0)
		url += sizeof(scheme) - 1;
	(void)snprintf(l->authority, sizeof(l->authority), "%.*s",
	    (int)strcspn(url, "/"), url);
	memcpy(host, l->authority, sizeof(host));
	colon = strrchr(host, ':');
	if (colon == NULL)
		usage();
	*colon = '\0';
	l->address.sin_family = AF_INET;
	l->address.sin_port =
	    htons((uint16_t)tool_number("url", colon + 1, 1, 65535));
	if (inet_pton(AF_INET, host, &l->address.sin_addr) != 1)
		usage();
}

static void
parse_mode(struct load *l, const char *name)
{
	static const char *const names[] = { [MODE_RPS] = "rps",
		[MODE_STREAM] = "stream",
		[MODE_UPLOAD] = "upload",
		[MODE_IDLE] = "idle",
		[MODE_SOAK] = "soak" };

	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			l->mode = (enum mode)i;
			return;
		}
	}
	usage();
}

static void
parse_number_option(struct load *l, int id, const char *name)
{
	int64_t n =
	    tool_number(name, optarg, id == OPT_CONCURRENCY ? 1 : 0, INT32_MAX);

	switch (id) {
	case OPT_CONCURRENCY:
		l->concurrency = (size_t)n;
		break;
	case OPT_SECONDS:
		l->seconds = n;
		break;
	case OPT_REQUESTS:
		l->requests = (uint64_t)n;
		break;
	case OPT_PROMPT_BYTES:
		l->prompt_bytes = (size_t)n;
		break;
	case OPT_TOKENS:
		l->tokens = n;
		break;
	case OPT_DELAY:
		l->delay_ms = n;
		break;
	case OPT_TIMEOUT:
		l->timeout_s = n;
		break;
	case OPT_ABORT_EVERY:
		l->abort_every = (uint64_t)n;
		break;
	default:
		l->seed = (uint64_t)n * 2 + 1; // never 0
		break;
	}
}

static void
parse_options(struct load *l, int argc, char **argv)
{
	int index = 0;
	int id;

	while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (id == OPT_URL)
			parse_url(l, optarg);
		else if (id == OPT_MODE)
			parse_mode(l, optarg);
		else if (id == OPT_MODEL)
			l->model = optarg;
		else if (id == '?')
			usage();
		else
			parse_number_option(l, id, long_options[index].name);
	}
	if (optind != argc || l->authority[0] == '\0')
		usage();
}

static void
on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct load *l = arg;
	struct timeval rest = { .tv_sec = l->timeout_s + 1 };

	(void)fd;
	(void)what;
	if (l->stopping || l->mode == MODE_IDLE) {
		(void)event_base_loopbreak(l->base);
		return;
	}
	l->stopping = true;
	if (evtimer_add(&l->stop, &rest) == -1)
		tool_die("evtimer_add");
}

// Idle streams: wait until all are open, say so, then hold them.
static void
run_idle(struct load *l)
{
	int64_t limit = tool_now_ns() + l->timeout_s * 1000000000;
	struct timeval hold = { .tv_sec = l->seconds };

	while (l->open < l->concurrency && l->results.errors == 0 &&
	    tool_now_ns() < limit)
		if (event_base_loop(l->base, EVLOOP_ONCE) != 0)
			break;
	printf("open %zu\n", l->open);
	if (fflush(stdout) == EOF)
		tool_die("stdout");
	if (l->open < l->concurrency)
		results_error(&l->results, "stream not open in time");
	if (evtimer_add(&l->stop, &hold) == -1)
		tool_die("evtimer_add");
	(void)event_base_dispatch(l->base);
}

static void
run(struct load *l)
{
	struct timeval until = { .tv_sec = l->seconds };

	if (evtimer_assign(&l->stop, l->base, on_stop, l) == -1)
		tool_die("evtimer_assign");
	l->results.begin_ns = tool_now_ns();
	for (size_t i = 0; i < l->concurrency; i++) {
		l->clients[i].load = l;
		client_start(&l->clients[i]);
	}
	if (l->mode == MODE_IDLE) {
		run_idle(l);
		return;
	}
	if (l->requests == 0 && l->mode != MODE_STREAM &&
	    evtimer_add(&l->stop, &until) == -1)
		tool_die("evtimer_add");
	if (l->live != 0)
		(void)event_base_dispatch(l->base);
}

int
main(int argc, char **argv)
{
	static struct load l = { .model = "echo",
		.concurrency = 1,
		.seconds = 2,
		.timeout_s = 30,
		.prompt_bytes = 1024,
		.tokens = 100,
		.delay_ms = 20,
		.seed = 88172645463325252U };

	parse_options(&l, argc, argv);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		tool_die("signal");
	tool_raise_file_limit();
	l.base = event_base_new();
	l.clients = calloc(l.concurrency, sizeof(*l.clients));
	if (l.base == NULL || l.clients == NULL)
		tool_die("calloc");
	if (l.mode == MODE_UPLOAD && l.requests == 0)
		l.requests = 4;
	if (l.mode == MODE_IDLE)
		l.tokens = 3;
	request_make(&l);
	run(&l);
	for (size_t i = 0; i < l.concurrency; i++)
		client_stop(&l.clients[i]);
	report_print(&l);
	buffer_done(&l.request);
	buffer_done(&l.expected);
	free(l.clients);
	event_base_free(l.base);
	return l.results.errors == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
