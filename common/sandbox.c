// Turns a daemon's list of permitted system calls into a seccomp filter that
// kills the process on anything else.  It trusts the list, which is const.
// It must never succeed without the filter being in force: the one exception
// is a bare build, which is no release and says so.  A sanitizer build, no
// release either, adds what its runtimes need.
#include "common/sandbox.h"

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
	sanitizers_enter();
#endif
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
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
