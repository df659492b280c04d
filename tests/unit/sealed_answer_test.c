// Sealed answers against the golden vectors, in both roles.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "common/cleanup.h"
#include "proxyd/http_head.h"
#include "proxyd/sealed_v1.h"
#include "tests/unit/sealed_vectors.h"

static const size_t pieces[] = { SIZE_MAX, 3, 1, 4099 };

struct answer {
	struct buf plain;
	int error; // of the last _next() that was not -EAGAIN
	int end;
	bool header;
};

static void
drain(struct sealed_answer *a, struct answer *ret)
{
	uint8_t *text;
	size_t n;
	int r;

	while ((r = sealed_answer_next(a, &text, &n)) == 0)
		assert_int_equal(buf_append(&ret->plain, text, n), 0);
	ret->error = r == -EAGAIN ? 0 : r;
}

static void
read_answer(const struct keys *k, const uint8_t *at, size_t len, size_t piece,
    struct answer *ret)
{
	struct sealed_answer a;
	uint8_t *room;
	size_t n;

	memset(ret, 0, sizeof(*ret));
	buf_init(&ret->plain, 1 << 20);
	sealed_answer_init(&a, k->host_public, k->box);
	while (len > 0 && ret->error == 0) {
		n = piece < len ? piece : len;
		assert_int_equal(sealed_answer_reserve(&a, n, &room), 0);
		memcpy(room, at, n);
		sealed_answer_commit(&a, n);
		at += n;
		len -= n;
		drain(&a, ret);
	}
	if (ret->error == 0 && a.done)
		assert_null(a.in.base); // waits without memory
	ret->end = sealed_answer_end(&a);
	ret->header = a.has_header;
	sealed_answer_done(&a);
	assert_true(sodium_is_zero(a.key, sizeof(a.key)));
}

static void
variant_reads_as_the_reference(
    const struct keys *k, const json_t *v, size_t piece)
{
	const char *reference = text_of(v, "reference");
	bool accepted = strncmp(reference, "accept", 6) == 0;
	struct bytes stream = hex_of(v, "stream_hex");
	struct answer a;

	read_answer(k, stream.at, stream.len, piece, &a);
	if ((a.error == 0 && a.end == 0) != accepted)
		print_error("%s\n", text_of(v, "name"));
	assert_int_equal(a.error == 0 && a.end == 0, accepted);
	if (text_of(v, "decoded_sha256") != NULL)
		assert_sha256(buf_data(&a.plain), buf_len(&a.plain),
		    text_of(v, "decoded_sha256"));
	else
		assert_int_equal(buf_len(&a.plain), 0);
	buf_release(&a.plain);
	free(stream.at);
}

static void
every_answer_reads_as_the_reference_says(void **state)
{
	json_t *root = vector_load("b_response_stream.json"), *v;
	struct bytes stream;
	struct answer a;
	struct keys k;
	size_t i, n;

	(void)state;
	load_keys(root, &k);
	json_array_foreach(json_object_get(root, "variants"), i, v)
	{
		for (size_t p = 0; p < N_ELEMENTS(pieces); p++)
			variant_reads_as_the_reference(&k, v, pieces[p]);
	}
	n = json_string_length(json_object_get(root, "stream_base64"));
	stream.at = malloc(n);
	assert_int_equal(
	    sodium_base642bin(stream.at, n, text_of(root, "stream_base64"), n,
		NULL, &stream.len, NULL, sodium_base64_VARIANT_ORIGINAL),
	    0);
	for (size_t p = 0; p < N_ELEMENTS(pieces); p++) {
		read_answer(&k, stream.at, stream.len, pieces[p], &a);
		assert_int_equal(a.error, 0);
		assert_int_equal(a.end, 0);
		assert_sha256(buf_data(&a.plain), buf_len(&a.plain),
		    text_of(root, "plaintext_sha256"));
		buf_release(&a.plain);
	}
	free(stream.at);
	json_decref(root);
}

// The format cannot tell (same key both ways, wire-v1 8 number 4): the box
// opens, and the HTTP reader is what refuses a request as an answer.
static void
a_reflected_request_is_no_response(void **state)
{
	json_t *root = vector_load("b_response_stream.json"), *v, *found = NULL;
	struct http_response response;
	struct http_refusal why;
	struct bytes stream;
	struct answer a;
	struct keys k;
	size_t i, head, scanned = 0;

	(void)state;
	load_keys(root, &k);
	json_array_foreach(json_object_get(root, "variants"), i, v)
	{
		if (strcmp(text_of(v, "name"), "reflected_request") == 0)
			found = v;
	}
	stream = hex_of(found, "stream_hex");
	read_answer(&k, stream.at, stream.len, 1, &a);
	assert_int_equal(a.error, 0);
	assert_int_equal(http_head_find(buf_data(&a.plain), buf_len(&a.plain),
			     &scanned, &head),
	    0);
	assert_int_equal(http_response_parse(
			     buf_data(&a.plain), head, false, &response, &why),
	    -EBADMSG);
	buf_release(&a.plain);
	free(stream.at);
	json_decref(root);
}

