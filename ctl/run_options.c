// What the caller and the configuration file say, checked and shared out.
// Trusts neither; it must never give a daemon a key of another's section.
#include "ctl/run_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/address.h"
#include "common/backend_url.h"
#include "common/hex.h"
#include "common/log.h"
#include "common/values.h"

#define SUITE "meshllm" // section of what concerns all daemons
#define AT(field) offsetof(struct run_options, field)

static const char *
check_address(const char *text)
{
	struct address ignored;

	return address_parse(text, &ignored) == 0
	    ? NULL
	    : "is not ADDR:PORT (numbers only, IPv6 as [ADDR]:PORT)";
}

static const char *
check_attester(const char *text)
{
	if (strcmp(text, "none") == 0 || strcmp(text, "software") == 0 ||
	    strcmp(text, "tpm2") == 0 || strncmp(text, "tpm2:", 5) == 0)
		return NULL;
	return "is not tpm2[:TCTI], software or none";
}

// What it says only gossipd can read.
static const char *
check_token(const char *text)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz"
				       "0123456789-_";

	return strspn(text, alphabet) == strlen(text)
	    ? NULL
	    : "has a character that no invite token has";
}

static const char *
check_level(const char *text)
{
	static const char *const levels[] = { "error", "warning", "info",
		"debug" };

	for (size_t i = 0; i < N_ELEMENTS(levels); i++)
		if (strcmp(text, levels[i]) == 0)
			return NULL;
	return "is not error, warning, info or debug";
}

static const char *
check_format(const char *text)
{
	static const char *const formats[] = { "auto", "text", "json",
		"journal" };

	for (size_t i = 0; i < N_ELEMENTS(formats); i++)
		if (strcmp(text, formats[i]) == 0)
			return NULL;
	return "is not auto, text, json or journal";
}

