// The one file of a node, as a daemon that reads it by itself: systemd starts
// each with its own options only.
#ifndef COMMON_NODE_OPTIONS_H
#define COMMON_NODE_OPTIONS_H

#include <stdbool.h>

#include "common/options.h"

#define NODE_OPTIONS_FILE SYSCONFDIR "/meshllm/meshllm.conf"

// What the daemon's table has of the file at path, as options_load() does;
// keys of other daemons are not looked at.  No path: NODE_OPTIONS_FILE when
// is_service and it exists, else nothing.  -EINVAL.
MUST_CHECK int node_options_load(const struct option *, size_t n,
    const char *path, bool is_service, void *target, char *error,
    size_t error_len);
// *dir (owned, from the command line) stays; else it becomes TOP/name if the
// file has a state-dir for all, or fallback.  -ENOMEM.
MUST_CHECK int node_options_state_dir(
    char **dir, const char *top, const char *name, const char *fallback);

// Sets the log of a daemon; a name that is NULL leaves what is.  -EINVAL.
MUST_CHECK int node_options_log(
    const char *level, const char *format, char *error, size_t error_len);

#endif
