// Linked into the test builds of the daemons only, in the place of what enters
// the sandbox: the same list makes the same filter, but each line stops for the
// tracer (trace.c) with its number.  A line that is in the file `reached`
// beside the program by its start costs nothing any more.  What no line allows
// kills as it does in the product.  With a file `later` there, what libraries
// take for the time is hours ahead once the filter is there, so that they
// renew their random numbers.
#include "common/sandbox.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/process.h"
#include "tests/reach/reach.h"

enum { LATER_SECONDS = 3 * 3600 };

void __wrap_sandbox_enter_or_die(const struct sandbox_rule *, size_t n);
bool __wrap_sandbox_give_all_up(
    const struct landlock_policy *, const struct sandbox_rule *, size_t n);
bool __wrap_guard_start_or_die(void);

static bool is_reached[REACH_IDS], is_later, is_entered;
static time_t (*real_time)(time_t *);

static bool
path_beside_program(char ret[static PATH_MAX], const char *name)
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
	char *slash = n <= 0 ? NULL : memrchr(ret, '/', (size_t)n);

	if (slash == NULL)
		return false;
	(void)snprintf(
	    slash + 1, (size_t)(ret + PATH_MAX - slash - 1), "%s", name);
	return true;
}

// Before main: afterwards there is no file to be read.
__attribute__((constructor)) static void
read_files(void)
{
	char path[PATH_MAX], line[16];
	FILE *f;

	*(void **)&real_time = dlsym(RTLD_NEXT, "time");
	is_later =
	    path_beside_program(path, "later") && access(path, F_OK) == 0;
	if (!path_beside_program(path, REACH_FILE) ||
	    (f = fopen(path, "re")) == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		is_reached[strtoul(line, NULL, 16) % REACH_IDS] = true;
	(void)fclose(f);
}

// Of libraries: we ask for milliseconds, elsewhere.
time_t
time(time_t *ret)
{
	time_t now = real_time(NULL);

	if (is_later && is_entered)
		now += LATER_SECONDS;
	if (ret != NULL)
		*ret = now;
	return now;
}

static int
enter(const struct sandbox_rule *rules, size_t n)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = filter == NULL ? -ENOMEM : 0;

	if (r == 0)
		r = seccomp_attr_set(
		    filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (size_t i = 0; r == 0 && i < n; i++) {
		uint16_t id = reach_id(rules, n, i);

		r = seccomp_rule_add_array(filter,
		    is_reached[id] ? SCMP_ACT_ALLOW : SCMP_ACT_TRACE(id),
		    rules[i].syscall, rules[i].n_args, rules[i].args);
	}
	if (r < 0)
		seccomp_release(filter);
	return r < 0 ? r : sandbox_load(filter);
}

void
__wrap_sandbox_enter_or_die(const struct sandbox_rule *rules, size_t n)
{
	int r = enter(rules, n);

	if (r < 0)
		fatal("sandbox", r);
	is_entered = true;
}

bool
__wrap_sandbox_give_all_up(const struct landlock_policy *policy,
    const struct sandbox_rule *rules, size_t n)
{
	int r = process_confine();
	bool is_in_force;

	if (r < 0)
		fatal("confine", r);
	is_in_force = landlock_enter_or_die(policy);
	__wrap_sandbox_enter_or_die(rules, n);
	return is_in_force;
}

// Its place is the tracer's.
bool
__wrap_guard_start_or_die(void)
{
	return false;
}
