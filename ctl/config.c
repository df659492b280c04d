// `meshllm config check`: says what is wrong with a configuration before a
// node is started with it.  Reads it as `meshllm run` does, and the files that
// it names; starts and changes nothing.
#include "ctl/config.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attestd/chain_file.h"
#include "common/address.h"
#include "common/api_keys.h"
#include "common/backend_url.h"
#include "common/file.h"
#include "ctl/run_options.h"

enum { EXIT_USAGE = 2, BACKENDS_MAX = 16, MESH_MAX = 2 };

static const char usage[] =
    "usage: meshllm config COMMAND\n\n"
    "  check [FILE]  Say what is wrong with the configuration;\n"
    "                " DEFAULT_CONFIG " if not given.\n";

__attribute__((format(printf, 3, 4))) static int
complain(const char *path, const char *key, const char *format, ...)
{
	va_list args;

	(void)fprintf(stderr, "%s: %s: ", path, key);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	return -EINVAL;
}

static const char *
reason_of(int r, enum file_kind kind)
{
	if (r != -EPERM)
		return strerrordesc_np(-r);
	return kind == FILE_SECRET
	    ? "others than its owner and group can read it"
	    : "others than its owner can write it";
}

static int
check_keys(const char *path, const struct run_options *o, size_t *ret_n)
{
	AUTO_FREE char *text = NULL;
	struct api_keys keys;
	char error[256];
	size_t len;
	int r;

	r = file_read(
	    o->api_keys, FILE_TRUSTED, API_KEYS_FILE_MAX, &text, &len);
	if (r < 0)
		return complain(path, "api-keys", "%s: %s", o->api_keys,
		    reason_of(r, FILE_TRUSTED));
	if (api_keys_parse(text, len, &keys, error, sizeof(error)) < 0)
		return complain(path, "api-keys", "%s: %s", o->api_keys, error);
	*ret_n = keys.n;
	api_keys_done(&keys);
	return 0;
}

static int
check_api(const char *path, const struct run_options *o)
{
	struct address address;
	bool is_unix = o->api != NULL && strncmp(o->api, "unix:", 5) == 0;
	bool is_open = o->api != NULL && !is_unix &&
	    address_parse(o->api, &address) == 0 &&
	    !address_is_loopback(&address);
	size_t n_keys = 0;
	int r = 0;

	if (!is_unix &&
	    (o->api_socket_mode != NULL || o->api_socket_group != NULL))
		r = complain(path, "api-socket-mode, api-socket-group",
		    "are for api = unix:/path");
	if (o->api_keys != NULL && check_keys(path, o, &n_keys) < 0)
		r = -EINVAL;
	else if (is_open && n_keys == 0)
		r = complain(path, "api",
		    "%s is not loopback: that needs api-keys with a key",
		    o->api);
	if (o->management != NULL &&
	    address_parse(o->management, &address) == 0 &&
	    !address_is_loopback(&address))
		r = complain(path, "management",
		    "%s is not loopback: anybody could ask", o->management);
	return r;
}

static int
check_backend(const char *path, const char *value)
{
	struct backend_spec spec;
	char key[BACKEND_KEY_MAX + 1];
	char *bytes;
	size_t n;
	int r;

	if (backend_spec_parse(value, &spec) < 0 || spec.key_file[0] == '\0')
		return 0; // the first was said already
	r = file_read(
	    spec.key_file, FILE_SECRET, BACKEND_KEY_FILE_MAX, &bytes, &n);
	if (r < 0)
		return complain(path, "backend", "%s: %s", spec.key_file,
		    reason_of(r, FILE_SECRET));
	r = backend_key_parse(bytes, n, key);
	sodium_memzero(bytes, n);
	sodium_memzero(key, sizeof(key));
	free(bytes);
	return r < 0
	    ? complain(path, "backend", "%s: is not one key", spec.key_file)
	    : 0;
}

static int
check_chain(const char *path, const struct run_options *o)
{
	struct chain_file chain;
	const char *why;

	if (o->ek_chain == NULL)
		return 0;
	if (chain_file_read(o->ek_chain, &chain, &why) < 0)
		return complain(path, "ek-chain", "%s: %s", o->ek_chain, why);
	chain_file_done(&chain);
	return 0;
}

// What one value alone does not show.
static int
check_together(const char *path, const struct run_options *o)
{
	int r = check_api(path, o);

	if (check_chain(path, o) < 0)
		r = -EINVAL;
	for (size_t i = 0; i < o->backend.n; i++)
		if (check_backend(path, o->backend.values[i]) < 0)
			r = -EINVAL;
	if (o->backend.n > BACKENDS_MAX)
		r = complain(path, "backend", "more than %d", BACKENDS_MAX);
	if (o->backend_port.n > BACKEND_PORT_RANGES_MAX)
		r = complain(path, "backend-port", "more than %d",
		    BACKEND_PORT_RANGES_MAX);
	if (o->mesh.n > MESH_MAX)
		r = complain(path, "mesh", "more than %d", MESH_MAX);
	return r;
}

static int
check(const char *path)
{
	struct run_options o = { 0 };
	char error[512];
	int r = run_options_load(&o, path, error, sizeof(error));

	if (r < 0)
		(void)fprintf(stderr, "%s\n", error);
	else
		r = check_together(path, &o);
	run_options_done(&o);
	if (r == 0)
		(void)printf("%s: good\n", path);
	return r;
}

int
command_config(int argc, char *const argv[])
{
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		(void)fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	if (argc < 2 || argc > 3 || strcmp(argv[1], "check") != 0) {
		(void)fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return check(argc == 3 ? argv[2] : DEFAULT_CONFIG) < 0 ? EXIT_FAILURE
							       : EXIT_SUCCESS;
}
