// meshllm-attestd: the signer or the verifier, by --role.  The steps of the
// start stand here in their order; no byte of another process is read before
// the last one.
#include <stdio.h>
#include <string.h>

#include "attestd/attestd.h"
#include "common/environment.h"
#include "common/guard.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/options.h"

struct settings {
	char *role;
	char *attester;
	char *state_dir;
	char *log_level;
};

// clang-format off
static const struct option options[] = {
	{ "role", "attestd", "ROLE", "signer or verifier",
	    OPTION_STRING, offsetof(struct settings, role) },
	{ "attester", "attestd", "NAME", "what vouches for this node: none",
	    OPTION_STRING, offsetof(struct settings, attester) },
	{ "state-dir", "attestd", "DIR", "this version keeps nothing there",
	    OPTION_STRING, offsetof(struct settings, state_dir) },
	{ "log-level", "attestd", "LEVEL", "error, warning, info or debug",
	    OPTION_STRING, offsetof(struct settings, log_level) },
};
// clang-format on

static const struct process_limits limits = {
	.descriptors = 32,
	.data_bytes = 32 * 1024 * 1024,
};

static const char *const siblings[] = { "meshllm", "cryptod", "gossipd",
	"proxyd", NULL };

static int
check_settings(const struct settings *s, char *error, size_t error_len)
{
	const char *wrong = NULL;

	if (s->role == NULL || attestd_find_role(s->role) == NULL)
		wrong = "--role: signer or verifier";
	else if (s->attester != NULL &&
	    (strcmp(s->attester, "tpm2") == 0 ||
		strcmp(s->attester, "software") == 0))
		wrong = "--attester: not built into this version; use none";
	else if (s->attester != NULL && strcmp(s->attester, "none") != 0)
		wrong = "--attester: there is none of this name; use none";
	else if (log_set_level_name(s->log_level) < 0)
		wrong = "--log-level: not error, warning, info or debug";
	if (wrong == NULL)
		return 0;
	(void)snprintf(error, error_len, "%s", wrong);
	return -EINVAL;
}

static void
read_options(int argc, char **argv, struct settings *s)
{
	char error[256];
	int r = options_parse(
	    options, N_ELEMENTS(options), argc, argv, s, error, sizeof(error));

	if (r == 1) {
		options_help(options, N_ELEMENTS(options),
		    "meshllm-attestd --role ROLE [options]");
		exit(EXIT_SUCCESS);
	}
	if (r == 0)
		r = check_settings(s, error, sizeof(error));
	if (r < 0) {
		(void)fprintf(stderr, "meshllm-attestd: %s\n", error);
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	struct settings settings = { 0 };
	struct process_channels channels;
	const struct attestd_role *role;
	struct event_base *base;
	struct attestd d;
	bool is_guarded;
	int r;

	// 1. nothing inherited by accident, no dumps
	log_open("attestd");
	environment_clean_or_die(argv);
	read_options(argc, argv, &settings);
	role = attestd_find_role(settings.role);
	options_done(options, N_ELEMENTS(options), &settings);
	log_open(role->name);
	if (process_take_channels(role->n_channels, &channels) < 0) {
		process_explain_alone("meshllm-attestd", siblings);
		return 2;
	}
	is_guarded = guard_start_or_die();
	if ((r = process_harden()) < 0)
		fatal("harden", r);

	process_limit_or_die(&limits);

	// 2. everything that needs a path, a privilege or much memory
	if ((r = loop_new(&base)) < 0)
		fatal("loop", r);
	attestd_init(&d, role, base);
	measure_self_or_die(&d.measure, is_guarded);

	// 3. give it all up, never back
	if ((r = process_confine()) < 0)
		fatal("confine", r);
	if (landlock_enter_or_die(&role->landlock))
		d.measure.bits |= MEASURE_LANDLOCK;
	sandbox_enter_or_die(role->sandbox, role->n_sandbox);

	// 4. only now look at a byte that somebody else chose
	if ((r = attestd_watch(&d, &channels)) < 0)
		fatal("watch", r);
	if (event_base_dispatch(base) == -1)
		fatal("loop", -EIO);
	attestd_done(&d);
	event_base_free(base);
	return d.is_stopped ? EXIT_SUCCESS : EXIT_FAILURE;
}
