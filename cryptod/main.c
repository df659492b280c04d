// meshllm-cryptod: the only process that holds the node's keys.  The steps
// of its start stand here in their order; no byte of another process is read
// before the last one.
#include <sodium.h>
#include <stdio.h>

#include "common/environment.h"
#include "common/guard.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/node_options.h"
#include "cryptod/cryptod.h"
#include "cryptod/replay.h"

struct settings {
	char *config;
	char *doors;
	char *state_dir;
	char *top_state_dir; // of all daemons, in the file
	uint64_t rotate_seconds;
	char *log_level, *log_format;
};

// clang-format off
static const struct option options[] = {
	{ "config", NULL, "FILE", "configuration file",
	    OPTION_STRING, offsetof(struct settings, config) },
	{ "doors", NULL, "DIR", "started by systemd: the node's doors",
	    OPTION_STRING, offsetof(struct settings, doors) },
	{ "state-dir", NULL, "DIR", "where the node's identity is kept",
	    OPTION_STRING, offsetof(struct settings, state_dir) },
	{ "state-dir", "meshllm", "DIR", NULL,
	    OPTION_STRING, offsetof(struct settings, top_state_dir) },
	{ "rotate-seconds", "cryptod", "N", "age of an inference key, 60 to 604800",
	    OPTION_UINT, offsetof(struct settings, rotate_seconds),
	    CRYPTOD_ROTATE_SECONDS_MIN, CRYPTOD_ROTATE_SECONDS_MAX },
	{ "log-level", "meshllm", "LEVEL", "error, warning, info or debug",
	    OPTION_STRING, offsetof(struct settings, log_level) },
	{ "log-format", "meshllm", "FORMAT", "auto, text, json or journal",
	    OPTION_STRING, offsetof(struct settings, log_format) },
};
// clang-format on

// The channels, and one descriptor that arrives and is refused; the replay
// memory alone is 32 MiB.
static const struct process_limits limits = {
	.descriptors = 32,
	.data_bytes = 128 * 1024 * 1024,
};

static const char *const siblings[] = { "meshllm", "proxyd", "gossipd",
	"attestd", NULL };

static void
read_options(int argc, char **argv, struct settings *s)
{
	char error[256];
	int r = options_parse(
	    options, N_ELEMENTS(options), argc, argv, s, error, sizeof(error));

	if (r == 1) {
		options_help(
		    options, N_ELEMENTS(options), "meshllm-cryptod [options]");
		exit(EXIT_SUCCESS);
	}
	if (r == 0)
		r = node_options_load(options, N_ELEMENTS(options), s->config,
		    s->doors != NULL, s, error, sizeof(error));
	if (r == 0)
		r = node_options_state_dir(&s->state_dir, s->top_state_dir,
		    "cryptod", LOCALSTATEDIR "/lib/meshllm/cryptod");
	if (r == -ENOMEM)
		fatal("options", r);
	if (r == 0)
		r = node_options_log(
		    s->log_level, s->log_format, error, sizeof(error));
	if (r < 0) {
		(void)fprintf(stderr, "meshllm-cryptod: %s\n", error);
		exit(2);
	}
}

static struct cryptod *
start(const struct settings *s, struct event_base *base)
{
	struct cryptod_config config = {
		.state_dir = s->state_dir,
		.credentials = getenv("CREDENTIALS_DIRECTORY"),
		.rotate_ms = s->rotate_seconds * 1000,
		.replay_entries = REPLAY_ENTRIES_MAX,
	};
	char error[STATE_ERROR_MAX];
	struct cryptod *d;

	if (config.rotate_ms == 0)
		config.rotate_ms = (uint64_t)CRYPTOD_ROTATE_SECONDS * 1000;
	if (cryptod_new(&d, &config, base, error) < 0) {
		LOG(LOG_ERROR, "cannot-start", F("reason", (char *)error));
		exit(EXIT_FAILURE);
	}
	return d;
}

static struct event_base *
prepare(void)
{
	struct event_base *base;
	int r;

	if (sodium_init() == -1)
		fatal("sodium_init", -EIO);
	if ((r = loop_new(&base)) < 0)
		fatal("loop", r);
	return base;
}

static void
measure(struct cryptod *d, bool is_guarded)
{
	measure_self_or_die(&d->measure, is_guarded);
	if (d->service != NULL)
		measure_keep_usage_or_die(&d->measure);
	if (secret_pool_is_memfd(d->pool))
		d->measure.bits |= MEASURE_SECRET_MEMORY;
}

// Was it told to end?
static bool
serve(struct cryptod *d, struct process_channels *channels,
    struct event_base *base)
{
	int r;

	if ((r = cryptod_watch(d, channels)) < 0)
		fatal("watch", r);
	LOG(LOG_INFO, "serving",
	    F("id", log_peer(identity_endpoint_id(d->identity))),
	    F("memfd_secret", secret_pool_is_memfd(d->pool)),
	    F("credential", identity_is_credential(d->identity)));
	if (event_base_dispatch(base) == -1)
		fatal("loop", -EIO);
	return d->is_stopped;
}

int
main(int argc, char **argv)
{
	struct settings settings = { 0 };
	struct process_channels channels;
	struct service_join join = { "meshllm-cryptod", siblings, NULL,
		cryptod_doors, cryptod_n_channels };
	struct service *service;
	struct event_base *base;
	struct cryptod *d;
	bool in_order, is_guarded;
	int r;

	// 1. nothing inherited by accident, no dumps
	log_open("cryptod");
	environment_clean_or_die(argv);
	read_options(argc, argv, &settings);
	join.dir = settings.doors;
	service_join(&join, &channels, &service);
	is_guarded = guard_start_or_die();
	if ((r = process_harden()) < 0)
		fatal("harden", r);
	process_limit_or_die(&limits);

	// 2. everything that needs a path, a privilege or much memory
	base = prepare();
	d = start(&settings, base);
	d->service = service;
	measure(d, is_guarded);

	// 3. give it all up, never back
	if (sandbox_give_all_up(
		&cryptod_landlock, cryptod_sandbox, cryptod_n_sandbox))
		d->measure.bits |= MEASURE_LANDLOCK;

	// 4. only now look at a byte that somebody else chose
	in_order = serve(d, &channels, base);
	cryptod_free(d);
	service_free(service);
	event_base_free(base);
	options_done(options, N_ELEMENTS(options), &settings);
	return in_order ? EXIT_SUCCESS : EXIT_FAILURE;
}
