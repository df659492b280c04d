// Strict base64 of keys and tokens.
#include "common/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

static int
decode(const char *text, size_t len)
{
	uint8_t bytes[64];
	size_t n = 0;

	return base64_decode(text, len, sodium_base64_VARIANT_ORIGINAL, bytes,
	    sizeof(bytes), &n);
}

static void
what_was_encoded_is_decoded(void **state)
{
	uint8_t in[32], out[32];
	char text[64];
	size_t n = 0;

	(void)state;
	randombytes_buf(in, sizeof(in));
	(void)sodium_bin2base64(
	    text, sizeof(text), in, sizeof(in), sodium_base64_VARIANT_ORIGINAL);
	assert_int_equal(
	    base64_decode(text, strlen(text), sodium_base64_VARIANT_ORIGINAL,
		out, sizeof(out), &n),
	    0);
	assert_int_equal(n, sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
}

static void
every_byte_outside_the_alphabet_is_refused(void **state)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";

	(void)state;
	for (int c = 0; c < 256; c++) {
		char text[4] = { 'A', (char)c, 'A', 'A' };
		bool is_digit = c != 0 && strchr(alphabet, c) != NULL;

		assert_int_equal(decode(text, 4) == 0, is_digit);
	}
}

static void
damage_is_refused(void **state)
{
	static const char *const bad[] = { "QQ",
		"QQ=", "QR==", "QUI=QUI=", " QUI=", "QUI= ", "QUI=\n",
		"====", "Q===" };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(decode(bad[i], strlen(bad[i])), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_encoded_is_decoded),
		cmocka_unit_test(every_byte_outside_the_alphabet_is_refused),
		cmocka_unit_test(damage_is_refused),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
