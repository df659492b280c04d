// The steps that all daemons share before they look at a byte of somebody
// else: adopt the parent's descriptors, no dumps, no capabilities.  Every
// step is read back; one that failed must end the daemon.
#include "common/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "common/log.h"

static int
check_channel(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1)
		return -ENOTSOCK;
	if (type != SOCK_SEQPACKET)
		return -ENOTSOCK;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		return -errno;
	return 0;
}

int
process_take_channels(size_t n, struct process_channels *ret)
{
	unsigned first_free = PROCESS_FIRST_CHANNEL_FD + (unsigned)n;
	int r;

	if (n > PROCESS_CHANNELS_MAX)
		return -EINVAL;
	for (unsigned fd = PROCESS_PARENT_FD; fd < first_free; fd++)
		if ((r = check_channel((int)fd)) < 0)
			return r;
	if (syscall(SYS_close_range, first_free, ~0u, 0) == -1)
		return -errno;
	ret->parent_fd = PROCESS_PARENT_FD;
	ret->n = n;
	for (size_t i = 0; i < n; i++)
		ret->fds[i] = PROCESS_FIRST_CHANNEL_FD + (int)i;
	return 0;
}

void
process_explain_alone(const char *name, const char *const *siblings)
{
	(void)fprintf(stderr,
	    "%s: started without its siblings: it has no channel to", name);
	for (size_t i = 0; siblings[i] != NULL; i++)
		(void)fprintf(stderr, "%s %s", i == 0 ? "" : ",", siblings[i]);
	(void)fprintf(stderr,
	    ".\nThe daemons of a node are started together: `meshllm run`, "
	    "with the same options;\nor by systemd, with --doors: `systemctl "
	    "start meshllm.target`.\n");
}

// A hangup is for the parent, which reads the configuration; a service takes it
// from a signalfd, where it comes all the same.
static int
ignore_signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	return sigaction(SIGPIPE, &ignore, NULL) == -1 ||
		sigaction(SIGHUP, &ignore, NULL) == -1
	    ? -errno
	    : 0;
}

int
process_harden(void)
{
	// A piped core_pattern ignores RLIMIT_CORE 0 but heeds 1 and, before
	// that, PR_SET_DUMPABLE (core(5)).
	struct rlimit no_core = { .rlim_cur = 1, .rlim_max = 1 };

	(void)umask(077);
	if (setrlimit(RLIMIT_CORE, &no_core) == -1)
		return -errno;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return -errno;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return -EPERM;
	return ignore_signals();
}

static int
set_limit(__rlimit_resource_t resource, uint64_t wanted, uint64_t *ret)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) == -1)
		return -errno;
	if (limit.rlim_max > wanted)
		limit.rlim_max = wanted;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(resource, &limit) == -1)
		return -errno;
	*ret = limit.rlim_cur;
	return 0;
}

int
process_limit(const struct process_limits *limits, uint64_t *ret_descriptors)
{
	uint64_t ignored;
	int r = set_limit(RLIMIT_NOFILE, limits->descriptors, ret_descriptors);

#ifndef SANITIZERS
	// Their shadow memory is counted as well.
	if (r == 0)
		r = set_limit(RLIMIT_DATA, limits->data_bytes, &ignored);
#endif
	if (r == 0)
		r = set_limit(RLIMIT_NPROC, 0, &ignored);
	return r;
}

void
process_limit_or_die(const struct process_limits *limits)
{
	uint64_t descriptors = 0;
	int r = process_limit(limits, &descriptors);

	if (r < 0)
		fatal("limits", r);
	if (descriptors < limits->descriptors)
		LOG(LOG_WARNING, "few-descriptors", F("have", descriptors),
		    F("for_full_load", limits->descriptors));
}

int
process_lock_memory(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	// With less, and without the capability that goes next, memory that
	// is asked for later would be refused.
	if (setrlimit(RLIMIT_MEMLOCK, &all) == -1)
		return -EPERM;
	// Pages as they are used: a mapping alone costs nothing.
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == -1)
		return -errno;
	return 0;
}

static int
drop_bounding_set(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1 &&
		    errno != EPERM)
			return -errno;
	return 0;
}

// -EPERM: what this process has is something else.
static int
compare_caps(cap_t wanted)
{
	cap_t now = cap_get_proc();
	int r;

	if (now == NULL)
		return -errno;
	r = cap_compare(wanted, now) == 0 ? 0 : -EPERM;
	(void)cap_free(now);
	return r;
}

int
process_confine(void)
{
	cap_t none;
	int r = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -errno;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return -EPERM;
	if ((r = drop_bounding_set()) < 0)
		return r;
	if ((none = cap_init()) == NULL)
		return -ENOMEM;
	// A unit that gives none also forbids the call.
	r = compare_caps(none);
	if (r == -EPERM)
		r = cap_set_proc(none) == -1 ? -errno : compare_caps(none);
	(void)cap_free(none);
	return r;
}

static uint64_t
clock_ms(clockid_t id)
{
	struct timespec t;

	// Cannot fail for the three clocks asked for.
	(void)clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t
clock_unix_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

uint64_t
clock_mono_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

uint64_t
clock_boot_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

void
fatal(const char *what, int error)
{
	LOG(LOG_ERROR, "fatal", F("what", what), F("error", log_error(error)));
	_exit(EXIT_FAILURE);
}
