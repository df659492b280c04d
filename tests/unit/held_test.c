// What the verifier holds of a node, and the levels that follow: with a
// software TPM that shows its keys, is reset, changes; with clocks that move,
// and more nodes than there is room for.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "attestd/attester_impl.h"
#include "attestd/held.h"
#include "tests/unit/tpm_host.h"

enum { HOUR_MS = 3600 * 1000, MANY = 5000 };

struct rig {
	struct tpm_host *host;
	struct trust_store store;
	struct held_table held;
	uint64_t now_ms;
};

// Decisions without a file: the store keeps nothing.
static void
decide(
    struct rig *r, enum trust_kind kind, const uint8_t *id, const uint8_t *key)
{
	struct trust_line line = { .kind = kind };

	memcpy(line.id, id, TRUST_ID_LEN);
	if (key != NULL)
		memcpy(line.key, key, TRUST_ID_LEN);
	assert_int_equal(trust_add(&r->store.decided, &line), 0);
	assert_int_equal(trust_store_decided(&r->store), 0);
}

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	if (tpm_host_setup(state) != 0 || *state == NULL) {
		free(r);
		return -1;
	}
	r->host = *state;
	r->now_ms = r->host->question.now_ms;
	assert_int_equal(trust_store_init(&r->store, NULL), 0);
	decide(r, TRUST_ROOT, r->host->root.fingerprint, NULL);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;
	void *host;

	if (r == NULL)
		return 0;
	host = r->host;
	held_done(&r->held);
	trust_store_done(&r->store);
	free(r);
	return tpm_host_teardown(&host);
}

static struct held *
show(struct rig *r)
{
	struct held *h = NULL;

	r->host->question.now_ms = r->now_ms;
	assert_int_equal(held_judge(&r->held, &r->store, &r->host->question,
			     r->host->bytes, r->host->len, &h),
	    0);
	return h;
}

static void
activate(struct rig *r, struct held *h)
{
	uint8_t proof[EVIDENCE_PROOF_LEN];
	struct tpm_credential c;

	assert_true(held_wants_credential(h));
	assert_int_equal(held_make_credential(h, &c), 0);
	assert_int_equal(
	    evidence_activate(r->host->attester, &c, h->result.hash, proof), 0);
	proof[0] ^= 1;
	assert_int_equal(held_take_proof(h, proof), -EACCES);
	proof[0] ^= 1; // one answer for each credential
	assert_int_equal(held_take_proof(h, proof), -EACCES);
	assert_int_equal(held_make_credential(h, &c), 0);
	assert_int_equal(
	    evidence_activate(r->host->attester, &c, h->result.hash, proof), 0);
	assert_int_equal(held_take_proof(h, proof), 0);
	assert_false(held_wants_credential(h));
	assert_int_equal(held_make_credential(h, &c), -ENODATA);
}

static void
check(struct rig *r, enum level level, const char *reason)
{
	struct verdict v;

	level_of_held(&r->store, held_find(&r->held, tpm_host_node),
	    tpm_host_inference, r->now_ms, &v);
	if (v.level != level || strstr(v.reason, reason) == NULL)
		fail_msg("%s: %s", level_name(v.level), v.reason);
	assert_true(v.expires_ms <= r->now_ms + LEVEL_VERDICT_MS);
}

static void
a_tpm_that_shows_its_keys_is_hardware(void **state)
{
	struct rig *r = *state;
	struct held *h = show(r);

	check(r, LEVEL_SELF_SIGNED, "has yet to show that it holds both keys");
	activate(r, h);
	check(r, LEVEL_HARDWARE, "is not shown");
	tpm_host_make(r->host, 2); // once per node
	assert_false(held_wants_credential(show(r)));
	check(r, LEVEL_HARDWARE, "is not shown");
}

