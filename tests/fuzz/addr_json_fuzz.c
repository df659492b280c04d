// Target: addr_json_parse, addr_json_write.  What was read once is written
// in one form, and read again it is the same.
#include <stdlib.h>
#include <string.h>

#include "gossipd/addr_json.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct endpoint_addr first, second;
	char once[ADDR_JSON_MAX], twice[ADDR_JSON_MAX];
	const char *reason;
	size_t n, m;

	if (addr_json_parse((const char *)data, size, &first, &reason) < 0)
		return 0;
	if (addr_json_write(&first, once, sizeof(once), &n) < 0 ||
	    addr_json_parse(once, n, &second, &reason) < 0 ||
	    addr_json_write(&second, twice, sizeof(twice), &m) < 0 || n != m ||
	    memcmp(once, twice, n) != 0)
		abort();
	return 0;
}
