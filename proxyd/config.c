// The command line and the file, and what follows from them.  The stricter of
// two options always wins: attested hosts exclude plaintext and unsigned keys.
#include "proxyd/config.h"

#include <grp.h>
#include <stdio.h>
#include <string.h>

#include "common/backend_url.h"
#include "common/hex.h"
#include "common/node_options.h"
#include "common/values.h"
#include "proxyd/keep_alive.h"
#include "proxyd/party.h"
#include "proxyd/proxyd.h"
#include "proxyd/queue.h"
#include "proxyd/silence.h"

#define DEFAULT_API "127.0.0.1:9337"
#define DEFAULT_MANAGEMENT "127.0.0.1:3131"

enum {
	ANSWER_S = 600, // what OpenAI's clients wait for
	ANSWER_S_MAX = 24 * 3600,
	HOST_REQUESTS_MAX = 1000, // gossipd has no more tunnels to a peer
};

#define FIELD(name) offsetof(struct proxyd_config, name)

// clang-format off
static const struct option options[] = {
	{ "config", NULL, "FILE", "configuration file",
	    OPTION_STRING, FIELD(config) },
	{ "doors", NULL, "DIR", "started by systemd: the node's doors",
	    OPTION_STRING, FIELD(doors) },
	{ "state-dir", "meshllm", "DIR", NULL, OPTION_STRING, FIELD(state_dir) },
	{ "log-level", "meshllm", "LEVEL", "error, warning, info or debug",
	    OPTION_STRING, FIELD(log_level) },
	{ "log-format", "meshllm", "FORMAT", "auto, text, json or journal",
	    OPTION_STRING, FIELD(log_format) },
	{ "api", "proxyd", "ADDR:PORT",
	    "OpenAI API, or unix:/path; default " DEFAULT_API,
	    OPTION_STRING, FIELD(api), .check = value_check_api },
	{ "api-socket-mode", "proxyd", "MODE",
	    "of unix:/path, octal; default 0600",
	    OPTION_STRING, FIELD(api_socket_mode), .check = value_check_mode },
	{ "api-socket-group", "proxyd", "GROUP", "of unix:/path",
	    OPTION_STRING, FIELD(api_socket_group) },
	{ "api-keys", "proxyd", "FILE",
	    "hashes of the keys that clients of the API must present",
	    OPTION_STRING, FIELD(api_keys) },
	{ "allow-host", "proxyd", "NAME", "answer to this name in Host as well",
	    OPTION_STRINGS, FIELD(allow_hosts), .check = value_check_host },
	{ "allow-origin", "proxyd", "ORIGIN",
	    "let web pages of this origin ask",
	    OPTION_STRINGS, FIELD(allow_origins),
	    .check = value_check_origin },
	{ "management", "proxyd", "ADDR:PORT",
	    "status and health; default " DEFAULT_MANAGEMENT,
	    OPTION_STRING, FIELD(management) },
	{ "backend", "proxyd", "URL",
	    "inference server: http://ADDR:PORT[/prefix] or unix:/path",
	    OPTION_STRINGS, FIELD(backends), .check = backend_spec_check },
	{ "backend-port", "proxyd", "PORT",
	    "TCP port, or FIRST-LAST, for backends of later reloads",
	    OPTION_STRINGS, FIELD(backend_ports),
	    .check = backend_ports_check },
	{ "require-attested-hosts", "proxyd", "LEVEL",
	    "use only hosts with evidence of at least this level; hardware",
	    OPTION_FLAG_OR_STRING, FIELD(require_attested),
	    .check = value_check_level },
	{ "only-host", "proxyd", "ID",
	    "send prompts only to nodes with an endpoint id of this list",
	    OPTION_STRINGS, FIELD(only_hosts), .check = hex_check_endpoint_id },
	{ "allow-plaintext-peers", "proxyd", NULL,
	    "also use and serve peers that cannot encrypt",
	    OPTION_FLAG, FIELD(allow_plaintext_peers) },
	{ "allow-unsigned-keys", "proxyd", NULL,
	    "also use keys that their node did not sign",
	    OPTION_FLAG, FIELD(allow_unsigned_keys) },
	{ "keep-alive-seconds", "proxyd", "N",
	    "silence of a stream before a comment is sent; 15",
	    OPTION_UINT, FIELD(limits.keep_alive_seconds), 1, KEEP_ALIVE_S_MAX },
	{ "answer-seconds", "proxyd", "N",
	    "silence of a source before it is given up; 600",
	    OPTION_UINT, FIELD(answer_seconds), 1, ANSWER_S_MAX },
	{ "host-silence-seconds", "proxyd", "N",
	    "silence of a host that shows signs of life before it is given "
	    "up; 30",
	    OPTION_UINT, FIELD(limits.host_silence_seconds), SILENCE_S_MIN,
	    ANSWER_S_MAX },
	{ "backend-requests", "proxyd", "N",
	    "requests that one backend has at a time; 4096",
	    OPTION_UINT, FIELD(limits.backend_requests), 1, INBOUND_MAX },
	{ "host-requests", "proxyd", "N",
	    "requests that one host has of us at a time; 1000",
	    OPTION_UINT, FIELD(limits.host_requests), 1, HOST_REQUESTS_MAX },
	{ "peer-requests", "proxyd", "N",
	    "requests of one peer that are served at a time; 1000",
	    OPTION_UINT, FIELD(limits.peer_requests), 1, HOST_REQUESTS_MAX },
	{ "client-requests", "proxyd", "N",
	    "requests of one client without an API key at a time; 2048",
	    OPTION_UINT, FIELD(limits.client_requests), 1, CONNS_MAX },
	{ "client-connections", "proxyd", "N",
	    "connections of one address or user at a time; 2048",
	    OPTION_UINT, FIELD(limits.client_connections), 1, CONNS_MAX },
	{ "queue-requests", "proxyd", "N",
	    "requests that wait when all are busy; 1000",
	    OPTION_UINT, FIELD(limits.queue_requests), 1, QUEUE_REQUESTS_MAX },
	{ "queue-seconds", "proxyd", "N",
	    "how long they wait; 60",
	    OPTION_UINT, FIELD(limits.queue_seconds), 1, ANSWER_S_MAX },
};

