// Whatever answers on the management port: parsed, and printed without a
// byte that a terminal would take for a command.
// Targets: http_answer_parse, status_parse, status_print, status_token.
#include <assert.h>

#include "ctl/http_get.h"
#include "ctl/status.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_answer answer;
	char error[64], *text = NULL;
	size_t len = 0;
	json_t *status;
	FILE *f;

	if (http_answer_parse((const char *)data, size, &answer) < 0)
		return 0;
	status =
	    status_parse(answer.body, answer.body_len, error, sizeof(error));
	if (status == NULL || (f = open_memstream(&text, &len)) == NULL) {
		json_decref(status);
		return 0;
	}
	status_print(f, status, 0);
	(void)status_token(status);
	(void)fclose(f);
	for (size_t i = 0; i < len; i++)
		assert(text[i] == '\n' || (text[i] >= 0x20 && text[i] < 0x7f));
	free(text);
	json_decref(status);
	return 0;
}
