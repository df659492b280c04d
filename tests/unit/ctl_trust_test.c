// `meshllm trust` on a folder, and what the verifier then makes of it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "attestd/trust.h"
#include "ctl/trust.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char dir[32], option[64], folder[64];

static int
setup(void **state)
{
	(void)state;
	memcpy(dir, "/tmp/ctltrust-XXXXXX", 21);
	assert_non_null(mkdtemp(dir));
	(void)snprintf(option, sizeof(option), "--state-dir=%s", dir);
	(void)snprintf(folder, sizeof(folder), "%s/attestd", dir);
	return mkdir(folder, 0700);
}

static int
teardown(void **state)
{
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/trust", folder);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/" TRUST_SEEN_FILE, folder);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/" TRUST_OWN_FOLDER, folder);
	(void)rmdir(path);
	return rmdir(folder) == 0 ? rmdir(dir) : -1;
}

static int
trust(const char *a, const char *b, const char *c)
{
	char *argv[] = { (char[]){ "trust" }, option, (char *)(uintptr_t)a,
		(char *)(uintptr_t)b, (char *)(uintptr_t)c, NULL };
	int n = 2 + (a != NULL) + (b != NULL) + (c != NULL);

	return command_trust(n, argv);
}

static struct trust_store
store(void)
{
	struct trust_store s;

	assert_int_equal(trust_store_init(&s, folder), 0);
	assert_int_equal(trust_store_own(&s), 0);
	assert_false(s.is_damaged);
	return s;
}

static void
decisions_are_made_and_taken_back(void **state)
{
	struct trust_store s;

	(void)state;
	assert_int_equal(trust("pin", A, B), 0);
	assert_int_equal(trust("pin", A, A), 0); // the last one counts
	assert_int_equal(trust("allow-key", B, NULL), 0);
	assert_int_equal(trust("revoke", A, NULL), 0);
	assert_int_equal(trust("add-image", B, NULL), 0);
	assert_int_equal(trust("add-root", B, "My CA"), 0);
	s = store();
	assert_int_equal(s.decided.n, 5);
	assert_int_equal(s.n_roots, EK_N_VENDOR_ROOTS + 1);
	trust_store_done(&s);
	assert_int_equal(trust("restore", A, NULL), 0);
	assert_int_equal(trust("restore", B, NULL), 0);
	assert_int_equal(trust("remove-image", B, NULL), 0);
	assert_int_equal(trust("remove-root", B, NULL), 0);
	assert_int_equal(trust("unpin", A, NULL), 0);
	s = store();
	assert_int_equal(s.decided.n, 0);
	trust_store_done(&s);
	assert_int_equal(trust("list", NULL, NULL), 0);
	assert_int_equal(trust("roots", NULL, NULL), 0);
}

static void
a_key_that_was_seen_is_pinned_or_forgotten(void **state)
{
	struct trust_store s = store();
	uint8_t node[32], key[32];

	(void)state;
	memset(node, 0xaa, sizeof(node));
	memset(key, 0xbb, sizeof(key));
	assert_int_equal(trust_store_see(&s, node, key, 1), 0);
	assert_int_equal(trust("pin", A, NULL), 0);
	assert_true(trust_store_refresh(&s));
	assert_memory_equal(
	    trust_find(&s.decided, TRUST_PIN, node)->key, key, 32);
	assert_int_equal(trust("unpin", A, NULL), 0);
	assert_true(trust_store_refresh(&s));
	assert_null(trust_find(&s.decided, TRUST_PIN, node));
	assert_non_null(trust_find(&s.decided, TRUST_FORGET, node));
	trust_store_done(&s);
}

static void
a_root_may_be_given_as_a_file(void **state)
{
	struct trust_store s;

	(void)state;
	assert_int_equal(
	    trust("add-root", TEST_DATA "/swtpm/rootca.der", "swtpm"), 0);
	s = store();
	assert_int_equal(s.n_roots, EK_N_VENDOR_ROOTS + 1);
	assert_string_equal(s.roots[EK_N_VENDOR_ROOTS].vendor, "swtpm");
	trust_store_done(&s);
	assert_int_equal(trust("add-root", TEST_DATA "/swtpm/ak.tpmt", "x"), 1);
	assert_int_equal(trust("add-root", "/nonexistent", NULL), 1);
}

static void
a_vendors_root_can_be_revoked(void **state)
{
	char hex[65];
	struct trust_store s;

	(void)state;
	for (int i = 0; i < 32; i++)
		(void)snprintf(
		    hex + 2 * i, 3, "%02x", ek_vendor_roots[0].fingerprint[i]);
	assert_int_equal(trust("remove-root", hex, NULL), 0);
	s = store();
	assert_true(trust_is_revoked(&s, ek_vendor_roots[0].fingerprint));
	assert_int_equal(s.n_roots, EK_N_VENDOR_ROOTS - 1);
	trust_store_done(&s);
}

static void
what_the_verifier_would_refuse_is_not_written(void **state)
{
	(void)state;
	assert_int_equal(trust("pin", "abc", NULL), 1);
	assert_int_equal(trust("pin", A, NULL), 1); // never seen
	assert_int_equal(trust("unpin", A, NULL), 1);
	assert_int_equal(trust("restore", A, NULL), 1);
	assert_int_equal(trust("add-root", A, "tab\there"), 1);
	assert_int_equal(trust("add-root", A, "end "), 1);
	assert_int_equal(trust("add-root", A, ""), 1);
	assert_int_equal(trust("pin", NULL, NULL), 2);
	assert_int_equal(trust("trust-all", NULL, NULL), 2);
	assert_int_equal(trust(NULL, NULL, NULL), 2);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(decisions_are_made_and_taken_back),
		IN_FOLDER(a_key_that_was_seen_is_pinned_or_forgotten),
		IN_FOLDER(a_root_may_be_given_as_a_file),
		IN_FOLDER(a_vendors_root_can_be_revoked),
		IN_FOLDER(what_the_verifier_would_refuse_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