// clang-format off
static const struct option table[] = {
	{ "config", NULL, "FILE",
	    "Configuration file; " DEFAULT_CONFIG " if it exists.",
	    OPTION_STRING, AT(config) },
	{ "daemon-dir", NULL, "DIR", "Where the daemons' programs are.",
	    OPTION_STRING, AT(daemon_dir) },
	{ "state-dir", SUITE, "DIR",
	    "Identity and trust of this node; " DEFAULT_STATE_DIR ".",
	    OPTION_STRING, AT(state_dir) },
	{ "log-level", SUITE, "LEVEL", "error, warning, info or debug.",
	    OPTION_STRING, AT(log_level), .check = check_level },
	{ "log-format", SUITE, "FORMAT", "auto, text, json or journal.",
	    OPTION_STRING, AT(log_format), .check = check_format },
	{ "rotate-seconds", "cryptod", "N",
	    "Age at which the inference key is replaced, 60 to 604800; 86400.",
	    OPTION_UINT, AT(rotate_seconds), 60, 604800 },
	{ "attester", "attestd", "NAME",
	    "What vouches for this node: tpm2[:TCTI], software or none.",
	    OPTION_STRING, AT(attester), .check = check_attester },
	{ "ek-chain", "attestd", "FILE",
	    "Certificates of those who certified this machine's TPM, PEM.",
	    OPTION_STRING, AT(ek_chain) },
	{ "mesh", "gossipd", "ADDR:PORT",
	    "UDP address for other nodes; 0.0.0.0:9337 and [::]:9337.",
	    OPTION_STRINGS, AT(mesh), .check = check_address },
	{ "advertise", "gossipd", "ADDR:PORT",
	    "Address to put into the invite token.",
	    OPTION_STRINGS, AT(advertise), .check = check_address },
	{ "join", "gossipd", "TOKEN", "Invite token of a node to join.",
	    OPTION_STRINGS, AT(join), .check = check_token },
	{ "api", "proxyd", "ADDR:PORT",
	    "OpenAI API for clients of this machine; 127.0.0.1:9337.",
	    OPTION_STRING, AT(api), .check = value_check_api },
	{ "api-socket-mode", "proxyd", "MODE",
	    "Mode of the socket of --api=unix:/path, octal; 0600.",
	    OPTION_STRING, AT(api_socket_mode), .check = value_check_mode },
	{ "api-socket-group", "proxyd", "GROUP",
	    "Group of the socket of --api=unix:/path.",
	    OPTION_STRING, AT(api_socket_group) },
	{ "api-keys", "proxyd", "FILE",
	    "Clients of the API must present a key of this file.",
	    OPTION_STRING, AT(api_keys) },
	{ "allow-host", "proxyd", "NAME",
	    "Name by which clients reach the API, besides localhost.",
	    OPTION_STRINGS, AT(allow_host), .check = value_check_host },
	{ "allow-origin", "proxyd", "ORIGIN",
	    "Web pages of this origin may use the API.",
	    OPTION_STRINGS, AT(allow_origin), .check = value_check_origin },
	{ "management", "proxyd", "ADDR:PORT",
	    "Status and health; " DEFAULT_MANAGEMENT ".",
	    OPTION_STRING, AT(management), .check = check_address },
	{ "backend", "proxyd", "URL",
	    "Inference server of this machine; makes the node a host.",
	    OPTION_STRINGS, AT(backend), .check = backend_spec_check },
	{ "backend-port", "proxyd", "PORT",
	    "TCP port that a backend of a later reload may have.",
	    OPTION_STRINGS, AT(backend_port),
	    .check = backend_ports_check },
	{ "require-attested-hosts", "proxyd", "LEVEL",
	    "Send prompts only to hosts with evidence of this level.",
	    OPTION_FLAG_OR_STRING, AT(require_attested_hosts),
	    .check = value_check_level },
	{ "only-host", "proxyd", "ID",
	    "Send prompts only to nodes with an endpoint id of this list.",
	    OPTION_STRINGS, AT(only_host), .check = hex_check_endpoint_id },
	{ "allow-plaintext-peers", "proxyd", NULL,
	    "Talk to peers without encryption where they have none.",
	    OPTION_FLAG, AT(allow_plaintext_peers) },
	{ "allow-unsigned-keys", "proxyd", NULL,
	    "Encrypt also to keys that their node has not signed.",
	    OPTION_FLAG, AT(allow_unsigned_keys) },
	{ "keep-alive-seconds", "proxyd", "N",
	    "Silence in a stream after which a comment is sent; 15.",
	    OPTION_UINT, AT(keep_alive_seconds), 1, 3600 },
	{ "answer-seconds", "proxyd", "N",
	    "Silence of a host or backend after which it is given up; 600.",
	    OPTION_UINT, AT(answer_seconds), 1, 86400 },
	{ "backend-requests", "proxyd", "N",
	    "Requests that one backend has at a time; 4096.",
	    OPTION_UINT, AT(backend_requests), 1, 4096 },
	{ "host-silence-seconds", "proxyd", "N",
	    "Silence of a host that shows signs of life; 30.",
	    OPTION_UINT, AT(host_silence_seconds), 3, 86400 },
	{ "host-requests", "proxyd", "N",
	    "Requests that one host has of this node at a time; 1000.",
	    OPTION_UINT, AT(host_requests), 1, 1000 },
	{ "client-requests", "proxyd", "N",
	    "Requests of one client without an API key at a time; 2048.",
	    OPTION_UINT, AT(client_requests), 1, 4096 },
	{ "client-connections", "proxyd", "N",
	    "Connections of one address or user at a time; 2048.",
	    OPTION_UINT, AT(client_connections), 1, 4096 },
	{ "peer-requests", "proxyd", "N",
	    "Requests of one peer that are served at a time; 1000.",
	    OPTION_UINT, AT(peer_requests), 1, 1000 },
	{ "queue-requests", "proxyd", "N",
	    "Requests that wait when all are busy; 1000.",
	    OPTION_UINT, AT(queue_requests), 1, 65536 },
	{ "queue-seconds", "proxyd", "N",
	    "How long a request waits for its turn; 60.",
	    OPTION_UINT, AT(queue_seconds), 1, 86400 },
};
// clang-format on

void
run_options_help(void)
{
	options_help(table, N_ELEMENTS(table), "meshllm run [OPTION...]");
}

void
run_options_done(struct run_options *o)
{
	options_done(table, N_ELEMENTS(table), o);
}

int
run_options_load(
    struct run_options *o, const char *path, char *error, size_t error_len)
{
	bool is_default = path == NULL;
	int r;

	if (is_default)
		path = DEFAULT_CONFIG;
	r = options_load(
	    table, N_ELEMENTS(table), path, NULL, o, error, error_len);
	return is_default && r == -ENOENT ? 0 : r;
}

