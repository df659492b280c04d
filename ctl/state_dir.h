// The folders that daemons keep their state in.
#ifndef CTL_STATE_DIR_H
#define CTL_STATE_DIR_H

#include "common/cleanup.h"

// Create dir and dir/name, mode 0700, or check that what is there is a
// folder of ours that nobody else may enter.  A complaint that names the
// path goes to error.
MUST_CHECK int state_dir_make(
    const char *dir, const char *name, char *error, size_t error_len);

#endif
