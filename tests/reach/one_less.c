// Linked into a test of the guard, which nobody can trace: the filter that it
// is given lacks the line with the number LEAVE_OUT of the environment.  If
// that line is needed, the test fails.
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/guard.h"

int __real_sandbox_enter(const struct sandbox_rule *, size_t n);
int __wrap_sandbox_enter(const struct sandbox_rule *, size_t n);

enum { RULES_MAX = 16 };

int
__wrap_sandbox_enter(const struct sandbox_rule *rules, size_t n)
{
	const char *text = getenv("LEAVE_OUT");
	size_t without = text == NULL ? n : (size_t)atoi(text), kept = 0;
	struct sandbox_rule rest[RULES_MAX];
	char name[16];

	// What the test tries on other processes stays as it is.
	if (prctl(PR_GET_NAME, name) == -1 ||
	    strcmp(name, "meshllm-guard") != 0 || n > RULES_MAX)
		return __real_sandbox_enter(rules, n);
	for (size_t i = 0; i < n; i++)
		if (i != without)
			rest[kept++] = rules[i];
	return __real_sandbox_enter(rest, kept);
}
