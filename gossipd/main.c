// meshllm-gossipd: the mesh side of a node.
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>

#include "common/environment.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/node_options.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "gossipd/gossipd.h"

// A descriptor for each tunnel.  What peers can make it hold is bounded one
// by one elsewhere; this is for the case that they work together.
static const struct process_limits limits = {
	.descriptors = 16 * 1024,
	.data_bytes = (uint64_t)2 * 1024 * 1024 * 1024,
};

static const char *const siblings[] = { "cryptod", "proxyd", "attestd", NULL };

static struct event_base *
prepare(void)
{
	struct event_base *base;
	int r;

	process_limit_or_die(&limits);
	if (sodium_init() < 0)
		fatal("sodium_init", -EIO);
	json_object_seed(0); // reads a file at its first use otherwise
	if ((r = loop_new(&base)) < 0)
		fatal("loop", r);
	return base;
}

static int
parse(struct gossipd_options *options, int argc, char *argv[])
{
	char error[512];
	int r;

	r = options_parse(gossipd_options, gossipd_n_options, argc, argv,
	    options, error, sizeof(error));
	if (r == 0)
		r = node_options_load(gossipd_options, gossipd_n_options,
		    options->config, options->doors != NULL, options, error,
		    sizeof(error));
	if (r == 0 &&
	    node_options_state_dir(&options->state_dir, options->top_state_dir,
		"gossipd", LOCALSTATEDIR "/lib/meshllm/gossipd") < 0)
		fatal("options", -ENOMEM);
	if (r == 0)
		r = node_options_log(options->log_level, options->log_format,
		    error, sizeof(error));
	if (r == 1)
		options_help(gossipd_options, gossipd_n_options,
		    "meshllm-gossipd [OPTION]...");
	else if (r < 0)
		(void)fprintf(stderr, "meshllm-gossipd: %s\n", error);
	return r;
}

int
main(int argc, char *argv[])
{
	struct gossipd_options options = { 0 };
	struct process_channels channels;
	struct service_join join = { "meshllm-gossipd", siblings, NULL,
		gossipd_doors, GOSSIPD_CHANNELS };
	struct service *service;
	struct event_base *base;
	struct gossipd *d;
	int r;

	log_open("gossipd");
	environment_clean_or_die(argv);
	if ((r = parse(&options, argc, argv)) != 0)
		return r == 1 ? 0 : 2;
	join.dir = options.doors;
	service_join(&join, &channels, &service);
	if ((r = process_harden()) < 0)
		fatal("harden", r);
	base = prepare();
	if ((r = gossipd_new(&d, base, &options, &channels, service)) < 0)
		fatal("start", r);
	measure_self_or_die(&d->measure, false);
	if (service != NULL)
		measure_keep_usage_or_die(&d->measure);
	if ((r = gossipd_start(d)) == -ECANCELED)
		return EXIT_SUCCESS;
	if (r < 0)
		fatal("start", r);

	if (sandbox_give_all_up(
		&gossipd_landlock, gossipd_sandbox, gossipd_n_sandbox))
		d->measure.bits |= MEASURE_LANDLOCK;

	if ((r = gossipd_ready(d)) < 0)
		fatal("ready", r);
	(void)event_base_dispatch(base);
	if (!d->stopping)
		fatal("loop ended", -EIO);
	gossipd_free(d);
	service_free(service);
	event_base_free(base);
	options_done(gossipd_options, gossipd_n_options, &options);
	return EXIT_SUCCESS;
}