static void
every_level_says_why_it_is_not_one_higher(void **state)
{
	struct rig *r = *state;
	struct held *h = show(r);

	check(r, LEVEL_SELF_SIGNED, "could not be remembered");
	r->store.is_read_only = true;
	check(r, LEVEL_SELF_SIGNED, "new to this node; its TPM has yet");
	decide(r, TRUST_PIN, tpm_host_node, h->result.key);
	check(r, LEVEL_PINNED, "the one you named, but its TPM has yet");
	activate(r, h);
	check(r, LEVEL_HARDWARE, "");
	decide(r, TRUST_REVOKE, r->host->root.fingerprint, NULL);
	check(r, LEVEL_PINNED, "no root that is trusted here");
	decide(r, TRUST_REVOKE, tpm_host_node, NULL);
	check(r, LEVEL_NONE, "revoked here: the node");
	decide(r, TRUST_REVOKE, h->result.endorsement, NULL);
	check(r, LEVEL_NONE, "revoked here: its TPM's endorsement key");
}

static void
trust_that_changes_counts_at_once(void **state)
{
	struct rig *r = *state;
	struct held *h = show(r);

	activate(r, h);
	check(r, LEVEL_HARDWARE, "");
	assert_int_not_equal(trust_remove(&r->store.decided, TRUST_ROOT,
				 r->host->root.fingerprint),
	    0);
	assert_int_equal(trust_store_decided(&r->store), 0);
	check(r, LEVEL_SELF_SIGNED, "no root that is trusted here");
	decide(r, TRUST_ROOT, r->host->root.fingerprint, NULL);
	check(r, LEVEL_HARDWARE, "");
	decide(r, TRUST_IMAGE, tpm_host_node, NULL); // any other
	check(r, LEVEL_NONE, "unblessed");
	r->host->claims.has_image = true;
	memset(r->host->claims.image, 7, 32);
	tpm_host_make(r->host, 2);
	(void)show(r);
	check(r, LEVEL_NONE, "unblessed");
	decide(r, TRUST_IMAGE, r->host->claims.image, NULL);
	check(r, LEVEL_HARDWARE, "");
}

static void
a_tpm_that_was_reset_shows_its_keys_again(void **state)
{
	struct rig *r = *state;
	struct held *h = show(r);
	uint32_t resets;

	activate(r, h);
	resets = h->result.clock.reset_count;
	swtpm_kill(&r->host->swtpm);
	swtpm_run(&r->host->swtpm);
	tpm_close(&r->host->attester->tpm);
	r->host->attester->tpm.retry_ms = 0;
	tpm_host_make(r->host, 2);
	h = show(r);
	assert_int_not_equal(h->result.clock.reset_count, resets);
	check(r, LEVEL_SELF_SIGNED, "was reset or restarted since");
	activate(r, h);
	check(r, LEVEL_HARDWARE, "");
}

static void
another_attestation_key_is_refused(void **state)
{
	struct rig *r = *state;
	struct held *h = show(r);
	struct trust_line seen = { .kind = TRUST_SEEN };

	activate(r, h);
	memcpy(seen.id, tpm_host_node, TRUST_ID_LEN);
	memset(seen.key, 5, TRUST_ID_LEN);
	assert_int_equal(trust_add(&r->store.seen, &seen), 0);
	check(r, LEVEL_NONE, "HAS CHANGED: first seen was 0505050505050505");
	decide(r, TRUST_PIN, tpm_host_node, seen.key);
	check(r, LEVEL_NONE, "HAS CHANGED: pinned is 0505050505050505");
	h->key[0] ^= 1; // as if another had been shown before
	h = show(r);
	assert_int_equal(h->due, HELD_DUE_OTHER_KEY);
	assert_true(held_wants_credential(h));
}

