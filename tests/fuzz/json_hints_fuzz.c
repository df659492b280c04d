// Target: json_hints_read.  It stays inside of what it is given, whatever that
// is (the copy ends where its allocation does), and says the same twice.
#include <stdlib.h>
#include <string.h>

#include "proxyd/json_hints.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[JSON_HINTS_KEY_LEN] = { 1 };
	uint8_t *copy = malloc(size == 0 ? 1 : size);
	struct json_hints a, b;

	if (copy == NULL)
		abort();
	if (size > 0)
		memcpy(copy, data, size);
	json_hints_read(copy, size, key, &a);
	json_hints_read(copy, size, key, &b);
	if (a.has_session != b.has_session || a.session != b.session ||
	    a.tokens != b.tokens || (size == 0 && a.has_session))
		abort();
	free(copy);
	return 0;
}
