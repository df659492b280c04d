// Saved evidence: the file's format, and what `meshllm verify` says of
// blobs of the vectors and of evidence v2 of a software TPM.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

#include "attestd/examine.h"
#include "common/hex.h"
#include "tests/unit/tpm_host.h"

enum { NOW_S = 1778133600 }; // 2026-05-07T06:00:00Z, of the vectors

struct saved {
	uint8_t bytes[EVIDENCE_FILE_MAX];
	size_t len;
	struct trust_store store;
	struct examine_question q;
	struct examined x;
};

static int
setup(void **state)
{
	struct saved *s = calloc(1, sizeof(*s));

	assert_int_equal(trust_store_init(&s->store, NULL), 0);
	s->store.is_read_only = true;
	s->q.store = &s->store;
	s->q.clock_ms = NOW_S * UINT64_C(1000);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct saved *s = *state;

	trust_store_done(&s->store);
	free(s);
	return 0;
}

static void
decide(struct saved *s, enum trust_kind kind, const uint8_t *id)
{
	struct trust_line line = { .kind = kind };

	memcpy(line.id, id, TRUST_ID_LEN);
	assert_int_equal(trust_add(&s->store.decided, &line), 0);
	assert_int_equal(trust_store_decided(&s->store), 0);
}

static void
save(struct saved *s, const struct evidence_file *f)
{
	evidence_file_write(f, s->bytes);
	memcpy(
	    s->bytes + EVIDENCE_FILE_HEAD_LEN, f->evidence.at, f->evidence.len);
	s->len = EVIDENCE_FILE_HEAD_LEN + f->evidence.len;
}

static const struct examined_row *
find(const struct saved *s, const char *name)
{
	for (size_t i = 0; i < s->x.n_rows; i++)
		if (strcmp(s->x.rows[i].name, name) == 0)
			return &s->x.rows[i];
	fail_msg("no check %s", name);
	return NULL;
}

// reason: part of the row's text.
static void
check(struct saved *s, enum level level, const char *name,
    enum examined_state state, const char *reason)
{
	const struct examined_row *row;

	assert_int_equal(examine(s->bytes, s->len, &s->q, &s->x), 0);
	row = find(s, name);
	if (row->state != state || strstr(row->text, reason) == NULL)
		fail_msg("%s: %d %s", name, row->state, row->text);
	if (s->x.verdict.level != level)
		fail_msg("%s: %s", level_name(s->x.verdict.level),
		    s->x.verdict.reason);
	assert_true(s->x.verdict.reason[0] != '\0');
}

static void
what_is_written_is_read_and_nothing_else(void **state)
{
	struct saved *s = *state;
	struct evidence_file f = { .kind = EVIDENCE_FILE_V2,
		.is_activated = true,
		.level = LEVEL_HARDWARE,
		.taken_ms = 0x0102030405060708,
		.node = { 1 },
		.inference_key = { 2 },
		.nonce = { 3 },
		.binding = { 4 },
		.evidence = { (const uint8_t *)"evidence", 8 } };
	struct evidence_file again;

	save(s, &f);
	assert_int_equal(evidence_file_read(s->bytes, s->len, &again), 0);
	assert_int_equal(again.kind, EVIDENCE_FILE_V2);
	assert_true(again.is_activated);
	assert_int_equal(again.level, LEVEL_HARDWARE);
	assert_int_equal(again.taken_ms, f.taken_ms);
	assert_memory_equal(again.node, f.node, 32);
	assert_memory_equal(again.binding, f.binding, 32);
	assert_int_equal(again.evidence.len, 8);
	for (size_t i = 0; i < s->len; i++)
		assert_int_equal(
		    evidence_file_read(s->bytes, i, &again), -EBADMSG);
	assert_int_equal(
	    evidence_file_read(s->bytes, s->len + 1, &again), -EBADMSG);
	for (size_t i = 0; i < 11; i++) { // magic, kind, activated, level
		s->bytes[i] ^= 0x80;
		assert_int_equal(
		    evidence_file_read(s->bytes, s->len, &again), -EBADMSG);
		s->bytes[i] ^= 0x80;
	}
	f.kind = EVIDENCE_FILE_BLOB; // has no nonce, nor activation
	save(s, &f);
	assert_int_equal(
	    evidence_file_read(s->bytes, s->len, &again), -EBADMSG);
}

