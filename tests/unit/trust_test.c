// The trust files, and the levels that follow from them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

#include "attestd/level.h"
#include "attestd/trust.h"
#include "common/hex.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
enum { NOW_S = 1778133600 }; // of the vectors

struct folder {
	char path[64];
	int fd;
	struct trust_store store;
	struct level_question question;
	uint8_t blob[4096];
	char key[65]; // of the blob, as the trust files name it
};

static int
setup(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));
	json_t *json = json_load_file(TEST_DATA "/c_attestation.json", 0, NULL);
	const json_t *first =
	    json_array_get(json_object_get(json, "vectors"), 0);
	const char *hex, *node, *key;
	uint8_t fingerprint[32];
	struct blob blob;
	size_t len;

	hex = json_string_value(json_object_get(first, "blob_hex"));
	node = json_string_value(json_object_get(first, "expected_node_id"));
	key =
	    json_string_value(json_object_get(first, "expected_inference_key"));
	f->question.blob = f->blob;
	f->question.blob_len = strlen(hex) / 2;
	f->question.now_ms = NOW_S * UINT64_C(1000);
	assert_int_equal(
	    hex_decode(hex, strlen(hex), f->blob, f->question.blob_len), 0);
	assert_int_equal(hex_decode(node, 64, f->question.node, 32), 0);
	assert_int_equal(
	    sodium_base642bin(f->question.inference_key, 32, key, strlen(key),
		NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL),
	    0);
	json_decref(json);
	assert_int_equal(blob_parse(f->blob, f->question.blob_len, &blob), 0);
	assert_int_equal(level_blob_key(&blob, fingerprint), 0);
	hex_encode(f->key, fingerprint, 32);
	blob_done(&blob);
	memcpy(f->path, "/tmp/trust-XXXXXX", 18);
	assert_non_null(mkdtemp(f->path));
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(trust_store_init(&f->store, f->path), 0);
	assert_int_equal(trust_store_own(&f->store), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct folder *f = *state;

	trust_store_done(&f->store);
	(void)unlinkat(f->fd, TRUST_FILE, 0);
	(void)unlinkat(f->fd, TRUST_SEEN_FILE, 0);
	(void)unlinkat(f->fd, TRUST_SEEN_FILE ".new", AT_REMOVEDIR);
	(void)unlinkat(f->fd, TRUST_FILE ".new", 0);
	(void)unlinkat(f->fd, TRUST_OWN_FOLDER, AT_REMOVEDIR);
	(void)close(f->fd);
	assert_int_equal(rmdir(f->path), 0);
	free(f);
	return 0;
}

// The operator writes; the store sees it.
static void __attribute__((format(printf, 2, 3)))
decide(struct folder *f, const char *format, ...)
{
	char text[1024];
	va_list args;
	int fd, n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)unlinkat(f->fd, TRUST_FILE, 0);
	fd = openat(f->fd, TRUST_FILE, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, text, (size_t)n), n);
	assert_int_equal(close(fd), 0);
	assert_true(trust_store_refresh(&f->store));
	assert_false(trust_store_refresh(&f->store));
}

static void
check_level(struct folder *f, enum level level, const char *reason)
{
	struct verdict v;

	level_of_blob(&f->store, &f->question, &v);
	if (v.level != level || strstr(v.reason, reason) == NULL)
		fail_msg("%s: %s", level_name(v.level), v.reason);
	assert_true(v.expires_ms <= f->question.now_ms + LEVEL_VERDICT_MS);
}

static void
restart(struct folder *f)
{
	trust_store_done(&f->store);
	assert_int_equal(trust_store_init(&f->store, f->path), 0);
	assert_int_equal(trust_store_own(&f->store), 0);
}

static void
lines_come_back_as_they_were_written(void **state)
{
	static const char text[] =
	    "# by hand\n\npin " HEX_A " " HEX_B "\n"
	    "allow-key " HEX_A "\nrevoke " HEX_B "\n"
	    "root " HEX_A " My CA, 2026\n"
	    "image " HEX_B "\nseen " HEX_A " " HEX_B " 1778133600\n";
	struct trust_list list;
	struct folder *f = *state;
	size_t bad;

	assert_int_equal(trust_parse(text, strlen(text), &list, &bad), 0);
	assert_int_equal(list.n, 6);
	assert_int_equal(trust_save(f->fd, TRUST_FILE, &list, true), 0);
	trust_list_done(&list);
	assert_int_equal(trust_load(f->fd, TRUST_FILE, &list, &bad), 0);
	assert_int_equal(list.n, 6);
	assert_string_equal(list.at[3].name, "My CA, 2026");
	assert_int_equal(list.at[5].time, NOW_S);
	assert_int_equal(trust_remove(&list, TRUST_PIN, list.at[0].id), 1);
	assert_null(trust_find(&list, TRUST_PIN, NULL));
	assert_non_null(trust_find(&list, TRUST_SEEN, NULL));
	trust_list_done(&list);
}