static const char *const level_names[] = {
	[IPC__LEVEL__LEVEL_NONE] = "none",
	[IPC__LEVEL__LEVEL_SELF_SIGNED] = "self-signed",
	[IPC__LEVEL__LEVEL_TOFU] = "tofu",
	[IPC__LEVEL__LEVEL_PINNED] = "pinned",
	[IPC__LEVEL__LEVEL_HARDWARE] = "hardware",
	[IPC__LEVEL__LEVEL_MEASURED] = "measured",
	[IPC__LEVEL__LEVEL_CONFIDENTIAL_CPU] = "confidential-cpu",
};
// clang-format on

const char *
level_name(Ipc__Level level)
{
	return (size_t)level < N_ELEMENTS(level_names) ? level_names[level]
						       : "none";
}

int
level_parse(const char *name, Ipc__Level *ret)
{
	// "none" would require nothing; measured and confidential-cpu are
	// reserved: no verdict ever reaches them.
	for (size_t i = IPC__LEVEL__LEVEL_SELF_SIGNED;
	     i <= IPC__LEVEL__LEVEL_HARDWARE; i++)
		if (strcmp(name, level_names[i]) == 0) {
			*ret = (Ipc__Level)i;
			return 0;
		}
	return -EINVAL;
}

static int
check_listener(const char *option, const char *text, struct address *ret,
    char error[static CONFIG_ERROR_MAX])
{
	if (address_parse(text, ret) == 0)
		return 0;
	(void)snprintf(error, CONFIG_ERROR_MAX,
	    "--%s %.100s: not an ADDR:PORT with a numeric address", option,
	    text);
	return -EINVAL;
}

static int
check_management(
    struct proxyd_config *config, char error[static CONFIG_ERROR_MAX])
{
	const char *text = config->management != NULL ? config->management
						      : DEFAULT_MANAGEMENT;
	int r = check_listener(
	    "management", text, &config->management_at.address, error);

	if (r < 0 || address_is_loopback(&config->management_at.address))
		return r;
	(void)snprintf(error, CONFIG_ERROR_MAX,
	    "--management %.100s: only loopback addresses can be used: anybody "
	    "could ask",
	    text);
	return -EINVAL;
}

static int
check_socket_group(
    struct proxyd_config *config, char error[static CONFIG_ERROR_MAX])
{
	const char *name = config->api_socket_group;
	const struct group *group;

	if (name == NULL)
		return 0;
	if ((group = getgrnam(name)) == NULL) {
		(void)snprintf(error, CONFIG_ERROR_MAX,
		    "--api-socket-group %.40s: there is no such group", name);
		return -EINVAL;
	}
	config->api_at.has_gid = true;
	config->api_at.gid = group->gr_gid;
	return 0;
}

static int
check_api(struct proxyd_config *config, char error[static CONFIG_ERROR_MAX])
{
	static const char scheme[] = "unix:";
	const char *text = config->api != NULL ? config->api : DEFAULT_API;
	int r;

	if (strncmp(text, scheme, sizeof(scheme) - 1) == 0) {
		config->api_at.unix_path = text + sizeof(scheme) - 1;
		config->api_at.mode = value_mode(config->api_socket_mode != NULL
			? config->api_socket_mode
			: "0600");
		return 0;
	}
	if (config->api_socket_mode != NULL ||
	    config->api_socket_group != NULL) {
		(void)snprintf(error, CONFIG_ERROR_MAX,
		    "--api-socket-mode and --api-socket-group are for "
		    "--api=unix:/path");
		return -EINVAL;
	}
	r = check_listener("api", text, &config->api_at.address, error);
	if (r < 0 || address_is_loopback(&config->api_at.address) ||
	    config->api_keys != NULL)
		return r;
	(void)snprintf(error, CONFIG_ERROR_MAX,
	    "--api %.100s: is not a loopback address, so that others could "
	    "ask: that needs --api-keys (see meshllm key)",
	    text);
	return -EINVAL;
}

