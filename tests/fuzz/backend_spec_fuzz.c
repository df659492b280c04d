// Target: words_parse, backend_spec_parse, backend_ports_parse,
// backend_key_parse, and the checks of values.c.  What was taken keeps its
// bounds and its form.
#include <stdlib.h>
#include <string.h>

#include "common/backend_url.h"
#include "common/options.h"
#include "common/values.h"
#include "tests/fuzz/fuzz.h"

static void
check(int ok)
{
	if (!ok)
		abort();
}

static void
check_spec(const char *text)
{
	struct backend_spec spec, again;

	if (backend_spec_parse(text, &spec) < 0) {
		check(backend_spec_check(text) != NULL);
		return;
	}
	check(spec.url.len != 0 && spec.text[0] != '\0');
	check(spec.url.prefix[0] == '\0' || spec.url.prefix[0] == '/');
	check(strpbrk(spec.url.prefix, " \r\n?#") == NULL);
	check(strpbrk(spec.url.host, " \r\n/") == NULL);
	check(spec.key_file[0] == '\0' || spec.key_file[0] == '/');
	check(spec.requests <= BACKEND_REQUESTS_MAX);
	check(backend_spec_parse(spec.text, &again) == 0);
}

static void
check_ports(const char *text)
{
	struct backend_ports ports;

	if (backend_ports_parse(text, &ports) < 0) {
		check(backend_ports_check(text) != NULL);
		return;
	}
	check(ports.first > 0 && ports.first <= ports.last);
	check(ports.last - ports.first < BACKEND_PORT_RANGE_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[OPTION_VALUE_MAX + 1], key[BACKEND_KEY_MAX + 1];
	size_t n = size < OPTION_VALUE_MAX ? size : OPTION_VALUE_MAX;

	memcpy(text, data, n);
	text[n] = '\0';
	check_spec(text);
	check_ports(text);
	if (backend_key_parse(text, n, key) == 0)
		check(key[0] > ' ' && strpbrk(key, " \r\n") == NULL);
	if (value_check_mode(text) == NULL)
		check(value_mode(text) <= 0777);
	if (value_check_origin(text) == NULL)
		check(strpbrk(text, " \r\n,*") == NULL);
	if (value_check_host(text) == NULL)
		check(strpbrk(text, " \r\n:/*") == NULL);
	(void)value_check_api(text);
	(void)value_check_level(text);
	return 0;
}
