// Target: sealed_answer_next.  As the bytes of a tunnel, in several pieces;
// and as the plaintext of chunks whose sizes the input says, which must
// arrive as it was, and not at all when a byte is changed.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxyd/sealed_v1.h"
#include "tests/fuzz/fuzz.h"

static const uint8_t host_key[INFERENCE_KEY_LEN] = { 3 };
static const uint8_t key[REQUEST_KEY_LEN] = { 4 };

static void
check(bool promise)
{
	if (!promise)
		abort();
}

// The error, or the result of _end().
static int
read_answer(const uint8_t *data, size_t size, size_t piece, struct buf *out)
{
	struct sealed_answer a;
	uint8_t *at;
	size_t n, len;
	int r = 0;

	sealed_answer_init(&a, host_key, key);
	while (size > 0 && r == 0) {
		n = piece < size ? piece : size;
		check(sealed_answer_reserve(&a, n, &at) == 0);
		memcpy(at, data, n);
		sealed_answer_commit(&a, n);
		data += n;
		size -= n;
		while ((r = sealed_answer_next(&a, &at, &len)) == 0)
			check(buf_append(out, at, len) == 0);
		r = r == -EAGAIN ? 0 : r;
	}
	if (r == 0)
		r = sealed_answer_end(&a);
	sealed_answer_done(&a);
	return r;
}

static void
read_stranger(const uint8_t *data, size_t size)
{
	struct buf whole, pieces;

	buf_init(&whole, size + 1);
	buf_init(&pieces, size + 1);
	check(read_answer(data, size, SIZE_MAX, &whole) ==
	    read_answer(data, size, 1, &pieces));
	check(buf_len(&whole) == 0 && buf_len(&pieces) == 0);
	buf_release(&whole);
	buf_release(&pieces);
}

static void
write_answer(const uint8_t *data, size_t size, struct buf *ret)
{
	uint8_t block[SEALED_CHUNK_ROOM + 256];
	struct sealed_writer w;
	size_t n;

	sealed_writer_init(&w, key);
	sealed_writer_header(host_key, block);
	check(buf_append(ret, block, SEALED_ANSWER_HEADER_LEN) == 0);
	for (; size > 0; data += n, size -= n) {
		n = 1 + (size_t)data[0];
		n = n < size ? n : size;
		memcpy(block + SEALED_CHUNK_ROOM, data, n);
		n = sealed_writer_seal(&w, block, n);
		check(buf_append(ret, block, n) == 0);
		n -= SEALED_CHUNK_ROOM;
	}
	check(buf_append(ret, sealed_end_mark, SEALED_END_LEN) == 0);
	sealed_writer_done(&w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf wire, out;
	size_t at;

	read_stranger(data, size);
	if (size == 0)
		return 0;
	buf_init(&wire, 64 * (size + 16));
	buf_init(&out, size);
	write_answer(data, size, &wire);
	check(read_answer(buf_data(&wire), buf_len(&wire), 13, &out) == 0);
	check(buf_len(&out) == size);
	check(memcmp(buf_data(&out), data, size) == 0);
	buf_clear(&out);
	// Any changed byte of a chunk, but for its length, is an error.
	at = SEALED_ANSWER_HEADER_LEN + 4 + data[0] % 40;
	buf_data(&wire)[at] ^= (uint8_t)(1u << data[0] % 8);
	check(
	    read_answer(buf_data(&wire), buf_len(&wire), 13, &out) == -EBADMSG);
	check(buf_len(&out) == 0);
	buf_release(&wire);
	buf_release(&out);
	return 0;
}
