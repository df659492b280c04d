// The folders that daemons keep their state in.
#ifndef CTL_STATE_DIR_H
#define CTL_STATE_DIR_H

#include <sys/types.h>

#include "common/cleanup.h"

struct state_dir {
	const char *top, *name;
	uid_t uid; // who the folder is for; not us: only root may
	gid_t gid;
};

// Create top and top/name, mode 0700, or check that what is there is a folder
// of that user which nobody else may enter.  For another user top becomes
// passable (0711), and a folder of ours becomes his with the files in it.  A
// complaint that names the path goes to error.
MUST_CHECK int state_dir_make(
    const struct state_dir *, char *error, size_t error_len);

#endif