static void
clocks_that_move_by_hours_end_evidence_and_bring_nothing_back(void **state)
{
	struct rig *r = *state;
	uint64_t made = r->now_ms;
	struct verdict v;

	activate(r, show(r));
	r->now_ms = made + EVIDENCE_AGE_MS - 1000;
	level_of_held(&r->store, held_find(&r->held, tpm_host_node),
	    tpm_host_inference, r->now_ms, &v);
	assert_int_equal(v.level, LEVEL_HARDWARE);
	assert_int_equal(v.expires_ms, made + EVIDENCE_AGE_MS);
	r->now_ms = made + EVIDENCE_AGE_MS + 1;
	check(r, LEVEL_NONE, "too old, or our clocks differ");
	r->now_ms = made + 5 * HOUR_MS;
	check(r, LEVEL_NONE, "too old, or our clocks differ");
	r->now_ms = made - 5 * HOUR_MS;
	check(r, LEVEL_NONE, "too old, or our clocks differ");
	r->now_ms = 0;
	check(r, LEVEL_NONE, "too old, or our clocks differ");
	r->now_ms = UINT64_MAX - HOUR_MS;
	check(r, LEVEL_NONE, "too old, or our clocks differ");
	// Judged while our clock was hours ahead, and now it is right: the
	// host's clock alone would call it fresh.
	r->now_ms = made;
	show(r)->judged_ms = made + 5 * HOUR_MS;
	check(r, LEVEL_NONE, "too old, or our clocks differ");
	(void)show(r);
	check(r, LEVEL_HARDWARE, "");
}

static void
what_is_refused_has_no_level(void **state)
{
	struct rig *r = *state;
	struct held *h = show(r);
	struct tpm_credential c;
	struct verdict v;

	activate(r, h);
	level_of_held(&r->store, h, tpm_host_node, r->now_ms, &v);
	assert_int_equal(v.level, LEVEL_NONE);
	assert_non_null(strstr(v.reason, "another inference key"));
	level_of_held(&r->store, NULL, tpm_host_node, r->now_ms, &v);
	assert_int_equal(v.level, LEVEL_NONE);
	assert_non_null(strstr(v.reason, "no evidence v2"));
	r->host->question.nonce = tpm_host_waiters[2].binding;
	h = show(r);
	check(r, LEVEL_NONE, "was not made for this question");
	assert_false(held_wants_credential(h));
	assert_int_equal(held_make_credential(h, &c), -ENODATA);
	r->host->bytes[0] ^= 1;
	(void)show(r);
	check(r, LEVEL_NONE, "cannot be read");
}

// Nodes without end, with evidence of the largest size.
static void
memory_is_bounded(void **state)
{
	struct rig *r = *state;
	uint8_t node[32] = { 0 };
	struct evidence_question q = r->host->question;
	struct held *h;

	memset(r->host->bytes, 0, sizeof(r->host->bytes));
	q.endpoint_id = node;
	for (size_t i = 0; i < MANY; i++) {
		node[30] = (uint8_t)(i >> 8);
		node[31] = (uint8_t)i;
		q.now_ms = r->now_ms + i;
		assert_int_equal(held_judge(&r->held, &r->store, &q,
				     r->host->bytes, EVIDENCE_V2_MAX, &h),
		    0);
		assert_non_null(h->bytes);
		assert_true(r->held.bytes <= HELD_BYTES_MAX);
	}
	assert_int_equal(r->held.n, HELD_MAX);
	assert_null(held_find(&r->held, tpm_host_node)); // it was the first
	assert_non_null(held_find(&r->held, node));
	held_forget(&r->held, node);
	assert_null(held_find(&r->held, node));
	node[30] = node[31] = 0;
	assert_null(held_find(&r->held, node)); // made room
}

#define WITH_RIG(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(a_tpm_that_shows_its_keys_is_hardware),
		WITH_RIG(every_level_says_why_it_is_not_one_higher),
		WITH_RIG(trust_that_changes_counts_at_once),
		WITH_RIG(a_tpm_that_was_reset_shows_its_keys_again),
		WITH_RIG(another_attestation_key_is_refused),
		WITH_RIG(
		    clocks_that_move_by_hours_end_evidence_and_bring_nothing_back),
		WITH_RIG(what_is_refused_has_no_level),
		WITH_RIG(memory_is_bounded),
	};

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
