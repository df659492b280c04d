// Turns a daemon's list of permitted system calls into a seccomp filter that
// kills the process on anything else.  It trusts the list, which is const.
// It must never succeed without the filter being in force: the one exception
// is a bare build, which is no release and says so.  A sanitizer build, no
// release either, adds what its runtimes need.
#include "common/sandbox.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#ifdef SANITIZERS
#include "tests/sandbox/sanitizers.h"
#endif

static int
add_rules(scmp_filter_ctx filter, const struct sandbox_rule *rules, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW,
		    rules[i].syscall, rules[i].n_args, rules[i].args);
	return r;
}

static int
build(const struct sandbox_rule *rules, size_t n, scmp_filter_ctx *ret)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	if (filter == NULL)
		return -ENOMEM;
	r = seccomp_attr_set(
	    filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = add_rules(filter, rules, n);
	if (r < 0) {
		seccomp_release(filter);
		return r;
	}
	*ret = filter;
	return 0;
}

// A pipe holds the largest program that there is.
static int
compile(scmp_filter_ctx filter, struct sock_filter *ret, size_t max, size_t *n)
{
	int ends[2], r;
	ssize_t len;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1)
		return -errno;
	r = seccomp_export_bpf(filter, ends[1]);
	len = r < 0 ? 0 : read(ends[0], ret, max * sizeof(*ret));
	if (r == 0 && len <= 0)
		r = -EIO;
	// Whether more came is unknown: no part of a filter is one.
	if (r == 0 && (size_t)len == max * sizeof(*ret))
		r = -E2BIG;
	close_fd(&ends[0]);
	close_fd(&ends[1]);
	*n = len < 0 ? 0 : (size_t)len / sizeof(*ret);
	return r;
}

// Not seccomp_load(): what it frees behind the filter may need calls that a
// process without memory of its own does not have.
int
sandbox_load(scmp_filter_ctx filter)
{
	static struct sock_filter program[BPF_MAXINSNS];
	struct sock_fprog all = { .filter = program };
	size_t n = 0; // gcc 14 does not see that compile() sets it
	int r = compile(filter, program, N_ELEMENTS(program), &n);

	seccomp_release(filter);
	if (r < 0)
		return r;
	all.len = (unsigned short)n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &all) == -1)
		return -errno;
	return 0;
}

int
sandbox_enter(const struct sandbox_rule *rules, size_t n)
{
#ifdef UNCONFINED
	(void)rules;
	(void)n;
	return -ENOTSUP;
#else
	scmp_filter_ctx filter;
	int r = build(rules, n, &filter);

	if (r < 0)
		return r;
#ifdef SANITIZERS
	r = add_rules(filter, sanitizers_sandbox, sanitizers_n_sandbox);
	if (r < 0) {
		seccomp_release(filter);
		return r;
	}
	sanitizers_enter();
#endif
	return sandbox_load(filter);
#endif
}

void
sandbox_enter_or_die(const struct sandbox_rule *rules, size_t n)
{
	int r = sandbox_enter(rules, n);

#ifdef UNCONFINED
	if (r == -ENOTSUP) {
		LOG(LOG_WARNING, "sandbox-off", F("reason", UNCONFINED));
		return;
	}
#endif
	if (r < 0)
		fatal("sandbox", r);
#ifdef SANITIZERS
	LOG(LOG_WARNING, "sandbox-widened", F("by", "sanitizer build"));
#endif
}

bool
sandbox_give_all_up(const struct landlock_policy *policy,
    const struct sandbox_rule *rules, size_t n)
{
	int r = process_confine();
	bool is_in_force;

	if (r < 0)
		fatal("confine", r);
	is_in_force = landlock_enter_or_die(policy);
	sandbox_enter_or_die(rules, n);
	return is_in_force;
}

int
sandbox_export(const struct sandbox_rule *rules, size_t n, int fd)
{
	scmp_filter_ctx filter;
	int r = build(rules, n, &filter);

	if (r < 0)
		return r;
	r = seccomp_export_pfc(filter, fd);
	seccomp_release(filter);
	return r;
}
