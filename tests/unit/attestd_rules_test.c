// attestd's two rule tables under the generated test.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "attestd/attestd.h"
#include "tests/unit/rules_check.h"

static void
signer_takes_only_what_its_rules_allow(void **state)
{
	(void)state;
	rules_check(attestd_signer_rules, ATTESTD_N_SIGNER_RULES, ROLE_SIGNER);
}

static void
verifier_takes_only_what_its_rules_allow(void **state)
{
	(void)state;
	rules_check(
	    attestd_verifier_rules, ATTESTD_N_VERIFIER_RULES, ROLE_VERIFIER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signer_takes_only_what_its_rules_allow),
		cmocka_unit_test(verifier_takes_only_what_its_rules_allow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
