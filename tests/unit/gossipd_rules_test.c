// gossipd's rule table under the generated test.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossipd/gossipd.h"
#include "tests/unit/rules_check.h"

static void
takes_only_what_its_rules_allow(void **state)
{
	(void)state;
	rules_check(gossipd_rules, gossipd_n_rules, ROLE_GOSSIPD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_only_what_its_rules_allow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