static int
check_level(struct proxyd_config *config, char error[static CONFIG_ERROR_MAX])
{
	const char *name = config->require_attested.value;

	config->is_attested_required = config->require_attested.is_set;
	if (!config->is_attested_required)
		return 0;
	if (name == NULL)
		name = "hardware";
	if (level_parse(name, &config->required_level) == 0)
		return 0;
	(void)snprintf(error, CONFIG_ERROR_MAX,
	    "--require-attested-hosts=%.40s: not one of self-signed, tofu, "
	    "pinned, hardware",
	    name);
	return -EINVAL;
}

static void
fill_in_numbers(struct proxyd_config *config)
{
	const struct {
		uint64_t *number;
		uint64_t otherwise;
	} all[] = {
		{ &config->limits.keep_alive_seconds, KEEP_ALIVE_S },
		{ &config->answer_seconds, ANSWER_S },
		{ &config->limits.host_silence_seconds, SILENCE_S },
		{ &config->limits.backend_requests, INBOUND_MAX },
		{ &config->limits.host_requests, HOST_REQUESTS_MAX },
		{ &config->limits.peer_requests, HOST_REQUESTS_MAX },
		{ &config->limits.client_requests, PARTY_REQUESTS },
		{ &config->limits.client_connections, CLIENT_CONNECTIONS },
		{ &config->limits.queue_requests, QUEUE_REQUESTS },
		{ &config->limits.queue_seconds, QUEUE_SECONDS },
	};

	for (size_t i = 0; i < N_ELEMENTS(all); i++)
		if (*all[i].number == 0)
			*all[i].number = all[i].otherwise;
}

// With evidence required, a key counts that its node has not signed only where
// an attestation key that the operator named has signed for it: at that level,
// and if both are asked for.
static void
draw_key_conclusions(struct proxyd_config *config)
{
	bool is_required = config->is_attested_required;

	config->plaintext_allowed =
	    config->allow_plaintext_peers && !is_required;
	config->unsigned_allowed = is_required
	    ? config->allow_unsigned_keys &&
		config->required_level == IPC__LEVEL__LEVEL_PINNED
	    : config->allow_unsigned_keys || config->allow_plaintext_peers;
}

static int
draw_conclusions(
    struct proxyd_config *config, char error[static CONFIG_ERROR_MAX])
{
	int r = check_api(config, error);

	if (r == 0)
		r = check_management(config, error);
	if (r == 0)
		r = check_level(config, error);
	if (r < 0)
		return r;
	if (config->backends.n > CONFIG_BACKENDS_MAX) {
		(void)snprintf(error, CONFIG_ERROR_MAX,
		    "--backend: more than %d", CONFIG_BACKENDS_MAX);
		return -EINVAL;
	}
	if (config->backend_ports.n > BACKEND_PORT_RANGES_MAX) {
		(void)snprintf(error, CONFIG_ERROR_MAX,
		    "--backend-port: more than %d", BACKEND_PORT_RANGES_MAX);
		return -EINVAL;
	}
	fill_in_numbers(config);
	draw_key_conclusions(config);
	return 0;
}

int
config_read(struct proxyd_config *ret, int argc, char *const argv[],
    char error[static CONFIG_ERROR_MAX])
{
	int r;

	memset(ret, 0, sizeof(*ret));
	r = options_parse(options, N_ELEMENTS(options), argc, argv, ret, error,
	    CONFIG_ERROR_MAX);
	if (r == 1)
		options_help(options, N_ELEMENTS(options),
		    "meshllm-proxyd [options]; started by `meshllm run` or "
		    "systemd");
	if (r != 0)
		return r;
	r = node_options_load(options, N_ELEMENTS(options), ret->config,
	    ret->doors != NULL, ret, error, CONFIG_ERROR_MAX);
	if (r < 0)
		return r;
	if ((r = draw_conclusions(ret, error)) < 0 ||
	    (r = node_options_log(
		 ret->log_level, ret->log_format, error, CONFIG_ERROR_MAX)) < 0)
		return r;
	return check_socket_group(ret, error);
}

int
config_read_again(struct proxyd_config *ret, int argc, char *const argv[],
    char error[static CONFIG_ERROR_MAX])
{
	int r;

	memset(ret, 0, sizeof(*ret));
	r = options_parse(options, N_ELEMENTS(options), argc, argv, ret, error,
	    CONFIG_ERROR_MAX);
	if (r == 1 || (r == 0 && ret->config != NULL)) {
		(void)snprintf(error, CONFIG_ERROR_MAX,
		    "--help and --config are for the start");
		return -EINVAL;
	}
	if (r == 0)
		r = draw_conclusions(ret, error);
	// Not its format: a journal is out of reach now.
	if (r == 0 && log_set_level_name(ret->log_level) < 0) {
		(void)snprintf(error, CONFIG_ERROR_MAX, "--log-level");
		r = -EINVAL;
	}
	return r;
}

void
config_done(struct proxyd_config *config)
{
	options_done(options, N_ELEMENTS(options), config);
}
