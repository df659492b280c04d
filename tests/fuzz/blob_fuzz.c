// Target: blob_check, blob_parse, blob_canonical, rfc3339_parse.
#include <stdlib.h>

#include "attestd/blob.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct blob_expected e = {
		.node_id = "db995fe25169d141cab9bbba92baa01f"
			   "9f2e1ece7df4cb2ac05190f37fcc1f9d",
		.inference_key = "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=",
		.now = { 1778133600, 0 },
		.max_age_seconds = BLOB_MAX_AGE_SECONDS,
	};
	struct rfc3339_time time;
	struct blob blob;
	uint8_t *bytes;
	size_t len;

	(void)blob_check(data, size, &e);
	if (rfc3339_parse((const char *)data, size, &time) == 0 &&
	    time.nanoseconds >= 1000000000)
		abort();
	if (blob_parse(data, size, &blob) < 0)
		return 0;
	if (blob_canonical(&blob, &bytes, &len) == 0) {
		// No text in it is longer than its place in the blob.
		if (len > size + 128)
			abort();
		free(bytes);
	}
	blob_done(&blob);
	return 0;
}
