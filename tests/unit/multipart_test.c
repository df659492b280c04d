// Form data: which is refused, in any pieces, and what is read of it.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "proxyd/multipart.h"

#define CD "Content-Disposition: form-data; "
#define PART(head, body) "--xyz\r\n" head "\r\n\r\n" body "\r\n"
#define MODEL PART(CD "name=\"model\"", "whisper")
#define FILE_PART                                                     \
	PART(CD "name=\"file\"; filename=\"a.wav\"\r\nContent-Type: " \
		"audio/wav",                                          \
	    "\r\n--xy\r\n\r\r--xyz")
#define END "--xyz--\r\n"

static int
scan(const char *text, size_t len, size_t piece, struct multipart *m)
{
	size_t n;

	multipart_init(m, slice_of("xyz"));
	for (; len > 0; text += n, len -= n) {
		n = piece < len ? piece : len;
		if (multipart_feed(m, (const uint8_t *)text, n) < 0)
			return -EBADMSG;
	}
	return multipart_end(m);
}

static void
the_model_is_found_whatever_surrounds_it(void **state)
{
	static const char *const tries[] = {
		MODEL END,
		MODEL "--xyz--",
		FILE_PART MODEL END,
		MODEL FILE_PART END,
		PART(CD "name=model", "whisper") END,
		PART("content-disposition:form-data;NAME=\"model\"", "whisper")
		    END,
		PART("Content-Type: text/plain\r\n" CD "name=\"model\"",
		    "whisper") END,
		PART(CD "name=\"model\"\r\nContent-Transfer-Encoding: 8bit",
		    "whisper") END,
		PART(CD "name=\"models\"", "other")
		    PART(CD "name=\"Model\"", "other") MODEL END,
		PART(CD "name=\"\"", "") MODEL END,
		PART(CD "name=\"f\"; filename=\"a;b=\"; "
			"filename*=UTF-8''a%20b",
		    "") MODEL END,
	};
	struct multipart m;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(tries); i++)
		for (size_t piece = 1; piece < 40; piece++) {
			assert_int_equal(
			    scan(tries[i], strlen(tries[i]), piece, &m), 0);
			assert_true(m.has_model);
			assert_string_equal(m.model, "whisper");
			assert_false(m.stream);
		}
}

static void
stream_is_read(void **state)
{
	static const struct {
		const char *value;
		int stream; // -1: refused
	} tries[] = { { "true", 1 }, { "True", 1 }, { "1", 1 }, { "false", 0 },
		{ "0", 0 }, { "", -1 }, { "yes", -1 }, { "truetrue!", -1 } };
	struct multipart m;
	char text[256];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(tries); i++) {
		(void)snprintf(text, sizeof(text),
		    MODEL "--xyz\r\n" CD "name=\"stream\"\r\n\r\n%s\r\n" END,
		    tries[i].value);
		assert_int_equal(scan(text, strlen(text), 7, &m),
		    tries[i].stream < 0 ? -EBADMSG : 0);
		if (tries[i].stream >= 0)
			assert_int_equal(m.stream, tries[i].stream);
	}
}

