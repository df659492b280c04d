// Targets: multipart_boundary, multipart_feed.  Pieces make no difference, the
// model is UTF-8 and fits, and what was accepted begins and ends as it must.
//
// The first line is the Content-Type, the rest the body.
#include <stdlib.h>
#include <string.h>

#include "proxyd/json_text.h"
#include "proxyd/multipart.h"
#include "tests/fuzz/fuzz.h"

static void
check(bool promise)
{
	if (!promise)
		abort();
}

static int
scan(struct multipart *m, struct slice boundary, const uint8_t *data,
    size_t size, size_t piece)
{
	size_t n;

	multipart_init(m, boundary);
	for (; size > 0; data += n, size -= n) {
		n = piece < size ? piece : size;
		if (multipart_feed(m, data, n) < 0)
			return -1;
	}
	return multipart_end(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *lf = memchr(data, '\n', size);
	size_t n = lf == NULL ? size : (size_t)(lf - data);
	struct multipart whole, pieces;
	struct slice boundary;
	int r;

	if (multipart_boundary(
		(struct slice){ (const char *)data, n }, &boundary) < 0 ||
	    lf == NULL)
		return 0;
	check(boundary.len > 0 && boundary.len <= MULTIPART_BOUNDARY_MAX);
	data += n + 1;
	size -= n + 1;
	r = scan(&whole, boundary, data, size, SIZE_MAX);
	check(scan(&pieces, boundary, data, size, 1) == r);
	check(strcmp(multipart_why(&whole), multipart_why(&pieces)) == 0);
	if (r < 0)
		return 0;
	check(whole.has_model == pieces.has_model);
	check(whole.stream == pieces.stream);
	check(memcmp(data, "--", 2) == 0);
	check(memmem(data, size, boundary.at, boundary.len) == data + 2);
	if (!whole.has_model)
		return 0;
	check(strcmp(whole.model, pieces.model) == 0);
	check(whole.model_len <= MODEL_NAME_MAX);
	check(strlen(whole.model) == whole.model_len);
	check(utf8_is_valid(whole.model, whole.model_len));
	return 0;
}
