// Which sections the file may have stands here; who reads what, in the
// daemons' tables.
#include "common/node_options.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"

int
node_options_load(const struct option *options, size_t n, const char *path,
    bool is_service, void *target, char *error, size_t error_len)
{
	static const char *const sections[] = { "meshllm", "run", "cryptod",
		"attestd", "gossipd", "proxyd", NULL };
	bool is_default = path == NULL;
	int r;

	if (is_default && !is_service)
		return 0;
	if (is_default)
		path = NODE_OPTIONS_FILE;
	r = options_load(options, n, path, sections, target, error, error_len);
	if (is_default && r == -ENOENT)
		return 0;
	return r < 0 ? -EINVAL : 0;
}

int
node_options_state_dir(
    char **dir, const char *top, const char *name, const char *fallback)
{
	if (*dir != NULL || (top == NULL && fallback == NULL))
		return 0;
	if (top == NULL)
		*dir = strdup(fallback);
	else if (asprintf(dir, "%s/%s", top, name) == -1)
		*dir = NULL;
	return *dir == NULL ? -ENOMEM : 0;
}

int
node_options_log(
    const char *level, const char *format, char *error, size_t error_len)
{
	if (log_set_level_name(level) < 0) {
		(void)snprintf(error, error_len,
		    "--log-level %.40s: not error, warning, info or debug",
		    level);
		return -EINVAL;
	}
	if (log_set_format(format, LOG_DAEMON_FD) < 0) {
		(void)snprintf(error, error_len,
		    "--log-format %.40s: not auto, text, json or journal",
		    format);
		return -EINVAL;
	}
	return 0;
}
