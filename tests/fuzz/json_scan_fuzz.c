// Target: json_scan_feed.  Pieces make no difference, the strict reader of
// whole texts agrees that it is JSON, and the model fits.  (jansson is the
// oracle of the unit test.)
#include <stdlib.h>
#include <string.h>

#include "proxyd/json_scan.h"
#include "proxyd/json_text.h"
#include "tests/fuzz/fuzz.h"

static void
check(bool promise)
{
	if (!promise)
		abort();
}

static int
scan(struct json_scan *s, const uint8_t *data, size_t size, size_t piece)
{
	size_t n;

	json_scan_init(s);
	for (; size > 0; data += n, size -= n) {
		n = piece < size ? piece : size;
		if (json_scan_feed(s, data, n) < 0)
			return -1;
	}
	return json_scan_end(s);
}

static bool
is_json(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	struct json_text t;
	bool is;

	check(copy != NULL);
	memcpy(copy, data, size);
	t = (struct json_text){ copy, copy + size };
	is = json_text_skip(&t, 0) == 0;
	json_text_skip_space(&t);
	is = is && t.at == t.end;
	free(copy);
	return is;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_scan whole, pieces;
	int r = scan(&whole, data, size, SIZE_MAX);

	check(scan(&pieces, data, size, 1) == r);
	check(strcmp(json_scan_why(&whole), json_scan_why(&pieces)) == 0);
	check(whole.model_len <= MODEL_NAME_MAX);
	if (r == 0) {
		check(is_json(data, size));
		check(strcmp(whole.model, pieces.model) == 0);
		check(strlen(whole.model) == whole.model_len);
		check(utf8_is_valid(whole.model, whole.model_len));
	} else if (strcmp(json_scan_why(&whole),
		       "The request body is not valid JSON") == 0) {
		check(!is_json(data, size));
	}
	return 0;
}
