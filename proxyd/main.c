// meshllm-proxyd: HTTP for clients and backends, sealed tunnels to the mesh.
// The five steps of every daemon; no byte of anybody else is read before (5).
#include <event2/event.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/environment.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "proxyd/box.h"
#include "proxyd/json_memory.h"
#include "proxyd/measure.h"
#include "proxyd/proxyd.h"
#include "proxyd/sandbox.h"

static const char *const siblings[] = { "cryptod", "gossipd", "attestd", NULL };

// A connection and a tunnel or backend for each of CONNS_MAX and INBOUND_MAX.
static const struct process_limits limits = {
	.descriptors = 2 * CONNS_MAX + REFUSED_MAX + 2 * INBOUND_MAX +
	    BACKEND_IDLE_MAX * CONFIG_BACKENDS_MAX + 64,
	.data_bytes = (uint64_t)4 * 1024 * 1024 * 1024,
};

// It holds plaintext.  Returns what to say of that (measure.h).
static uint32_t
lock_memory(void)
{
#ifndef SANITIZERS // their shadow is larger than the memory
	int r = process_lock_memory();

	if (r == 0)
		return MEASURE_LOCKED;
	LOG(LOG_WARNING, "memory-not-locked", F("error", log_error(r)),
	    F("missing", "RLIMIT_MEMLOCK is not unlimited"));
#endif
	return 0;
}

// First uses that need a file, the locale or a random number.
static int
prepare_libraries(void)
{
	if (sodium_init() < 0)
		return -ENOSYS;
	json_memory_wipe();
	json_object_seed(randombytes_random());
	return box_prepare();
}

static struct event_base *
prepare(void)
{
	struct event_base *base;
	int r;

	if ((r = prepare_libraries()) < 0)
		fatal("libraries", r);
	if ((r = loop_new(&base)) < 0)
		fatal("loop", r);
	return base;
}

static void
give_all_up(struct proxyd *d)
{
	struct proxyd_landlock landlock;

	proxyd_landlock_init(
	    &landlock, &d->backends, &d->config->backend_ports);
	if (sandbox_give_all_up(
		&landlock.policy, proxyd_sandbox, proxyd_sandbox_len))
		d->measure.bits |= MEASURE_LANDLOCK;
}

// What it ends with.
static int
serve(struct proxyd *d, struct event_base *base)
{
	int r;

	if ((r = proxyd_watch(d)) < 0 || (r = proxyd_tell_ready(d)) < 0)
		fatal("watch", r);
	if (event_base_dispatch(base) == -1)
		fatal("loop", -EIO);
	return d->exit_status;
}

static void
complain_and_exit(const char *error, int status)
{
	LOG(LOG_ERROR, "fatal", F("error", error));
	(void)fprintf(stderr, "meshllm-proxyd: %s\n", error);
	exit(status);
}

int
main(int argc, char *argv[])
{
	struct process_channels channels;
	struct service_join join = { "meshllm-proxyd", siblings, NULL,
		proxyd_doors, PROXYD_DOORS };
	struct service *service;
	struct proxyd_config config;
	char error[CONFIG_ERROR_MAX];
	struct event_base *base;
	struct proxyd *d;
	uint32_t locked;
	int r, status;

	// 1. nothing inherited by accident
	log_open("proxyd");
	environment_clean_or_die(argv);
	if ((r = process_harden()) < 0)
		fatal("harden", r);

	// 2. what to do
	if ((r = config_read(&config, argc, argv, error)) == 1)
		return EXIT_SUCCESS;
	if (r < 0)
		complain_and_exit(error, 2);
	join.dir = config.doors;
	service_join(&join, &channels, &service);

	// 3. what needs a path, a privilege or much memory
	process_limit_or_die(&limits);
	locked = lock_memory();
	base = prepare();
	if (proxyd_new(&d, base, &config, &channels, service, error) < 0)
		complain_and_exit(error, EXIT_FAILURE);
	measure_self_or_die(&d->measure, false);
	d->measure.bits |= locked;
	if (service != NULL)
		measure_keep_usage_or_die(&d->measure);
	measure_machine(d);

	// 4. give it all up
	give_all_up(d);

	// 5. only now look at a byte that somebody else chose
	status = serve(d, base);
	proxyd_free(d);
	service_free(service);
	event_base_free(base);
	config_done(&config);
	return status;
}