static void
what_two_readers_could_read_differently_is_refused(void **state)
{
	static const char *const tries[] = {
		"",
		"--xyz--\r\n",
		"--xyz",
		MODEL,
		MODEL "--xyz-",
		MODEL "--xyz--x",
		MODEL "--xyz--\r\nx",
		MODEL "--xyz-- \r\n",
		"preamble\r\n" MODEL END,
		"\r\n" MODEL END,
		MODEL "--xyzw\r\n",
		MODEL MODEL END,
		"--xyz\n" CD "name=\"model\"\n\nwhisper\n--xyz--\n",
		PART(CD "name=\"model\"", "a\nb") END,
		PART(CD "name=\"model\"", "\xff") END,
		PART(CD "name=\"model\"; filename=\"m\"", "whisper") END,
		PART(CD "name=\"model\"; name=\"x\"", "whisper") END,
		PART(CD "name=\"x\"; name=\"model\"", "whisper") END,
		PART(CD "name*=UTF-8''model", "whisper") END,
		PART(CD "name=\"mo\\del\"", "whisper") MODEL END,
		PART(CD "name=\"model", "whisper") END,
		PART(CD "name", "whisper") END,
		PART(CD "filename=\"x\"", "") MODEL END,
		PART("Content-Disposition: attachment; name=\"model\"", "w")
		    END,
		PART("Content-Type: text/plain", "x") MODEL END,
		PART(CD "name=\"a\"\r\n" CD "name=\"b\"", "x") MODEL END,
		PART("Content-Disposition: form-data;\r\n name=\"model\"",
		    "whisper") END,
		PART(CD "name=\"model\"\r\nContent-Transfer-Encoding: base64",
		    "d2hpc3Blcg==") END,
		PART(CD "name=\"model\"\r\nno colon", "whisper") END,
		PART("Bad Name: x\r\n" CD "name=\"model\"", "whisper") END,
		"--xyz\r\n\r\nwhisper\r\n" MODEL END,
	};
	struct multipart m;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(tries); i++)
		for (size_t piece = 1; piece < 40; piece += 3)
			if (scan(tries[i], strlen(tries[i]), piece, &m) == 0)
				fail_msg("taken: %s", tries[i]);
}

static void
limits_hold(void **state)
{
	static char text[64 * 1024];
	struct multipart m;
	size_t n = 0;

	(void)state;
	for (int i = 0; i <= MULTIPART_PARTS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s",
		    PART(CD "name=\"a\"", "b"));
	n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", MODEL END);
	assert_int_equal(scan(text, n, n, &m), -EBADMSG);
	assert_string_equal(multipart_why(&m), "too many parts");
	n = (size_t)snprintf(text, sizeof(text), "--xyz\r\nX: %0*d\r\n%s\r\n",
	    MULTIPART_HEAD_MAX, 0, CD "name=\"model\"\r\n");
	assert_int_equal(scan(text, n, n, &m), -EBADMSG);
	assert_string_equal(
	    multipart_why(&m), "the head of a part is too large");
	n = (size_t)snprintf(text, sizeof(text),
	    "--xyz\r\n" CD "name=\"model\"\r\n\r\n%0*d\r\n" END,
	    MODEL_NAME_MAX + 1, 0);
	assert_int_equal(scan(text, n, n, &m), -EBADMSG);
	assert_string_equal(multipart_why(&m), "The model name is too long");
}

static void
a_boundary_is_taken_from_one_type_only(void **state)
{
	static const struct {
		const char *type, *boundary;
	} tries[] = {
		{ "multipart/form-data; boundary=abc", "abc" },
		{ "Multipart/Form-Data;BOUNDARY=\"a b\"", NULL },
		{ "multipart/form-data; boundary=\"a:b\"", "a:b" },
		{ "multipart/form-data; charset=utf-8; boundary=----x'",
		    "----x'" },
		{ "multipart/form-data", NULL },
		{ "multipart/form-data; boundary=", NULL },
		{ "multipart/form-data; boundary=\"\"", NULL },
		{ "multipart/form-data; boundary=a; boundary=b", NULL },
		{ "multipart/form-data; boundary=a:b", NULL },
		{ "multipart/form-data; boundary=\"a\\\"b\"", NULL },
		{ "multipart/form-data; boundary=\"a", NULL },
		{ "multipart/form-data boundary=a", NULL },
		{ "multipart/form-dataX; boundary=a", NULL },
		{ "multipart/mixed; boundary=a", NULL },
		{ "multipart/form-data; boundary="
		  "12345678901234567890123456789012345678901234567890"
		  "123456789012345678901",
		    NULL },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(tries); i++) {
		struct slice boundary;
		int r = multipart_boundary(slice_of(tries[i].type), &boundary);

		assert_int_equal(r, tries[i].boundary == NULL ? -EINVAL : 0);
		if (r == 0)
			assert_true(slice_is(boundary, tries[i].boundary));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_model_is_found_whatever_surrounds_it),
		cmocka_unit_test(stream_is_read),
		cmocka_unit_test(
		    what_two_readers_could_read_differently_is_refused),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(a_boundary_is_taken_from_one_type_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
