// Targets: sealed_envelope_parse, _begin, _advance and _open, json_text_*.
// Bytes of a stranger never open; pieces, and work that is done while they
// come, make no difference.  The input is also
// used as a model and a body that must arrive as they were.
#include <stdlib.h>
#include <string.h>

#include "proxyd/json_text.h"
#include "proxyd/sealed_v1.h"
#include "tests/fuzz/fuzz.h"

static void
check(bool promise)
{
	if (!promise)
		abort();
}

// With a key: work on what is there already.
static void
work_ahead(struct sealed_envelope *e, const uint8_t *key)
{
	if (key == NULL || (!e->is_early && sealed_envelope_begin(e) < 0))
		return;
	sealed_envelope_advance(e);
	sealed_envelope_open_early(e, key);
}

static void
feed(struct sealed_envelope *e, const uint8_t *data, size_t size, size_t piece,
    const uint8_t *key)
{
	uint8_t *room;
	size_t n;

	while (size > 0) {
		n = piece < size ? piece : size;
		if (sealed_envelope_reserve(e, n, &room, &n) < 0)
			return;
		n = n < size ? n : size;
		memcpy(room, data, n);
		sealed_envelope_commit(e, n);
		work_ahead(e, key);
		data += n;
		size -= n;
	}
}

static void
read_stranger(const uint8_t *data, size_t size)
{
	static const uint8_t key[REQUEST_KEY_LEN] = { 1 };
	struct sealed_envelope whole, pieces;
	uint8_t *plain;
	size_t n;
	int r;

	sealed_envelope_init(&whole, 100000);
	sealed_envelope_init(&pieces, 100000);
	feed(&whole, data, size, SIZE_MAX, NULL);
	feed(&pieces, data, size, 5, key);
	r = sealed_envelope_parse(&whole);
	check(sealed_envelope_parse(&pieces) == r);
	check(whole.stage == pieces.stage);
	if (r == 0) {
		check(memcmp(whole.ephemeral_key, pieces.ephemeral_key,
			  INFERENCE_KEY_LEN) == 0);
		check(whole.ciphertext_len == pieces.ciphertext_len);
		check(sealed_envelope_open(&whole, key, &plain, &n) < 0);
		check(sealed_envelope_open(&pieces, key, &plain, &n) < 0);
		check(memcmp(whole.ciphertext, pieces.ciphertext,
			  whole.ciphertext_len) == 0);
	}
	sealed_envelope_done(&whole);
	sealed_envelope_done(&pieces);
}

static void
send_and_open(const uint8_t *data, size_t size)
{
	static const uint8_t key[REQUEST_KEY_LEN] = { 2 };
	size_t n = size < MODEL_NAME_MAX ? size : MODEL_NAME_MAX;
	struct sealed_envelope e;
	struct sealed_request s;
	uint8_t block[7], *plain;
	struct buf body;

	buf_init(&body, size + 1);
	check(buf_append(&body, data, size) == 0);
	if (sealed_request_init(&s, &body,
		(struct slice){ (const char *)data, n }, key, key) < 0) {
		check(!utf8_is_valid(data, n) || memchr(data, '\0', n) != NULL);
		buf_release(&body);
		return;
	}
	sealed_envelope_init(&e, SEALED_ENVELOPE_MAX);
	while ((n = sealed_request_next(&s, block, sizeof(block))) > 0)
		feed(&e, block, n, SIZE_MAX, key);
	check(sealed_envelope_parse(&e) == 0);
	check(sealed_envelope_open(&e, key, &plain, &n) == 0);
	check(n == size && memcmp(plain, data, n) == 0);
	sealed_envelope_done(&e);
	check(sealed_request_unseal(&s) == 0);
	check(size == 0 || memcmp(buf_data(&body), data, size) == 0);
	buf_release(&body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_stranger(data, size);
	send_and_open(data, size);
	return 0;
}
