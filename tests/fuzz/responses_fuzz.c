// Targets: responses_request, responses_event, responses_whole.  Whatever
// comes in, what goes out is JSON, and a stream of events is one.
//
// The first byte chooses: r a request, w a whole answer, else a stream whose
// events are the lines.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "proxyd/responses.h"
#include "proxyd/sse.h"
#include "tests/fuzz/fuzz.h"

static void
check(bool promise)
{
	if (!promise)
		abort();
}

static bool
is_object(const void *text, size_t len)
{
	json_error_t ignored;
	json_t *json = json_loadb(text, len, JSON_ALLOW_NUL, &ignored);
	bool is = json_is_object(json);

	json_decref(json);
	return is;
}

static int
check_event(void *arg, const char *data, size_t len)
{
	(*(size_t *)arg)++;
	check(is_object(data, len));
	return 0;
}

static void
fuzz_request(const uint8_t *data, size_t size)
{
	struct buf chat, echo, object;
	const char *why = NULL;

	buf_init(&chat, 1 << 20);
	buf_init(&echo, 1 << 20);
	buf_init(&object, 4 << 20);
	if (responses_request(data, size, &chat, &echo, &why) == 0) {
		check(is_object(buf_data(&chat), buf_len(&chat)));
		check(buf_append(&object, "{\"a\":0", 6) == 0);
		check(
		    buf_append(&object, buf_data(&echo), buf_len(&echo)) == 0);
		check(buf_append(&object, "}", 1) == 0);
		check(is_object(buf_data(&object), buf_len(&object)));
	} else {
		check(why != NULL);
	}
	buf_release(&chat);
	buf_release(&echo);
	buf_release(&object);
}

static void
fuzz_whole(const uint8_t *data, size_t size)
{
	struct buf echo, out;
	struct responses r;

	buf_init(&echo, 16);
	buf_init(&out, 16 << 20);
	responses_init(&r, "0a", "model", 1, &echo);
	if (responses_whole(&r, (const char *)data, size, &out) == 0)
		check(is_object(buf_data(&out), buf_len(&out)));
	responses_done(&r);
	buf_release(&out);
}

static void
fuzz_stream(const uint8_t *data, size_t size)
{
	const uint8_t *lf;
	struct buf echo, out;
	struct responses r;
	struct sse s;
	size_t n, events = 0;
	int error;

	buf_init(&echo, 16);
	buf_init(&out, 64 << 20);
	sse_init(&s);
	responses_init(&r, "0a", "model", 1, &echo);
	error = responses_begin(&r, &out);
	for (; size > 0 && error == 0; data += n, size -= n) {
		lf = memchr(data, '\n', size);
		n = lf == NULL ? size : (size_t)(lf - data);
		error = responses_event(&r, (const char *)data, n, &out);
		n += lf != NULL;
	}
	if (error != 0 || responses_end(&r, &out) != 0)
		check(responses_fail(&r, "cut", &out) == 0);
	check(r.is_done);
	check(sse_feed(&s, buf_data(&out), buf_len(&out), check_event,
		  &events) == 0);
	check(events >= 3 && events == r.sequence);
	responses_done(&r);
	sse_done(&s);
	buf_release(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > 64 * 1024)
		return 0;
	if (data[0] == 'r')
		fuzz_request(data + 1, size - 1);
	else if (data[0] == 'w')
		fuzz_whole(data + 1, size - 1);
	else
		fuzz_stream(data + 1, size - 1);
	return 0;
}
