// Targets: http_response_parse, http_body_read and http_write_response, as
// for a backend's answer and for one out of a tunnel; load_parse.
#include <stdlib.h>
#include <string.h>

#include "proxyd/http_head.h"
#include "proxyd/http_write.h"
#include "proxyd/load.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/http_transcript.h"

static void
check(bool promise)
{
	if (!promise)
		abort();
}

static void
check_fields(const struct http_fields *fields)
{
	for (size_t i = 0; i < fields->n; i++) {
		check(http_is_token(fields->at[i].name));
		check(http_is_field_value(fields->at[i].value));
	}
}

static bool
read_head(const uint8_t *data, size_t size, struct http_response *ret)
{
	struct http_refusal why;
	size_t scanned = 0, len;

	if (http_head_find(data, size, &scanned, &len) < 0)
		return false;
	return http_response_parse(data, len, false, ret, &why) == 0;
}

static void
check_rebuilt(const struct http_response *first)
{
	struct http_rewrite how = { .framing = first->framing,
		.length = first->length,
		.close = !first->keep_alive,
		.drop =
		    HTTP_DROP_SET_COOKIE | HTTP_DROP_CORS | HTTP_DROP_MESHLLM };
	struct http_response second;
	struct buf out;

	buf_init(&out, 4 * HTTP_HEAD_MAX);
	check(http_write_response(&out, first, &how) == 0);
	if (buf_len(&out) <= HTTP_HEAD_MAX && first->fields.n < 99) {
		check(read_head(buf_data(&out), buf_len(&out), &second));
		check(second.status == first->status);
		check(second.framing == first->framing);
		check(second.length == first->length);
		check(second.keep_alive == first->keep_alive);
		check(http_fields_find(&second.fields, "set-cookie") == NULL);
		check_fields(&second.fields);
	}
	buf_release(&out);
}

// Taken in one form only: that in which it is written.
static void
check_load(const struct http_fields *fields)
{
	const struct http_field *f = http_fields_find(fields, LOAD_FIELD);
	struct load load;
	char text[LOAD_TEXT_MAX];

	if (!load_parse(fields, &load))
		return;
	check(load.limit > 0 && load.limit <= LOAD_MAX);
	check(load.running <= LOAD_MAX && load.queued <= LOAD_MAX);
	load_write(&load, text);
	check(f != NULL && slice_is(f->value, text));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, pieces;
	struct http_response r;

	if (read_head(data, size, &r)) {
		check_fields(&r.fields);
		check(r.status >= 100 && r.status <= 599 && r.status != 101);
		check_load(&r.fields);
		check_rebuilt(&r);
	}
	buf_init(&whole, 64 * (size + 1024));
	buf_init(&pieces, 64 * (size + 1024));
	http_transcript(data, size, SIZE_MAX, true, &whole);
	http_transcript(data, size, 1, true, &pieces);
	check(buf_len(&whole) == buf_len(&pieces));
	check(buf_len(&whole) == 0 ||
	    memcmp(buf_data(&whole), buf_data(&pieces), buf_len(&whole)) == 0);
	buf_release(&whole);
	buf_release(&pieces);
	return 0;
}
