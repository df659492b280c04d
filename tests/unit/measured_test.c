// What daemons say of themselves, and what may be made of it.
#include "common/measure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/posture.h"
#include "common/usage.h"

static uint8_t image[IMAGE_HASH_LEN + 1];

static Ipc__Measured
good(void)
{
	Ipc__Measured m = IPC__MEASURED__INIT;

	m.role = ROLE_SIGNER;
	m.image.data = image;
	m.image.len = IMAGE_HASH_LEN;
	m.protection = MEASURE_ALL;
	m.pid = 42;
	return m;
}

static void
a_good_one_is_read(void **state)
{
	Ipc__Measured m = good();
	struct measured got = { 0 };

	(void)state;
	image[0] = 7;
	assert_int_equal(measured_read(&m, ROLE_SIGNER, &got), 0);
	assert_true(got.is_known);
	assert_int_equal(got.bits, MEASURE_ALL);
	assert_int_equal(got.pid, 42);
	assert_int_equal(got.image[0], 7);
}

static void
one_of_another_shape_is_refused(void **state)
{
	struct measured got = { 0 };
	Ipc__Measured m = good();

	(void)state;
	assert_int_equal(measured_read(&m, ROLE_CRYPTOD, &got), -EBADMSG);
	m.image.len = IMAGE_HASH_LEN + 1;
	assert_int_equal(measured_read(&m, ROLE_SIGNER, &got), -EBADMSG);
	m.image.len = 0;
	assert_int_equal(measured_read(&m, ROLE_SIGNER, &got), -EBADMSG);
	m = good();
	m.protection = MEASURE_ALL + 1;
	assert_int_equal(measured_read(&m, ROLE_SIGNER, &got), -EBADMSG);
	m = good();
	m.pid = UINT32_MAX;
	assert_int_equal(measured_read(&m, ROLE_SIGNER, &got), -EBADMSG);
	m = good();
	m.attester = "tpm2 and a few more";
	assert_int_equal(measured_read(&m, ROLE_SIGNER, &got), -EBADMSG);
	m = good();
	m.problem = "\033[2J";
	assert_int_equal(measured_read(&m, ROLE_SIGNER, &got), -EBADMSG);
	assert_false(got.is_known);
}

static void
memory_and_time_are_read_behind_any_name(void **state)
{
	uint64_t rss = 7, ms = 7;
	long page = sysconf(_SC_PAGESIZE);

	(void)state;
	usage_parse("1 (a) S 9) R 0 1 1 0 -1 64 2 3 4 5 200 100 0 0 20 0 1 0 "
		    "77 4096 25 18446744073709551615 1",
	    &rss, &ms);
	assert_int_equal(rss, 25 * page);
	assert_int_equal(ms, 300 * 1000 / sysconf(_SC_CLK_TCK));
	rss = ms = 7;
	usage_parse("", &rss, &ms);
	usage_parse("1 (a) S 1 2", &rss, &ms);
	usage_parse("1 (a", &rss, &ms);
	assert_int_equal(rss, 7);
	assert_int_equal(ms, 7);
}

static void
nobody_is_said_to_have_what_one_lacks(void **state)
{
	struct posture_daemon list[] = {
		{ "cryptod", .keeps_keys = true, .is_cryptod = true,
		    .is_known = true, .protection = MEASURE_ALL },
		{ "gossipd", .is_known = true,
		    .protection = MEASURE_ALL & ~(uint32_t)MEASURE_GUARDED &
			~(uint32_t)MEASURE_NO_NETWORK &
			~(uint32_t)MEASURE_LOCKED },
		{ "proxyd", .is_proxyd = true, .is_known = true,
		    .protection = MEASURE_ALL },
	};
	static struct posture p;

	(void)state;
	// gossipd needs no guard, and needs the network.
	posture_set_daemons(&p, list, N_ELEMENTS(list));
	assert_int_equal(p.items[POSTURE_GUARD].value, TRI_TRUE);
	assert_int_equal(p.items[POSTURE_NETWORK].value, TRI_TRUE);
	assert_int_equal(p.items[POSTURE_SECRET_MEMORY].value, TRI_TRUE);
	assert_int_equal(p.items[POSTURE_SECCOMP].value, TRI_TRUE);

	assert_int_equal(p.items[POSTURE_LOCKED].value, TRI_TRUE);

	list[2].protection &= ~(uint32_t)MEASURE_LOCKED;
	list[1].protection &= ~(uint32_t)MEASURE_SECCOMP;
	posture_set_daemons(&p, list, N_ELEMENTS(list));
	assert_int_equal(p.items[POSTURE_SECCOMP].value, TRI_FALSE);
	assert_string_equal(
	    p.items[POSTURE_SECCOMP].source, "gossipd lacks it");
	assert_string_equal(p.items[POSTURE_LOCKED].source, "proxyd lacks it");

	list[0].is_known = false;
	posture_set_daemons(&p, list, N_ELEMENTS(list));
	assert_int_equal(p.items[POSTURE_GUARD].value, TRI_UNKNOWN);
	assert_string_equal(
	    p.items[POSTURE_GUARD].source, "cryptod has not said it yet");
	// Known to be missing is more than not known.
	assert_int_equal(p.items[POSTURE_SECCOMP].value, TRI_FALSE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_one_is_read),
		cmocka_unit_test(one_of_another_shape_is_refused),
		cmocka_unit_test(memory_and_time_are_read_behind_any_name),
		cmocka_unit_test(nobody_is_said_to_have_what_one_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
