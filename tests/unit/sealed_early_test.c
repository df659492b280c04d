// Sealed requests that are decoded and opened while they come, against the same
// ones that are collected first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/sealed_vectors.h"

enum { CHANGES = 8, TRIES = 400, BODY_TEST_MAX = 9000 };

static size_t
any(size_t n)
{
	return randombytes_uniform((uint32_t)n);
}

static void
insert(struct bytes *b, size_t at, const char *text)
{
	size_t n = strlen(text);

	b->at = realloc(b->at, b->len + n);
	assert_non_null(b->at);
	memmove(b->at + at + n, b->at + at, b->len - at);
	memcpy(b->at + at, text, n);
	b->len += n;
}

// A text of somebody else, or a damaged one.
static void
change(struct bytes *b, size_t how)
{
	uint8_t *slash = memrchr(b->at, '/', b->len);

	switch (how) {
	case 0:
		b->at[any(b->len)] ^= (uint8_t)(1 + any(255));
		break;
	case 1:
		b->len = 1 + any(b->len - 1); // gossipd takes one byte
		break;
	case 2:
		if (slash != NULL)
			insert(b, (size_t)(slash - b->at), "\\");
		break;
	case 3:
		insert(b, b->len - 1, " , \"x\": [1] ");
		break;
	case 4:
		insert(b, b->len - 1, ",\"model\":\"again\"");
		break;
	case 5:
		insert(b, b->len - 1, ",\"ciphertext\":\"QUJD\"");
		break;
	case 6:
		insert(b, any(b->len), any(2) == 0 ? "=" : "====");
		break;
	default:
		break;
	}
}

static struct bytes
seal_for(const struct keys *k)
{
	struct sealed_request s;
	struct bytes wire;
	struct buf body;
	uint8_t *at;
	size_t n = 1 + any(BODY_TEST_MAX);

	buf_init(&body, BODY_TEST_MAX);
	assert_int_equal(buf_reserve(&body, n, &at), 0);
	memset(at, 'x', n);
	buf_commit(&body, n);
	assert_int_equal(sealed_request_init(&s, &body, slice_of("m"),
			     k->ephemeral_public, k->box),
	    0);
	wire = collect(&s, SIZE_MAX);
	insert(&wire, 0, "\x04");
	sealed_request_done(&s);
	buf_release(&body);
	return wire;
}

static void
it_does_not_matter_what_was_done_while_it_came(void **state)
{
	json_t *root = vector_load("a_request_envelope.json");
	struct bytes wire, opened[2];
	struct sealed_envelope e[2];
	struct keys k;
	int r[2];

	(void)state;
	load_keys(root, &k);
	for (size_t i = 0; i < TRIES; i++) {
		struct arrival a = { COLLECTED, &k };
		struct arrival b = { (enum how)(EARLY + any(N_HOW - 1)), &k };

		wire = seal_for(&k);
		change(&wire, i % CHANGES);
		r[0] = host_opens(&a, &wire, SIZE_MAX, &e[0], &opened[0]);
		r[1] = host_opens(&b, &wire, 1 + any(3000), &e[1], &opened[1]);
		assert_int_equal(r[0], r[1]);
		assert_int_equal(e[0].stage, e[1].stage);
		if (r[0] == 0) {
			assert_int_equal(opened[0].len, opened[1].len);
			assert_memory_equal(
			    opened[0].at, opened[1].at, opened[0].len);
		}
		sealed_envelope_done(&e[0]);
		sealed_envelope_done(&e[1]);
		free(wire.at);
	}
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    it_does_not_matter_what_was_done_while_it_came),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