static void
a_line_that_is_not_understood_voids_the_file(void **state)
{
	static const char *const bad[] = { "pin " HEX_A "\n",
		"pin " HEX_A " " HEX_B " \n", "pin " HEX_A "  " HEX_B "\n",
		"allow-key AAAA\n", "allow-key " HEX_A, "what " HEX_A "\n",
		"revoke\n", "seen " HEX_A " " HEX_B " -1\n",
		"seen " HEX_A " " HEX_B "\n", "image " HEX_A " x\n",
		"root " HEX_A " a\tb\n", " pin " HEX_A " " HEX_B "\n" };
	struct trust_list list;
	size_t line;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		if (trust_parse(bad[i], strlen(bad[i]), &list, &line) !=
		    -EBADMSG)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(line, 1);
	}
}

static void
a_key_is_remembered_at_first_use_and_after_a_restart(void **state)
{
	struct folder *f = *state;

	check_level(f, LEVEL_TOFU, "seen first");
	restart(f);
	assert_int_equal(f->store.seen.n, 1);
	check_level(f, LEVEL_TOFU, "seen first");
	f->store.seen.at[0].key[0] ^= 1;
	check_level(f, LEVEL_NONE, "HAS CHANGED: first seen was");
}

static void
a_changed_key_is_taken_after_the_operator_has_forgotten_the_old(void **state)
{
	char node[65], old[65];
	struct folder *f = *state;

	check_level(f, LEVEL_TOFU, "seen first");
	f->store.seen.at[0].key[0] ^= 1;
	hex_endpoint_id(f->question.node, node);
	hex_encode(old, f->store.seen.at[0].key, 32);
	decide(f, "forget %s %s %d\n", node, old, NOW_S - 1); // before
	check_level(f, LEVEL_NONE, "HAS CHANGED");
	decide(f, "forget %s %s %d\n", node, old, NOW_S);
	check_level(f, LEVEL_TOFU, "seen first");
	assert_int_equal(f->store.seen.n, 1);
}

static void
keys_without_end_are_remembered_slowly(void **state)
{
	struct folder *f = *state;
	uint8_t node[32] = { 1 };
	uint64_t now = NOW_S;

	for (size_t i = 0; i < TRUST_NEW_MAX; i++) {
		node[1] = (uint8_t)i;
		node[2] = (uint8_t)(i >> 8);
		assert_int_equal(
		    trust_store_see(&f->store, node, node, now), 0);
	}
	assert_int_equal(trust_store_see(&f->store, node, node, now), -EAGAIN);
	check_level(f, LEVEL_SELF_SIGNED, "too many new keys");
	now++;
	node[0]++;
	assert_int_equal(trust_store_see(&f->store, node, node, now), 0);
	assert_int_equal(trust_store_see(&f->store, node, node, now), -EAGAIN);
	now -= 1000; // a clock that was set
	assert_int_equal(trust_store_see(&f->store, node, node, now), -EAGAIN);
	now += 2;
	assert_int_equal(trust_store_see(&f->store, node, node, now), 0);
	restart(f);
	assert_int_equal(f->store.seen.n, TRUST_NEW_MAX + 2);
	f->question.now_ms += 5000;
	check_level(f, LEVEL_TOFU, "seen first");
}

// Of many lines each is found, and found again after others came and went.
static void
lines_are_found_however_many(void **state)
{
	struct trust_list list = { 0 };
	struct trust_line line = { .kind = TRUST_REVOKE };
	const struct trust_line *found;

	(void)state;
	for (size_t i = 0; i < 3000; i++) {
		randombytes_buf(line.id, sizeof(line.id));
		line.id[0] = (uint8_t)i;
		line.id[1] = (uint8_t)(i >> 8);
		line.kind = i % 2 == 0 ? TRUST_REVOKE : TRUST_ALLOW_KEY;
		if (i == 2000)
			trust_sort(&list);
		assert_int_equal(trust_add(&list, &line), 0);
	}
	for (size_t i = 0; i < list.n; i++) {
		found = trust_find(&list, list.at[i].kind, list.at[i].id);
		assert_ptr_equal(found, &list.at[i]);
		assert_null(trust_find(&list, TRUST_PIN, list.at[i].id));
		if (i > 0)
			assert_true(list.at[i - 1].kind < list.at[i].kind ||
			    memcmp(list.at[i - 1].id, list.at[i].id, 32) < 0);
	}
	assert_ptr_equal(trust_find(&list, TRUST_ALLOW_KEY, NULL), &list.at[0]);
	assert_int_equal(
	    trust_find(&list, TRUST_REVOKE, NULL)->kind, TRUST_REVOKE);
	line = list.at[77];
	assert_int_equal(trust_remove(&list, line.kind, line.id), 1);
	assert_null(trust_find(&list, line.kind, line.id));
	assert_int_equal(list.n, 2999);
	trust_list_done(&list);
}