static void
another_hosts_key_in_the_header_is_refused(void **state)
{
	json_t *root = vector_load("b_response_stream.json");
	uint8_t header[SEALED_ANSWER_HEADER_LEN];
	struct answer a;
	struct keys k;

	(void)state;
	load_keys(root, &k);
	sealed_writer_header(k.host_public, header);
	for (size_t i = 1; i < sizeof(header); i++) {
		header[i] ^= 1;
		read_answer(&k, header, sizeof(header), 7, &a);
		assert_int_equal(a.error, -EKEYREJECTED);
		assert_false(a.header);
		header[i] ^= 1;
		buf_release(&a.plain);
	}
	read_answer(&k, header, sizeof(header), 7, &a);
	assert_int_equal(a.error, 0);
	assert_int_equal(a.end, -EPIPE);
	buf_release(&a.plain);
	json_decref(root);
}

static size_t
fill_chunk(const json_t *chunk, uint8_t *at)
{
	struct bytes plain;
	size_t n = 65536;

	if (text_of(chunk, "plaintext_hex") != NULL) {
		plain = hex_of(chunk, "plaintext_hex");
		memcpy(at, plain.at, plain.len);
		n = plain.len;
		free(plain.at);
		return n;
	}
	for (size_t i = 0; i < n; i++)
		at[i] = (uint8_t)(13 * i + 5);
	return n;
}

static void
the_host_writes_every_chunk_byte_for_byte(void **state)
{
	json_t *root = vector_load("b_response_stream.json"), *c;
	uint8_t *block = malloc(SEALED_CHUNK_ROOM + SEALED_CHUNK_PLAIN_MAX);
	struct sealed_writer w;
	struct buf stream;
	struct keys k;
	size_t i, n;

	(void)state;
	load_keys(root, &k);
	buf_init(&stream, 1 << 20);
	sealed_writer_header(k.host_public, block);
	assert_int_equal(
	    buf_append(&stream, block, SEALED_ANSWER_HEADER_LEN), 0);
	sealed_writer_init(&w, k.box);
	json_array_foreach(json_object_get(root, "chunks"), i, c)
	{
		hex_into(c, "nonce_hex", w.nonce, sizeof(w.nonce));
		n = fill_chunk(c, block + SEALED_CHUNK_ROOM);
		n = sealed_writer_seal(&w, block, n);
		assert_int_equal(buf_append(&stream, block, n), 0);
	}
	assert_int_equal(
	    buf_append(&stream, sealed_end_mark, SEALED_END_LEN), 0);
	assert_sha256(buf_data(&stream), buf_len(&stream),
	    text_of(root, "stream_sha256"));
	sealed_writer_done(&w);
	buf_release(&stream);
	free(block);
	json_decref(root);
}

static void
no_two_chunks_have_one_nonce(void **state)
{
	uint8_t block[SEALED_CHUNK_ROOM + 1], seen[600][SEALED_NONCE_LEN];
	uint8_t key[32] = { 7 };
	struct sealed_writer w;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(seen); i++) {
		if (i % 300 == 0)
			sealed_writer_init(&w, key);
		(void)sealed_writer_seal(&w, block, 1);
		memcpy(seen[i], block + 4, SEALED_NONCE_LEN);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(
			    seen[i], seen[j], SEALED_NONCE_LEN);
	}
}

static void
a_promised_chunk_takes_memory_only_as_it_arrives(void **state)
{
	uint8_t start[SEALED_ANSWER_HEADER_LEN + 4 + 100] = { 0 }, *room;
	uint8_t key[32] = { 3 };
	struct sealed_answer a;
	uint8_t *text;
	size_t n;

	(void)state;
	sealed_writer_header(key, start);
	start[SEALED_ANSWER_HEADER_LEN + 3] = 1; // 16 MiB, the most
	sealed_answer_init(&a, key, key);
	assert_int_equal(sealed_answer_reserve(&a, sizeof(start), &room), 0);
	memcpy(room, start, sizeof(start));
	sealed_answer_commit(&a, sizeof(start));
	assert_int_equal(sealed_answer_next(&a, &text, &n), -EAGAIN);
	assert_true(a.in.size <= 4096);
	sealed_answer_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_reads_as_the_reference_says),
		cmocka_unit_test(a_reflected_request_is_no_response),
		cmocka_unit_test(another_hosts_key_in_the_header_is_refused),
		cmocka_unit_test(the_host_writes_every_chunk_byte_for_byte),
		cmocka_unit_test(no_two_chunks_have_one_nonce),
		cmocka_unit_test(
		    a_promised_chunk_takes_memory_only_as_it_arrives),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
