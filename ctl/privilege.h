// What `meshllm run` can take away from the daemons that it starts, and what
// it has to tell the caller because it cannot.
#ifndef CTL_PRIVILEGE_H
#define CTL_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "ctl/daemons.h"

struct privilege {
	bool can_switch_users; // every daemon has one of its own
	uid_t uids[N_DAEMONS];
	gid_t gids[N_DAEMONS];
	bool can_take_network; // where a daemon needs none
};

enum { PRIVILEGE_MISSING_MAX = 192 };

// ret_missing: what is not protected and why, "" if nothing is missing.
void privilege_find(
    struct privilege *ret, char ret_missing[static PRIVILEGE_MISSING_MAX]);
// In the child that is to become the daemon: take the network away, become
// its user.  Read back.
MUST_CHECK int privilege_drop(const struct privilege *, enum daemon_index);

#endif