static void
what_cannot_be_remembered_is_only_self_signed(void **state)
{
	struct folder *f = *state;

	assert_int_equal(mkdirat(f->fd, TRUST_SEEN_FILE ".new", 0700), 0);
	check_level(f, LEVEL_SELF_SIGNED, "could not be remembered");
	assert_int_equal(f->store.seen.n, 0);
	trust_store_done(&f->store);
	assert_int_equal(trust_store_init(&f->store, NULL), 0);
	check_level(f, LEVEL_SELF_SIGNED, "could not be remembered");
}

static void
a_named_key_is_pinned_and_another_refused(void **state)
{
	struct folder *f = *state;
	char node[65];

	hex_endpoint_id(f->question.node, node);
	decide(f, "pin %s %s\n", node, f->key);
	check_level(f, LEVEL_PINNED, "no TPM has shown");
	decide(f, "pin %s " HEX_A "\n", node);
	check_level(f, LEVEL_NONE, "HAS CHANGED: pinned is aaaaaaaaaaaaaaaa");
	decide(f, "allow-key %s\n", f->key);
	check_level(f, LEVEL_PINNED, "no TPM has shown");
	assert_int_equal(f->store.seen.n, 0);
}

static void
the_revoked_and_the_unblessed_are_refused(void **state)
{
	struct folder *f = *state;
	char node[65];

	hex_endpoint_id(f->question.node, node);
	decide(f, "allow-key %s\nrevoke %s\n", f->key, f->key);
	check_level(f, LEVEL_NONE, "revoked here: its attestation key");
	decide(f, "allow-key %s\nrevoke %s\n", f->key, node);
	check_level(f, LEVEL_NONE, "revoked here: the node");
	decide(f, "allow-key %s\nimage " HEX_A "\n", f->key);
	check_level(f, LEVEL_NONE, "unblessed");
	decide(f,
	    "allow-key %s\nimage ae6a3e633a9df65141adb6d2ef890698"
	    "7f56d54605e3470d716342ea481923d4\n",
	    f->key);
	check_level(f, LEVEL_PINNED, "");
}

static void
a_damaged_file_means_that_nobody_is_trusted(void **state)
{
	struct folder *f = *state;

	decide(f, "allow-key %s\n", f->key);
	check_level(f, LEVEL_PINNED, "");
	decide(f, "allow-key %s\nallow-kee\n", f->key);
	check_level(f, LEVEL_NONE, "damaged, line 2");
	decide(f, "allow-key %s\n", f->key);
	check_level(f, LEVEL_PINNED, "");
	assert_int_equal(fchmodat(f->fd, TRUST_FILE, 0622, 0), 0);
	decide(f, "allow-key %s\n#\n", f->key);
	assert_int_equal(fchmodat(f->fd, TRUST_FILE, 0622, 0), 0);
	restart(f);
	check_level(f, LEVEL_NONE, "damaged");
}

static void
evidence_ends_when_it_is_too_old(void **state)
{
	struct folder *f = *state;
	struct verdict v;

	// Made 119.87 s before; good until the 661st second begins.
	f->question.now_ms += 530 * UINT64_C(1000);
	level_of_blob(&f->store, &f->question, &v);
	assert_int_equal(v.level, LEVEL_TOFU);
	assert_int_equal(
	    v.expires_ms, (NOW_S - 120 + 661) * UINT64_C(1000) + 123);
	f->question.now_ms = v.expires_ms - 1;
	check_level(f, LEVEL_TOFU, "");
	f->question.now_ms = v.expires_ms + 1; // it counts nanoseconds
	check_level(f, LEVEL_NONE, "too old");
	f->question.now_ms = (NOW_S - 86400) * UINT64_C(1000);
	check_level(f, LEVEL_NONE, "too old");
}

static void
other_evidence_says_why_it_is_refused(void **state)
{
	struct folder *f = *state;

	f->question.node[0] ^= 1;
	check_level(f, LEVEL_NONE, "another node's");
	f->question.node[0] ^= 1;
	f->question.inference_key[0] ^= 1;
	check_level(f, LEVEL_NONE, "another inference key");
	f->question.inference_key[0] ^= 1;
	f->question.blob_len--;
	check_level(f, LEVEL_NONE, "cannot be read");
	f->question.blob = NULL;
	check_level(f, LEVEL_NONE, "sent no evidence");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    lines_come_back_as_they_were_written, setup, teardown),
		cmocka_unit_test(a_line_that_is_not_understood_voids_the_file),
		cmocka_unit_test(lines_are_found_however_many),
		cmocka_unit_test_setup_teardown(
		    keys_without_end_are_remembered_slowly, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_key_is_remembered_at_first_use_and_after_a_restart, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_changed_key_is_taken_after_the_operator_has_forgotten_the_old,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    what_cannot_be_remembered_is_only_self_signed, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_named_key_is_pinned_and_another_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    the_revoked_and_the_unblessed_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_damaged_file_means_that_nobody_is_trusted, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    evidence_ends_when_it_is_too_old, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    other_evidence_says_why_it_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