int
run_options_read(struct run_options *ret, int argc, char *const argv[],
    char *error, size_t error_len)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	r = options_parse(
	    table, N_ELEMENTS(table), argc, argv, ret, error, error_len);
	if (r == 0)
		r = run_options_load(ret, ret->config, error, error_len);
	// Takes effect here as well: our own log is one of the node's.
	if (r == 0)
		r = log_set_level_name(ret->log_level);
	if (r == 0)
		r = log_set_format(ret->log_format, -1);
	return r;
}

const char *
run_options_state_dir(const struct run_options *o)
{
	return o->state_dir == NULL ? DEFAULT_STATE_DIR : o->state_dir;
}

int
run_options_trust_dir(const char *state_dir, const char *file,
    char ret[static PATH_MAX], char *error, size_t error_len)
{
	struct run_options from_file = { 0 };
	int r = 0, n;

	if (state_dir == NULL) {
		r = run_options_load(&from_file, file, error, error_len);
		state_dir = run_options_state_dir(&from_file);
	}
	n = snprintf(ret, PATH_MAX, "%s/attestd", state_dir);
	run_options_done(&from_file);
	if (r < 0 || (n >= 0 && n < PATH_MAX))
		return r;
	(void)snprintf(error, error_len, "--state-dir is too long");
	return -ENAMETOOLONG;
}

// --name, or --name=value.
static int
add(struct arguments *a, const char *name, const char *value)
{
	char *text = NULL;
	int n;

	if (a->n >= ARGUMENTS_MAX)
		return -E2BIG;
	n = value == NULL ? asprintf(&text, "--%s", name)
			  : asprintf(&text, "--%s=%s", name, value);
	if (n == -1)
		return -ENOMEM;
	a->argv[a->n++] = text;
	return 0;
}

static int
add_option(struct arguments *a, const struct option *o, const void *field)
{
	const struct option_list *list = field;
	const struct option_word *word = field;
	char *const *text = field;
	uint64_t number;
	char digits[24];
	int r = 0;

	switch (o->kind) {
	case OPTION_FLAG:
		return *(const bool *)field ? add(a, o->name, NULL) : 0;
	case OPTION_STRING:
		return *text == NULL ? 0 : add(a, o->name, *text);
	case OPTION_STRINGS:
		for (size_t i = 0; i < list->n && r == 0; i++)
			r = add(a, o->name, list->values[i]);
		return r;
	case OPTION_FLAG_OR_STRING:
		return word->is_set ? add(a, o->name, word->value) : 0;
	case OPTION_UINT:
		number = *(const uint64_t *)field;
		(void)snprintf(digits, sizeof(digits), "%" PRIu64, number);
		return number == 0 ? 0 : add(a, o->name, digits);
	}
	return -EINVAL;
}

static int
add_state_dir(
    struct arguments *a, const struct run_options *o, const struct daemon *d)
{
	AUTO_FREE char *dir = NULL;

	if (!d->keeps_state)
		return 0;
	if (asprintf(&dir, "%s/%s", run_options_state_dir(o), d->section) ==
	    -1) {
		dir = NULL;
		return -ENOMEM;
	}
	return add(a, "state-dir", dir);
}

static int
add_all(
    struct arguments *a, const struct run_options *o, const struct daemon *d)
{
	int r;

	if ((a->argv[a->n++] = strdup(d->program)) == NULL)
		return -ENOMEM;
	if (d->role_option != NULL && (r = add(a, d->role_option, NULL)) < 0)
		return r;
	if ((r = add_state_dir(a, o, d)) < 0)
		return r;
	if (o->log_level != NULL && (r = add(a, "log-level", o->log_level)) < 0)
		return r;
	// What it came to here: a daemon cannot see who reads our log.
	if (strcmp(log_format_name(), "text") != 0 &&
	    (r = add(a, "log-format", log_format_name())) < 0)
		return r;
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		const void *field = (const uint8_t *)o + table[i].offset;

		if (table[i].section == NULL ||
		    strcmp(table[i].section, d->section) != 0)
			continue;
		if ((r = add_option(a, &table[i], field)) < 0)
			return r;
	}
	return 0;
}

int
run_options_arguments(
    const struct run_options *o, const struct daemon *d, struct arguments *ret)
{
	struct arguments a = { .n = 0 };
	int r = add_all(&a, o, d);

	if (r < 0)
		arguments_done(&a);
	else
		*ret = a;
	return r;
}

void
arguments_done(struct arguments *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->argv[i]);
	memset(a, 0, sizeof(*a));
}
