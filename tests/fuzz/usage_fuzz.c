// Target: usage_feed.  Pieces make no difference.
#include <stdlib.h>
#include <string.h>

#include "proxyd/usage.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct usage whole = { .prompt = 0 }, pieces = { .prompt = 0 };

	usage_feed(&whole, data, size);
	for (size_t at = 0; at < size;) {
		size_t part = 1 + data[at] % 9;

		if (part > size - at)
			part = size - at;
		usage_feed(&pieces, data + at, part);
		at += part;
	}
	if (whole.prompt != pieces.prompt ||
	    whole.completion != pieces.completion)
		abort();
	return 0;
}
