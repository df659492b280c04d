// The commands that ask a running node: `meshllm status`, `meshllm invite`.
// They need no privilege, only the management port.
#include "ctl/ask.h"

#include <stdio.h>
#include <string.h>

#include "common/address.h"
#include "common/options.h"
#include "common/process.h"
#include "ctl/http_get.h"
#include "ctl/run_options.h"
#include "ctl/status.h"

enum { EXIT_USAGE = 2 };

struct ask_options {
	char *management, *config;
	bool json;
};

// clang-format off
static const struct option table[] = {
	{ "management", NULL, "ADDR:PORT",
	    "Where the node answers; as configured, or " DEFAULT_MANAGEMENT ".",
	    OPTION_STRING, offsetof(struct ask_options, management) },
	{ "config", NULL, "FILE",
	    "Configuration file; " DEFAULT_CONFIG " if it exists.",
	    OPTION_STRING, offsetof(struct ask_options, config) },
	// Of `meshllm status` alone; the last, so that others leave it out.
	{ "json", NULL, NULL, "The whole status as JSON.",
	    OPTION_FLAG, offsetof(struct ask_options, json) },
};
// clang-format on

int
ask_find_management(const char *management, const char *config,
    struct address *ret, char *error, size_t error_len)
{
	struct run_options run = { 0 };
	const char *text = management;
	int r = 0;

	if (text == NULL || config != NULL)
		r = run_options_load(&run, config, error, error_len);
	// Under systemd the file is not for everybody, what it says is; a
	// failure to connect names the option for it.
	if (r == -EACCES && config == NULL)
		r = 0;
	if (text == NULL)
		text = run.management;
	if (text == NULL)
		text = DEFAULT_MANAGEMENT;
	if (r == 0 && (r = address_parse(text, ret)) < 0)
		(void)snprintf(error, error_len,
		    "management: \"%.64s\" is not ADDR:PORT", text);
	run_options_done(&run);
	return r;
}

static void
explain_failure(const char *address, int r)
{
	(void)fprintf(stderr, "meshllm: no answer from %s: %s\n", address,
	    r == -EBADMSG ? "it does not speak HTTP as meshllm does"
			  : strerrordesc_np(-r));
	if (r == -ECONNREFUSED)
		(void)fprintf(stderr,
		    "The node is not running, or its management port is "
		    "another (--management).\nStart it with: meshllm run, or "
		    "systemctl start meshllm.target\n");
}

// What an error of the node says, if it says something.
static void
explain_status(const char *address, const struct http_answer *answer)
{
	json_t *json = json_loadb(answer->body, answer->body_len, 0, NULL);
	const char *text = json_string_value(
	    json_object_get(json_object_get(json, "error"), "message"));

	(void)fprintf(stderr, "meshllm: %s answers with HTTP status %u",
	    address, answer->status);
	// No command to the terminal.
	for (size_t i = 0; text != NULL && text[i] != '\0' && i < 256; i++)
		(void)fprintf(stderr, "%s%c", i == 0 ? ": " : "",
		    text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	(void)fprintf(stderr, "\n");
	json_decref(json);
}

// *ret_bytes: the answer's body is in it.
static int
ask(const struct address *a, const char *path, char **ret_bytes,
    struct http_answer *ret, char address[static ADDRESS_TEXT_MAX])
{
	int r;

	if ((r = address_format(&a->sa, a->len, address)) < 0)
		return r;
	if ((r = http_get(a, path, ret_bytes, ret)) < 0) {
		explain_failure(address, r);
		return r;
	}
	if (ret->status == 200)
		return 0;
	explain_status(address, ret);
	return -EBADMSG;
}

json_t *
ask_json(const struct address *a, const char *path)
{
	AUTO_FREE char *bytes = NULL;
	char address[ADDRESS_TEXT_MAX] = "";
	struct http_answer answer = { 0 };
	json_t *json;

	if (ask(a, path, &bytes, &answer, address) < 0)
		return NULL;
	json = json_loadb(
	    answer.body, answer.body_len, JSON_REJECT_DUPLICATES, NULL);
	if (json == NULL)
		(void)fprintf(
		    stderr, "meshllm: %s: its answer is no JSON\n", address);
	return json;
}

json_t *
ask_status(const struct address *a)
{
	AUTO_FREE char *bytes = NULL;
	char address[ADDRESS_TEXT_MAX] = "", error[128] = "";
	struct http_answer answer = { 0 };
	json_t *status;

	if (ask(a, "/api/status", &bytes, &answer, address) < 0)
		return NULL;
	status =
	    status_parse(answer.body, answer.body_len, error, sizeof(error));
	if (status == NULL)
		(void)fprintf(stderr, "meshllm: %s: %s\n", address, error);
	return status;
}

static int
show_status(const json_t *status, const struct ask_options *o)
{
	// Escaped beyond ASCII: a peer's text is no command to the terminal.
	if (o->json)
		(void)!json_dumpf(status, stdout,
		    JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER);
	else
		status_print(stdout, status, (int64_t)clock_unix_ms());
	if (o->json)
		(void)putchar('\n');
	return EXIT_SUCCESS;
}

static int
show_token(const json_t *status, const struct ask_options *o)
{
	const char *token = status_token(status);

	(void)o;
	if (token == NULL) {
		(void)fprintf(stderr, "meshllm: the node has no token yet\n");
		return EXIT_FAILURE;
	}
	(void)printf("%s\n", token);
	return EXIT_SUCCESS;
}

static int
command(int argc, char *const argv[], const char *usage, size_t n_options,
    int (*show)(const json_t *, const struct ask_options *))
{
	struct ask_options o = { 0 };
	struct address a = { 0 };
	char error[512];
	json_t *status;
	int r, exit_status = EXIT_FAILURE;

	r = options_parse(
	    table, n_options, argc, argv, &o, error, sizeof(error));
	if (r == 0)
		r = ask_find_management(
		    o.management, o.config, &a, error, sizeof(error));
	if (r == 1) {
		options_help(table, n_options, usage);
		exit_status = EXIT_SUCCESS;
	} else if (r < 0) {
		(void)fprintf(stderr, "meshllm %s: %s\n", argv[0], error);
		exit_status = EXIT_USAGE;
	} else if ((status = ask_status(&a)) != NULL) {
		exit_status = show(status, &o);
		json_decref(status);
	}
	options_done(table, n_options, &o);
	if (fflush(stdout) != 0)
		exit_status = EXIT_FAILURE;
	return exit_status;
}

int
command_status(int argc, char *const argv[])
{
	return command(argc, argv, "meshllm status [OPTION...]",
	    N_ELEMENTS(table), show_status);
}

int
command_invite(int argc, char *const argv[])
{
	return command(argc, argv, "meshllm invite [OPTION...]",
	    N_ELEMENTS(table) - 1, show_token);
}