// The blob of a vector into s, as a file of its own: *ret for the rest.
static bool
load(struct saved *s, const json_t *v, struct evidence_file *ret)
{
	const char *hex = json_string_value(json_object_get(v, "blob_hex"));
	const char *node =
	    json_string_value(json_object_get(v, "expected_node_id"));
	const char *key =
	    json_string_value(json_object_get(v, "expected_inference_key"));
	static uint8_t blob[BLOB_MAX];
	size_t len;

	*ret = (struct evidence_file){ .kind = EVIDENCE_FILE_BLOB };
	if (hex == NULL || node == NULL || key == NULL ||
	    hex_decode(hex, strlen(hex), blob, strlen(hex) / 2) < 0 ||
	    hex_decode(node, strlen(node), ret->node, 32) < 0 ||
	    sodium_base642bin(ret->inference_key, 32, key, strlen(key), NULL,
		&len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return false;
	ret->evidence = (struct tpm_bytes){ blob, strlen(hex) / 2 };
	save(s, ret);
	return true;
}

static void
blobs_are_judged_with_every_check_named(void **state)
{
	static const struct {
		const char *status, *check, *text;
	} wanted[] = {
		{ "Verified", "trust here", "self-signed" },
		{ "InvalidSignature", "signature", "signature is wrong" },
		{ "MismatchedNodeId", "node", "another node's" },
		{ "InsecurePosture", "posture", "not locked down" },
		{ "Expired", "time", "too old" },
	};
	struct saved *s = *state;
	json_t *json = json_load_file(TEST_DATA "/c_attestation.json", 0, NULL);
	unsigned seen = 0;
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(json, "vectors"), i, v)
	{
		const char *status =
		    json_string_value(json_object_get(v, "expected_status"));
		const char *now = json_string_value(json_object_get(v, "now"));
		struct evidence_file f;

		if (now == NULL || strcmp(now, "2026-05-07T06:00:00Z") != 0 ||
		    !load(s, v, &f))
			continue;
		f.taken_ms = NOW_S * UINT64_C(1000);
		save(s, &f);
		for (size_t j = 0; j < N_ELEMENTS(wanted); j++) {
			if (strcmp(wanted[j].status, status) != 0)
				continue;
			check(s, j == 0 ? LEVEL_SELF_SIGNED : LEVEL_NONE,
			    wanted[j].check,
			    j == 0 ? EXAMINED_OK : EXAMINED_FAILED,
			    wanted[j].text);
			seen |= 1u << j;
		}
	}
	json_decref(json);
	assert_int_equal(seen, 0x1f);
}

static void
a_bare_blob_is_compared_with_itself_or_what_is_named(void **state)
{
	static const uint8_t other[32] = { 9 };
	struct saved *s = *state;
	json_t *json = json_load_file(TEST_DATA "/c_attestation.json", 0, NULL);
	struct evidence_file f;

	assert_true(
	    load(s, json_array_get(json_object_get(json, "vectors"), 0), &f));
	json_decref(json);
	s->len = f.evidence.len;
	memcpy(s->bytes, f.evidence.at, s->len);
	check(s, LEVEL_SELF_SIGNED, "time", EXAMINED_OK, "2026-05-07");
	check(s, LEVEL_SELF_SIGNED, "program", EXAMINED_NOT_DONE, "no list");
	decide(s, TRUST_IMAGE, other);
	check(s, LEVEL_NONE, "program", EXAMINED_FAILED, "unblessed");
	s->q.now_ms = s->q.clock_ms + 3600 * UINT64_C(1000);
	check(s, LEVEL_NONE, "time", EXAMINED_FAILED, "too old");
	s->q.node = other;
	check(s, LEVEL_NONE, "node", EXAMINED_FAILED, "another node's");
	s->q.node = NULL;
	s->q.inference_key = other;
	check(s, LEVEL_NONE, "inference key", EXAMINED_FAILED,
	    "another inference key");
	s->bytes[0] = 'x';
	assert_int_equal(examine(s->bytes, s->len, &s->q, &s->x), -EBADMSG);
	assert_int_equal(examine(s->bytes, 0, &s->q, &s->x), -EBADMSG);
	memcpy(s->bytes, "{}", 2);
	assert_int_equal(examine(s->bytes, 2, &s->q, &s->x), -EBADMSG);
}

static void
evidence_v2_shows_all_but_what_only_a_tpm_can_show(void **state)
{
	struct saved *s = *state;
	void *p = NULL;
	struct tpm_host *host;
	struct evidence_file f = { .kind = EVIDENCE_FILE_V2 };
	char text[8192];
	FILE *out;

	if (tpm_host_setup(&p) != 0)
		return;
	host = p;
	memcpy(f.node, tpm_host_node, 32);
	memcpy(f.inference_key, tpm_host_inference, 32);
	memcpy(f.nonce, host->question.nonce, 32);
	memcpy(f.binding, host->question.binding, 32);
	f.taken_ms = host->question.now_ms;
	f.is_activated = true;
	f.evidence = (struct tpm_bytes){ host->bytes, host->len };
	save(s, &f);
	check(s, LEVEL_SELF_SIGNED, "certificate chain", EXAMINED_FAILED,
	    "no root that is trusted here");
	decide(s, TRUST_ROOT, host->root.fingerprint);
	check(s, LEVEL_SELF_SIGNED, "credential activation", EXAMINED_NOT_DONE,
	    "says: shown");
	assert_non_null(
	    strstr(s->x.verdict.reason, "saved evidence cannot show it"));
	s->q.believes_file = true;
	check(s, LEVEL_HARDWARE, "credential activation", EXAMINED_OK, "shown");
	for (size_t i = 0; i < s->x.n_rows; i++)
		assert_int_not_equal(s->x.rows[i].state, EXAMINED_FAILED);
	out = fmemopen(text, sizeof(text), "w");
	examined_print(out, &s->x, true);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(text, "level: hardware"));
	assert_non_null(strstr(text, "operator can still read prompts"));
	f.is_activated = false;
	save(s, &f);
	check(s, LEVEL_SELF_SIGNED, "credential activation", EXAMINED_FAILED,
	    "has not shown");
	f.nonce[0] ^= 1;
	save(s, &f);
	check(s, LEVEL_NONE, "freshness and binding", EXAMINED_FAILED,
	    "was not made for this question");
	check(s, LEVEL_NONE, "certificate chain", EXAMINED_NOT_DONE,
	    "a check before it failed");
	assert_int_equal(tpm_host_teardown(&p), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    what_is_written_is_read_and_nothing_else, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    blobs_are_judged_with_every_check_named, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_bare_blob_is_compared_with_itself_or_what_is_named, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    evidence_v2_shows_all_but_what_only_a_tpm_can_show, setup,
		    teardown),
	};

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
