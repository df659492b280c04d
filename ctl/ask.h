// Questions to a running node, at its management port.
#ifndef CTL_ASK_H
#define CTL_ASK_H

#include <jansson.h>
#include <stddef.h>

#include "common/address.h"
#include "common/cleanup.h"

// The option (management), else the file (config), else the default; both may
// be NULL.  A complaint goes to error.
MUST_CHECK int ask_find_management(const char *management, const char *config,
    struct address *ret, char *error, size_t error_len);
// The JSON at this path, or NULL after a complaint to standard error.
json_t *ask_json(const struct address *, const char *path);
// The same of /api/status, which it must be.
json_t *ask_status(const struct address *);

#endif
