// Users and network namespaces for the daemons.  It trusts the user database
// of the machine; it must never let a daemon run as root where it said that it
// would not.
#include "ctl/privilege.h"

#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

// The first daemon that has no user, or NULL.
static const char *
find_users(struct privilege *p)
{
	for (enum daemon_index d = 0; d < N_DAEMONS; d++) {
		const struct passwd *user = getpwnam(daemons[d].user);

		if (user == NULL || user->pw_uid == 0 || user->pw_gid == 0)
			return daemons[d].user;
		p->uids[d] = user->pw_uid;
		p->gids[d] = user->pw_gid;
	}
	return NULL;
}

// Containers forbid it even to root: tried in a child.
static bool
try_unshare(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(unshare(CLONE_NEWNET) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void
append(
    char text[static PRIVILEGE_MISSING_MAX], const char *more, const char *what)
{
	size_t len = strlen(text);

	(void)snprintf(text + len, PRIVILEGE_MISSING_MAX - len, "%s%s%s",
	    len == 0 ? "" : "; ", more, what);
}

void
privilege_find(
    struct privilege *p, char ret_missing[static PRIVILEGE_MISSING_MAX])
{
	const char *missing;

	*p = (struct privilege){ 0 };
	ret_missing[0] = '\0';
	if (geteuid() != 0) {
		append(ret_missing, "not started by root: the daemons share ",
		    "your user and network");
		return;
	}
	missing = find_users(p);
	p->can_switch_users = missing == NULL;
	if (missing != NULL)
		append(
		    ret_missing, "the daemons run as root: no user ", missing);
	p->can_take_network = try_unshare();
	if (!p->can_take_network)
		append(ret_missing, "cryptod and attestd keep the network",
		    ": CAP_SYS_ADMIN is missing");
}

// While we still may: the user's own processes cannot do it any more.
static int
drop_bounding_set(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1)
			return -errno;
	return 0;
}

static int
become_user(uid_t uid, gid_t gid)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	uid_t u[3];
	gid_t g[3];
	int r;

	if ((r = drop_bounding_set()) < 0)
		return r;
	// proxyd locks its memory, and may not raise this any more.  A
	// container may forbid it to us as well: then proxyd says so.
	(void)setrlimit(RLIMIT_MEMLOCK, &all);
	if (setgroups(0, NULL) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		return -errno;
	if (getgroups(0, NULL) != 0 || getresgid(&g[0], &g[1], &g[2]) == -1 ||
	    getresuid(&u[0], &u[1], &u[2]) == -1)
		return -EPERM;
	for (size_t i = 0; i < N_ELEMENTS(u); i++)
		if (u[i] != uid || g[i] != gid)
			return -EPERM;
	return 0;
}

int
privilege_drop(const struct privilege *p, enum daemon_index d)
{
	if (p->can_take_network && !daemons[d].needs_network &&
	    unshare(CLONE_NEWNET) == -1)
		return -errno;
	if (!p->can_switch_users)
		return 0;
	return become_user(p->uids[d], p->gids[d]);
}
