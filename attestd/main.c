// meshllm-attestd: the signer or the verifier, by --role, or for one question
// the examiner (examiner.c).  The steps of the start stand here in their
// order; no byte of another process is read before the last one.
#include <openssl/crypto.h>
#include <sodium.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "attestd/attestd.h"
#include "attestd/examiner.h"
#include "attestd/tcti_fd.h"
#include "common/environment.h"
#include "common/guard.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/node_options.h"
#include "common/service.h"

struct settings {
	char *config;
	char *doors;
	char *role;
	char *attester;
	char *ek_chain;
	char *state_dir;
	char *top_state_dir; // of all daemons, in the file
	char *log_level, *log_format;
	char *level, *at, *node, *inference_key;
	bool explain, saved_here;
};

// clang-format off
static const struct option options[] = {
	{ "config", NULL, "FILE", "configuration file",
	    OPTION_STRING, offsetof(struct settings, config) },
	{ "doors", NULL, "DIR", "started by systemd: the node's doors",
	    OPTION_STRING, offsetof(struct settings, doors) },
	{ "role", NULL, "ROLE", "signer, verifier or examiner",
	    OPTION_STRING, offsetof(struct settings, role) },
	{ "attester", "attestd", "NAME",
	    "what vouches for this node: tpm2[:TCTI], software or none",
	    OPTION_STRING, offsetof(struct settings, attester) },
	{ "ek-chain", "attestd", "FILE",
	    "certificates of those who certified this TPM, PEM",
	    OPTION_STRING, offsetof(struct settings, ek_chain) },
	{ "state-dir", NULL, "DIR", "the verifier's trust files",
	    OPTION_STRING, offsetof(struct settings, state_dir) },
	{ "state-dir", "meshllm", "DIR", NULL,
	    OPTION_STRING, offsetof(struct settings, top_state_dir) },
	{ "log-level", "meshllm", "LEVEL", "error, warning, info or debug",
	    OPTION_STRING, offsetof(struct settings, log_level) },
	{ "log-format", "meshllm", "FORMAT", "auto, text, json or journal",
	    OPTION_STRING, offsetof(struct settings, log_format) },
	// Of the examiner, for `meshllm verify`.
	{ "explain", NULL, NULL, "every check with its result",
	    OPTION_FLAG, offsetof(struct settings, explain) },
	{ "saved-here", NULL, NULL, "what the file says of activation counts",
	    OPTION_FLAG, offsetof(struct settings, saved_here) },
	{ "level", NULL, "LEVEL", "the lowest level that is good",
	    OPTION_STRING, offsetof(struct settings, level) },
	{ "at", NULL, "TIME", "judge as of then, or now",
	    OPTION_STRING, offsetof(struct settings, at) },
	{ "node", NULL, "ID", "whose evidence it must be",
	    OPTION_STRING, offsetof(struct settings, node) },
	{ "inference-key", NULL, "KEY", "which key it must vouch for",
	    OPTION_STRING, offsetof(struct settings, inference_key) },
};
// clang-format on

static const struct process_limits limits = {
	.descriptors = 320, // one for each peer that asks or is asked
	.data_bytes = 32 * 1024 * 1024,
};

static const char *const siblings[] = { "meshllm", "cryptod", "gossipd",
	"proxyd", NULL };

static bool
is_examiner(const struct settings *s)
{
	return s->role != NULL && strcmp(s->role, "examiner") == 0;
}

static struct examiner_options
examiner_options_of(const struct settings *s)
{
	return (struct examiner_options){ .state_dir = s->state_dir,
		.level = s->level,
		.at = s->at,
		.node = s->node,
		.inference_key = s->inference_key,
		.explain = s->explain,
		.saved_here = s->saved_here };
}

// No configuration file of libcrypto, no lines of libtss2.
static void
init_libraries(void)
{
	if (sodium_init() < 0 ||
	    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 ||
	    setenv("TSS2_LOG", "all+NONE", 1) == -1)
		fatal("libraries", -ENOMEM);
}

static int
check_settings(const struct settings *s, char *error, size_t error_len)
{
	struct attester_config config;
	const char *wrong = NULL, *why = NULL;

	if (is_examiner(s)) {
		struct examiner_options o = examiner_options_of(s);

		wrong = examiner_check(&o);
	} else if (s->role == NULL || attestd_find_role(s->role) == NULL)
		wrong = "--role: signer, verifier or examiner";
	else if (attester_parse(s->attester, &config, &why) < 0)
		wrong = why;
	if (wrong == NULL)
		return node_options_log(
		    s->log_level, s->log_format, error, error_len);
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
		r = node_options_load(options, N_ELEMENTS(options), s->config,
		    s->doors != NULL, s, error, sizeof(error));
	if (r == 0)
		r = node_options_state_dir(&s->state_dir, s->top_state_dir,
		    "attestd",
		    s->doors == NULL ? NULL
				     : LOCALSTATEDIR "/lib/meshllm/attestd");
	if (r == -ENOMEM)
		fatal("options", r);
	if (r == 0)
		r = check_settings(s, error, sizeof(error));
	if (r < 0) {
		(void)fprintf(stderr, "meshllm-attestd: %s\n", error);
		exit(2);
	}
}

