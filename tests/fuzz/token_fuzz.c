// Target: token_parse, token_write.  What was read once is written in one
// form, and read again it is the same.
#include <stdlib.h>
#include <string.h>

#include "gossipd/token.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct endpoint_addr first, second;
	char *token = malloc(size + 1), once[TOKEN_MAX + 1];
	char twice[TOKEN_MAX + 1];
	const char *reason;

	if (token == NULL)
		abort();
	if (size > 0)
		memcpy(token, data, size);
	token[size] = '\0';
	if (token_parse(token, &first, &reason) < 0) {
		if (reason == NULL)
			abort();
	} else {
		if (token_write(&first, once) < 0 ||
		    token_parse(once, &second, &reason) < 0 ||
		    token_write(&second, twice) < 0 || strcmp(once, twice) != 0)
			abort();
	}
	free(token);
	return 0;
}
