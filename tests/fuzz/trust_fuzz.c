// Target: trust_parse and trust_line_text: what is taken is written the same.
#include <stdlib.h>
#include <string.h>

#include "attestd/trust.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trust_list list, again;
	size_t bad;

	if (trust_parse((const char *)data, size, &list, &bad) < 0)
		return 0;
	for (size_t i = 0; i < list.n; i++) {
		char *text;

		if (trust_line_text(&list.at[i], &text) < 0)
			continue;
		if (trust_parse(text, strlen(text), &again, &bad) < 0 ||
		    again.n != 1 ||
		    memcmp(again.at[0].id, list.at[i].id, TRUST_ID_LEN) != 0)
			abort();
		trust_list_done(&again);
		free(text);
	}
	trust_list_done(&list);
	return 0;
}
