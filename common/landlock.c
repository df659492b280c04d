// Landlock by its system calls, since the C library wraps none of them and
// the kernel's header of the build machine may be older than the kernel that
// we run on.  It trusts the policy.  It must never report success without
// every restriction that this kernel knows being in force.
#include "common/landlock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/log.h"
#include "common/process.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

// linux/landlock.h, by the version that brought it.
enum {
	CREATE_RULESET_VERSION = 1 << 0,
	RULE_PATH_BENEATH = 1,
	RULE_NET_PORT = 2,

	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_REG = 1 << 8,
	FS_ALL_OF_1 = (1 << 13) - 1,
	FS_REFER = 1 << 13,	// 2
	FS_TRUNCATE = 1 << 14,	// 3
	FS_IOCTL_DEV = 1 << 15, // 5

	NET_BIND_TCP = 1 << 0,	  // 4
	NET_CONNECT_TCP = 1 << 1, // 4
	ABI_TCP = 4,

	SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0, // 6
	SCOPE_SIGNAL = 1 << 1,		     // 6
	ABI_SCOPES = 6,
};

struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};

struct path_attr {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

struct port_attr {
	uint64_t allowed_access;
	uint64_t port;
};

int
landlock_kernel_abi(void)
{
	long abi = syscall(
	    SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

// A newer kernel takes a longer structure's zeros, an older one as well: what
// is not known there must be zero.
static struct ruleset_attr
all_of(int abi)
{
	struct ruleset_attr attr = { .handled_access_fs = FS_ALL_OF_1 };

	if (abi >= 2)
		attr.handled_access_fs |= FS_REFER;
	if (abi >= 3)
		attr.handled_access_fs |= FS_TRUNCATE;
	if (abi >= 5)
		attr.handled_access_fs |= FS_IOCTL_DEV;
	if (abi >= ABI_TCP)
		attr.handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= ABI_SCOPES)
		attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	return attr;
}

static int
allow_path(
    int ruleset, const struct landlock_path *p, const struct ruleset_attr *all)
{
	struct path_attr attr = { .allowed_access = FS_READ_FILE };
	AUTO_FD fd = open(p->path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1)
		return -errno;
	if (S_ISDIR(st.st_mode))
		attr.allowed_access |= FS_READ_DIR;
	if (p->is_writable)
		attr.allowed_access |= FS_WRITE_FILE | FS_TRUNCATE;
	// To replace a file is to make one beside it and rename it.
	if (p->is_writable && S_ISDIR(st.st_mode))
		attr.allowed_access |= FS_MAKE_REG | FS_REMOVE_FILE;
	if (S_ISCHR(st.st_mode))
		attr.allowed_access |= FS_IOCTL_DEV;
	attr.allowed_access &= all->handled_access_fs;
	attr.parent_fd = fd;
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &attr,
		0) == -1)
		return -errno;
	return 0;
}

static int
allow_port(int ruleset, uint16_t port)
{
	struct port_attr attr = { .allowed_access = NET_CONNECT_TCP,
		.port = port };

	if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &attr, 0) ==
	    -1)
		return -errno;
	return 0;
}

static int
allow_all(int ruleset, const struct landlock_policy *policy,
    const struct ruleset_attr *all)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < policy->n_paths; i++)
		r = allow_path(ruleset, &policy->paths[i], all);
	for (size_t i = 0; r == 0 && all->handled_access_net != 0 &&
	     i < policy->n_connect_ports;
	     i++)
		r = allow_port(ruleset, policy->connect_ports[i]);
	return r;
}

int
landlock_enter(const struct landlock_policy *policy, int *ret_abi)
{
	long abi = syscall(
	    SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
	struct ruleset_attr all;
	AUTO_FD ruleset = -1;
	int r;

	// The kernel has no EPERM here: a container's filter says so, for a
	// call that it does not know.
	if (abi == -1)
		return errno == EPERM ? -ENOSYS : -errno;
	all = all_of((int)abi);
	ruleset =
	    (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
	if (ruleset == -1)
		return -errno;
	if ((r = allow_all(ruleset, policy, &all)) < 0)
		return r;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) == -1)
		return -errno;
	*ret_abi = (int)abi;
	return 0;
}

#ifdef UNCONFINED
bool
landlock_enter_or_die(const struct landlock_policy *policy)
{
	(void)policy;
	LOG(LOG_WARNING, "landlock-off", F("reason", UNCONFINED));
	return false;
}
#else
bool
landlock_enter_or_die(const struct landlock_policy *policy)
{
	int abi = 0;
	int r = landlock_enter(policy, &abi);

	if (r == -ENOSYS || r == -EOPNOTSUPP) {
		LOG(LOG_WARNING, "landlock-off",
		    F("reason",
			"this kernel has none, or a container hides it"));
		return false;
	}
	if (r < 0)
		fatal("landlock", r);
	LOG(abi >= ABI_SCOPES ? LOG_INFO : LOG_WARNING, "landlock",
	    F("abi", abi), F("tcp", (bool)(abi >= ABI_TCP)),
	    F("sockets_and_signals", (bool)(abi >= ABI_SCOPES)));
	return abi >= ABI_TCP;
}
#endif