// The only paths that a role may still reach.
struct paths {
	struct landlock_path at[2];
	char own[PATH_MAX];
	struct landlock_policy policy;
};

// The decisions are read, never written, whatever becomes of this process.
static int
init_verifier(struct attestd *d, const char *state_dir, struct paths *ret)
{
	int r, n;

	if ((r = sessions_new(&d->sessions)) < 0)
		return r;
	d->blob_cache = calloc(1, sizeof(*d->blob_cache));
	if (d->blob_cache == NULL)
		return -ENOMEM;
	if ((r = trust_store_init(&d->trust, state_dir)) < 0 ||
	    (r = trust_store_own(&d->trust)) < 0)
		return r;
	if (state_dir == NULL)
		return 0;
	n = snprintf(
	    ret->own, sizeof(ret->own), "%s/" TRUST_OWN_FOLDER, state_dir);
	if (n < 0 || (size_t)n >= sizeof(ret->own))
		return -ENAMETOOLONG;
	ret->at[0].path = state_dir;
	ret->at[1] = (struct landlock_path){ ret->own, true };
	ret->policy.n_paths = 2;
	return trust_watch_init(d, state_dir);
}

// Like an option that is wrong: it will be so at the next start, too.
static void
read_chain_or_die(const char *path, struct chain_file *ret)
{
	const char *why;

	if (path == NULL || chain_file_read(path, ret, &why) == 0)
		return;
	(void)fprintf(stderr, "meshllm-attestd: ek-chain: %s: %s\n", path, why);
	exit(2);
}

// What only one of the two has.
static int
init_role(struct attestd *d, const struct settings *s, struct paths *ret)
{
	struct attester_config config;
	bool is_socket;
	const char *why;
	int r;

	ret->policy = (struct landlock_policy){ .paths = ret->at };
	if (d->role->self == ROLE_VERIFIER)
		return init_verifier(d, s->state_dir, ret);
	if ((r = attester_parse(s->attester, &config, &why)) < 0)
		return r;
	read_chain_or_die(s->ek_chain, &config.ek_chain);
	// A device that is not there now cannot be allowed, nor opened later.
	if (config.kind == ATTESTER_TPM2 &&
	    tcti_fd_is_conf(config.tcti, &ret->at[0].path, &is_socket) &&
	    !is_socket && access(ret->at[0].path, F_OK) == 0) {
		ret->at[0].is_writable = true;
		ret->policy.n_paths = 1;
	}
	return signer_init(d, &config);
}

static int
examine(struct settings *s)
{
	struct examiner_options o = examiner_options_of(s);
	int r;

	init_libraries();
	r = examiner_run(&o);
	options_done(options, N_ELEMENTS(options), s);
	return r;
}

// Its channels are there, and nobody may read its memory.
static void
join_siblings(struct attestd *d, const struct settings *s,
    const struct attestd_role *role, struct process_channels *ret)
{
	struct service_join join = { "meshllm-attestd", siblings, s->doors,
		role->doors, role->n_channels };
	struct service *service;
	struct event_base *base;
	bool is_guarded;
	int r;

	service_join(&join, ret, &service);
	is_guarded = guard_start_or_die();
	if ((r = process_harden()) < 0)
		fatal("harden", r);
	process_limit_or_die(&limits);
	if ((r = loop_new(&base)) < 0)
		fatal("loop", r);
	attestd_init(d, role, base);
	d->service = service;
	measure_self_or_die(&d->measure, is_guarded);
	if (service != NULL)
		measure_keep_usage_or_die(&d->measure);
}

// Was it told to end?
static bool
serve(struct attestd *d, struct process_channels *channels)
{
	int r;

	if ((r = attestd_watch(d, channels)) < 0)
		fatal("watch", r);
	if (event_base_dispatch(d->base) == -1)
		fatal("loop", -EIO);
	return d->is_stopped;
}

static void
finish(struct attestd *d)
{
	attestd_done(d);
	service_free(d->service);
	event_base_free(d->base);
}

int
main(int argc, char **argv)
{
	struct settings settings = { 0 };
	struct paths paths = { 0 };
	struct process_channels channels;
	const struct attestd_role *role;
	struct attestd d;
	bool in_order;
	int r;

	// 1. nothing inherited by accident, no dumps
	log_open("attestd");
	environment_clean_or_die(argv);
	read_options(argc, argv, &settings);
	if (is_examiner(&settings))
		return examine(&settings);
	role = attestd_find_role(settings.role);
	log_open(role->name);
	join_siblings(&d, &settings, role, &channels);

	// 2. everything that needs a path, a privilege or much memory
	init_libraries();
	if ((r = init_role(&d, &settings, &paths)) < 0)
		fatal("init", r);

	// 3. give it all up, never back
	if (sandbox_give_all_up(&paths.policy, role->sandbox, role->n_sandbox))
		d.measure.bits |= MEASURE_LANDLOCK;
	options_done(options, N_ELEMENTS(options), &settings);

	// 4. only now look at a byte that somebody else chose
	in_order = serve(&d, &channels);
	finish(&d);
	return in_order ? EXIT_SUCCESS : EXIT_FAILURE;
}
