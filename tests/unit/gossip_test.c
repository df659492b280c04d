// One core against hand-made peers: whom it joins and admits, and who may say
// what of whom.
#include "gossipd/gossip.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/gossip_peers.h"

// ---- meshes and joins

static void
a_node_that_joins_nobody_founds_a_mesh(void **state)
{
	const struct test_action *t;

	(void)state;
	assert_string_equal(gossip_mesh_id(rig.g), "");
	test_rig_tick(&rig, 1000);
	t = test_rig_find(&rig, GOSSIP_MESH_ID, NULL);
	assert_non_null(t);
	assert_int_equal(strlen(t->text), 32);
	assert_string_equal(t->text, gossip_mesh_id(rig.g));
}

static void
a_joiner_adopts_the_first_mesh_id_it_hears(void **state)
{
	struct test_entry e, *entries[] = { &e };

	(void)state;
	join(&alice, "192.0.2.7:1");
	test_rig_tick(&rig, 2000);
	assert_string_equal(gossip_mesh_id(rig.g), "");
	test_rig_up(&rig, &alice, true);
	test_entry_make(&e, &alice, 1, NULL);
	e.m.mesh_id = (char *)(uintptr_t) "bad mesh id\n";
	assert_true(test_rig_exchange(&rig, &alice, entries, 1));
	assert_string_equal(gossip_mesh_id(rig.g), "");
	e.m.mesh_id = (char *)(uintptr_t) "mesh-1";
	assert_true(test_rig_exchange(&rig, &alice, entries, 1));
	e.m.mesh_id = (char *)(uintptr_t) "mesh-2";
	assert_true(test_rig_exchange(&rig, &alice, entries, 1));
	assert_string_equal(gossip_mesh_id(rig.g), "mesh-1");
	assert_int_equal(test_rig_count(&rig, GOSSIP_MESH_ID), 1);
}

static void
tokens_are_tried_in_order_each_twice(void **state)
{
	const struct test_action *t;

	(void)state;
	join(&alice, "192.0.2.7:1");
	join(&bob, "192.0.2.8:1");
	t = test_rig_find(&rig, GOSSIP_DIAL, alice.id);
	assert_non_null(t);
	assert_int_equal(t->a.deadline_ms, 15000);
	assert_int_equal(t->a.n_addrs, 1);
	assert_null(test_rig_find(&rig, GOSSIP_DIAL, bob.id));
	gossip_on_dial_failed(rig.g, rig.now, alice.id);
	test_rig_tick(&rig, 4000);
	assert_int_equal(test_rig_count(&rig, GOSSIP_DIAL), 1);
	test_rig_tick(&rig, 1000);
	assert_int_equal(test_rig_count(&rig, GOSSIP_DIAL), 2);
	gossip_on_dial_failed(rig.g, rig.now, alice.id);
	test_rig_tick(&rig, 1000);
	assert_non_null(test_rig_find(&rig, GOSSIP_DIAL, bob.id));
	test_rig_up(&rig, &bob, true);
	answer(&bob);
	assert_true(gossip_is_admitted(rig.g, bob.id));
	// One worked; the other one is tried again after a minute.
	test_rig_clear(&rig);
	test_rig_tick(&rig, 59000);
	assert_null(test_rig_find(&rig, GOSSIP_DIAL, alice.id));
	test_rig_tick(&rig, 2000);
	assert_non_null(test_rig_find(&rig, GOSSIP_DIAL, alice.id));
	assert_null(test_rig_find(&rig, GOSSIP_DIAL, bob.id));
}

static void
a_join_that_nobody_reports_about_ends_by_itself(void **state)
{
	(void)state;
	join(&alice, "192.0.2.7:1");
	test_rig_tick(&rig, 24000);
	assert_int_equal(test_rig_count(&rig, GOSSIP_DIAL), 2);
	test_rig_tick(&rig, 20000);
	assert_int_equal(test_rig_count(&rig, GOSSIP_DIAL), 2);
	// All failed: said once, no mesh id of its own, tried again.
	assert_string_equal(gossip_mesh_id(rig.g), "");
	test_rig_tick(&rig, 60000);
	assert_int_equal(test_rig_count(&rig, GOSSIP_DIAL), 3);
}

static void
the_own_token_and_a_damaged_one_do_no_harm(void **state)
{
	const char *reason = NULL;

	(void)state;
	join(&rig.node, "192.0.2.7:1");
	test_rig_tick(&rig, 70000);
	assert_int_equal(test_rig_count(&rig, GOSSIP_DIAL), 0);
	assert_int_equal(gossip_join(rig.g, rig.now, "no", &reason), -EINVAL);
	assert_non_null(reason);
}

static void
a_token_given_later_is_tried_at_once(void **state)
{
	(void)state;
	join(&alice, "192.0.2.7:1");
	test_rig_up(&rig, &alice, true);
	answer(&alice);
	test_rig_tick(&rig, 5000);
	join(&bob, "192.0.2.8:1");
	assert_non_null(test_rig_find(&rig, GOSSIP_DIAL, bob.id));
}

static void
a_joined_node_that_was_lost_is_dialled_soon_then_less_often(void **state)
{
	(void)state;
	join(&alice, "192.0.2.7:1");
	test_rig_up(&rig, &alice, true);
	answer(&alice);
	gossip_on_conn_down(rig.g, rig.now, alice.id);
	test_rig_drain(&rig);
	gossip_on_dial_failed(rig.g, rig.now, alice.id);
	test_rig_drain(&rig);
	assert_non_null(test_rig_find(&rig, GOSSIP_PEER_GONE, alice.id));
	for (unsigned pause = 250; pause <= 32000; pause *= 2) {
		test_rig_clear(&rig);
		assert_int_equal(gossip_next_tick_ms(rig.g), rig.now + pause);
		test_rig_tick(&rig, pause - 100);
		assert_int_equal(test_rig_count(&rig, GOSSIP_DIAL), 0);
		test_rig_tick(&rig, 100);
		assert_int_equal(test_rig_count(&rig, GOSSIP_DIAL), 1);
		gossip_on_dial_failed(rig.g, rig.now, alice.id);
	}
	assert_true(gossip_next_tick_ms(rig.g) == UINT64_MAX);
	test_rig_clear(&rig);
	test_rig_tick(&rig, 60000);
	assert_int_equal(test_rig_count(&rig, GOSSIP_DIAL), 1);
	test_rig_up(&rig, &alice, true);
	answer(&alice);
	assert_true(gossip_is_admitted(rig.g, alice.id));
}

// ---- exchange and admission

static void
the_dialler_gossips_first_the_acceptor_waits(void **state)
{
	(void)state;
	test_rig_up(&rig, &alice, false);
	assert_null(test_rig_find(&rig, GOSSIP_EXCHANGE, alice.id));
	test_rig_up(&rig, &bob, true);
	assert_non_null(test_rig_find(&rig, GOSSIP_EXCHANGE, bob.id));
	assert_false(gossip_is_admitted(rig.g, alice.id));
	assert_false(gossip_is_admitted(rig.g, bob.id));
	answer(&bob);
	assert_true(gossip_is_admitted(rig.g, bob.id));
}

static void
a_stranger_without_an_entry_of_its_own_is_answered_not_admitted(void **state)
{
	struct test_entry e, *entries[] = { &e };

	(void)state;
	test_rig_up(&rig, &alice, false);
	assert_true(test_rig_exchange(&rig, &alice, entries, 0));
	assert_false(gossip_is_admitted(rig.g, alice.id));
	// What it tells of others is not taken either.
	test_entry_make(&e, &bob, 2, "m");
	assert_true(test_rig_exchange(&rig, &alice, entries, 1));
	assert_false(is_known(&bob));
}

static void
being_told_of_is_not_being_admitted(void **state)
{
	struct test_entry e;

	(void)state;
	arrive(&alice, 1, NULL);
	test_entry_make(&e, &bob, 2, "m");
	relay(&alice, &e);
	assert_true(is_known(&bob));
	assert_false(peer(&bob).admitted);
	assert_int_equal(peer(&bob).role, GOSSIP_HOST);
	assert_false(gossip_is_admitted(rig.g, bob.id));
	arrive(&bob, 2, "m");
	assert_true(peer(&bob).admitted);
}

static void
entries_whose_address_names_another_node_are_dropped(void **state)
{
	struct test_entry e;

	(void)state;
	arrive(&alice, 1, NULL);
	test_entry_make(&e, &bob, 2, "m");
	test_entry_address(&e, carol.id, "10.0.0.1:1");
	relay(&alice, &e);
	assert_false(is_known(&bob));
	assert_false(is_known(&carol));
}

static void
ids_that_are_no_points_and_our_own_are_skipped(void **state)
{
	struct test_node fake = { .id = { 2 } };
	struct test_entry e;

	(void)state;
	arrive(&alice, 1, NULL);
	test_entry_make(&e, &fake, 2, "m");
	relay(&alice, &e);
	test_entry_make(&e, &rig.node, 2, "m");
	relay(&alice, &e);
	assert_int_equal(gossip_n_peers(rig.g), 1);
}

static void
frames_before_we_know_ourselves_or_without_connection_are_refused(void **state)
{
	struct test_rig other;
	struct test_entry e, *entries[] = { &e };

	(void)state;
	test_entry_make(&e, &alice, 1, NULL);
	assert_false(test_rig_exchange(&rig, &alice, entries, 1));
	test_rig_new(&other, 9);
	test_rig_up(&other, &alice, false);
	assert_false(test_rig_exchange(&other, &alice, entries, 1));
	test_rig_free(&other);
}

// ---- who may say what

static void
a_key_without_signature_counts_only_from_the_node_itself(void **state)
{
	struct test_entry e, *entries[] = { &e };

	(void)state;
	arrive(&alice, 1, NULL);
	test_entry_make(&e, &bob, 2, "m");
	test_entry_key(&e, carol.key);
	relay(&alice, &e);
	assert_false(peer(&bob).has_unsigned_key);
	assert_int_equal(peer(&bob).dialect, GOSSIP_DIALECT_UNKNOWN);
	test_rig_up(&rig, &bob, false);
	test_entry_make(&e, &bob, 2, "m");
	test_entry_key(&e, bob.key);
	assert_true(test_rig_exchange(&rig, &bob, entries, 1));
	assert_true(peer(&bob).has_unsigned_key);
	assert_memory_equal(peer(&bob).unsigned_key, bob.key, 32);
	assert_int_equal(peer(&bob).dialect, GOSSIP_DIALECT_SEALED);
}

static void
keys_that_are_not_canonical_or_of_small_order_are_no_keys(void **state)
{
	static const uint8_t zero[INFERENCE_KEY_LEN];
	struct test_entry e, *entries[] = { &e };

	(void)state;
	test_rig_up(&rig, &bob, false);
	test_entry_make(&e, &bob, 1, NULL);
	test_entry_key(&e, zero);
	assert_true(test_rig_exchange(&rig, &bob, entries, 1));
	assert_false(peer(&bob).has_unsigned_key);
	test_entry_make(&e, &bob, 1, NULL);
	test_entry_key(&e, bob.key);
	e.key_field[44] = 'A'; // instead of the padding
	assert_true(test_rig_exchange(&rig, &bob, entries, 1));
	assert_false(peer(&bob).has_unsigned_key);
	e.key_field[44] = '=';
	e.key_field[43]++; // bits that must be zero
	assert_true(test_rig_exchange(&rig, &bob, entries, 1));
	assert_false(peer(&bob).has_unsigned_key);
	for (unsigned c = 0x80; c < 0x100; c++) {
		rig.now += 1000;
		e.key_field[7] = (uint8_t)c;
		assert_true(test_rig_exchange(&rig, &bob, entries, 1));
		assert_false(peer(&bob).has_unsigned_key);
	}
}

static void
a_signed_announcement_counts_from_anybody_and_the_latest_wins(void **state)
{
	struct test_entry e;
	uint8_t old_key[INFERENCE_KEY_LEN];

	(void)state;
	arrive(&alice, 1, NULL);
	test_entry_make(&e, &bob, 2, "m");
	test_entry_sign(&e, &bob);
	relay(&alice, &e);
	assert_true(peer(&bob).has_announcement);
	memcpy(old_key, bob.key, sizeof(old_key));
	test_node_sign(&bob, 99, 7);
	relay(&alice, &e);
	assert_memory_equal(peer(&bob).announcement, bob.announcement, 121);
	test_node_sign(&bob, 98, 6); // older
	relay(&alice, &e);
	assert_memory_not_equal(peer(&bob).announcement, bob.announcement, 121);
	e.m.has_signed_announcement = 0; // left out: not forgotten
	relay(&alice, &e);
	assert_true(peer(&bob).has_announcement);
}

static void
forged_foreign_and_expired_announcements_are_refused(void **state)
{
	struct test_entry e;
	uint8_t message[ANNOUNCEMENT_SIGNED_LEN], sig[SIGNATURE_LEN];

	(void)state;
	arrive(&alice, 1, NULL);
	test_entry_make(&e, &bob, 2, "m");
	test_entry_sign(&e, &carol); // carol's, for bob
	relay(&alice, &e);
	assert_false(peer(&bob).has_announcement);
	bob.announcement[5] ^= 1; // another key
	test_entry_sign(&e, &bob);
	relay(&alice, &e);
	assert_false(peer(&bob).has_announcement);
	bob.a.not_after_ms = TEST_UNIX_MS - ANNOUNCEMENT_SKEW_MS - 1;
	bob.a.not_before_ms = 0;
	announcement_to_sign(&bob.a, bob.id, message);
	crypto_sign_detached(sig, NULL, message, sizeof(message), bob.secret);
	announcement_encode(&bob.a, sig, bob.announcement);
	relay(&alice, &e);
	assert_false(peer(&bob).has_announcement);
}

static void
posture_of_others_needs_the_signed_announcement_and_evidence_itself(
    void **state)
{
	struct test_entry e, *entries[] = { &e };

	(void)state;
	arrive(&alice, 1, NULL);
	test_entry_make(&e, &bob, 2, "m");
	e.m.has_hardware_attestation_blob = 1;
	e.m.hardware_attestation_blob.data = (uint8_t *)(uintptr_t) "blob";
	e.m.hardware_attestation_blob.len = 4;
	test_entry_posture(&e, "\x08\x01", 2);
	relay(&alice, &e);
	assert_int_equal(peer(&bob).evidence_len, 0);
	assert_false(peer(&bob).has_posture);
	test_entry_sign(&e, &bob);
	relay(&alice, &e);
	// Anybody can attach evidence of his own to a genuine announcement.
	assert_int_equal(peer(&bob).evidence_len, 0);
	assert_true(peer(&bob).has_posture);
	// From itself, and nobody replaces it later.
	test_rig_up(&rig, &bob, false);
	assert_true(test_rig_exchange(&rig, &bob, entries, 1));
	assert_int_equal(peer(&bob).evidence_len, 4);
	assert_memory_equal(peer(&bob).evidence, "blob", 4);
	e.m.hardware_attestation_blob.data = (uint8_t *)(uintptr_t) "fake";
	relay(&alice, &e);
	assert_memory_equal(peer(&bob).evidence, "blob", 4);
}

static void
signs_of_life_are_promised_for_oneself_alone(void **state)
{
	struct test_entry e, *entries[] = { &e };
	Node__GossipFrame *f;

	(void)state;
	arrive(&alice, 1, NULL);
	test_entry_make(&e, &bob, 2, "m");
	test_entry_sign(&e, &bob);
	e.m.has_shows_life = e.m.shows_life = 1;
	relay(&alice, &e);
	assert_true(is_known(&bob));
	assert_false(peer(&bob).shows_life);
	test_rig_up(&rig, &bob, false);
	assert_true(test_rig_exchange(&rig, &bob, entries, 1));
	assert_true(peer(&bob).shows_life);
	arrive(&carol, 1, NULL);
	f = sent(GOSSIP_ANSWER, &carol);
	assert_false(entry_of(f, bob.id)->has_shows_life);
	node__gossip_frame__free_unpacked(f, NULL);
	// An older release is back.
	e.m.has_shows_life = 0;
	assert_true(test_rig_exchange(&rig, &bob, entries, 1));
	assert_false(peer(&bob).shows_life);
}

static void
third_parties_do_not_overwrite_a_node_that_is_with_us(void **state)
{
	struct test_entry e;

	(void)state;
	arrive(&alice, 1, NULL);
	arrive(&bob, 2, "honest");
	test_entry_make(&e, &bob, 3, "lie");
	test_entry_address(&e, bob.id, "6.6.6.6:6");
	test_entry_key(&e, carol.key);
	relay(&alice, &e);
	assert_int_equal(peer(&bob).role, GOSSIP_HOST);
	assert_int_equal(peer(&bob).n_models, 1);
	assert_string_equal(peer(&bob).models[0].name, "honest");
	assert_int_equal(peer(&bob).n_addrs, 1);
	// Still not just after it left, only when it was away for long.
	gossip_on_conn_down(rig.g, rig.now, bob.id);
	relay(&alice, &e);
	assert_string_equal(peer(&bob).models[0].name, "honest");
}

static void
a_connected_node_that_said_nothing_yet_is_not_made_up_by_others(void **state)
{
	struct test_entry e;

	(void)state;
	arrive(&alice, 1, NULL);
	test_rig_up(&rig, &bob, false);
	test_entry_make(&e, &bob, 2, "lie");
	relay(&alice, &e);
	assert_false(is_known(&bob));
}

static void
names_that_cannot_be_routed_are_left_out(void **state)
{
	struct test_entry e, *entries[] = { &e };
	char longer[MODEL_NAME_MAX + 2];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	test_rig_up(&rig, &bob, false);
	test_entry_make(&e, &bob, 2, longer);
	e.models[1] = (char *)(uintptr_t) "";
	e.models[2] = (char *)(uintptr_t) "a\nb";
	e.models[3] = longer + 1;
	e.m.n_hosted_models = 4;
	assert_true(test_rig_exchange(&rig, &bob, entries, 1));
	assert_int_equal(peer(&bob).n_models, 1);
	assert_string_equal(peer(&bob).models[0].name, longer + 1);
}

static void
the_context_length_counts_only_when_ready(void **state)
{
	Node__ModelRuntimeDescriptor d = NODE__MODEL_RUNTIME_DESCRIPTOR__INIT;
	Node__ModelRuntimeDescriptor *list[] = { &d };
	struct test_entry e, *entries[] = { &e };

	(void)state;
	test_rig_up(&rig, &bob, false);
	test_entry_make(&e, &bob, 2, "m");
	d.model_name = (char *)(uintptr_t) "m";
	d.has_context_length = 1;
	d.context_length = 8192;
	e.m.n_served_model_runtime = 1;
	e.m.served_model_runtime = list;
	assert_true(test_rig_exchange(&rig, &bob, entries, 1));
	assert_int_equal(peer(&bob).models[0].context_length, 0);
	d.has_ready = d.ready = 1;
	assert_true(test_rig_exchange(&rig, &bob, entries, 1));
	assert_int_equal(peer(&bob).models[0].context_length, 8192);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_node_that_joins_nobody_founds_a_mesh),
		TEST(a_joiner_adopts_the_first_mesh_id_it_hears),
		TEST(tokens_are_tried_in_order_each_twice),
		TEST(a_join_that_nobody_reports_about_ends_by_itself),
		TEST(
		    a_joined_node_that_was_lost_is_dialled_soon_then_less_often),
		TEST(the_own_token_and_a_damaged_one_do_no_harm),
		TEST(a_token_given_later_is_tried_at_once),
		TEST(the_dialler_gossips_first_the_acceptor_waits),
		TEST(
		    a_stranger_without_an_entry_of_its_own_is_answered_not_admitted),
		TEST(being_told_of_is_not_being_admitted),
		TEST(entries_whose_address_names_another_node_are_dropped),
		TEST(ids_that_are_no_points_and_our_own_are_skipped),
		TEST(
		    frames_before_we_know_ourselves_or_without_connection_are_refused),
		TEST(a_key_without_signature_counts_only_from_the_node_itself),
		TEST(keys_that_are_not_canonical_or_of_small_order_are_no_keys),
		TEST(
		    a_signed_announcement_counts_from_anybody_and_the_latest_wins),
		TEST(forged_foreign_and_expired_announcements_are_refused),
		TEST(
		    posture_of_others_needs_the_signed_announcement_and_evidence_itself),
		TEST(signs_of_life_are_promised_for_oneself_alone),
		TEST(third_parties_do_not_overwrite_a_node_that_is_with_us),
		TEST(
		    a_connected_node_that_said_nothing_yet_is_not_made_up_by_others),
		TEST(names_that_cannot_be_routed_are_left_out),
		TEST(the_context_length_counts_only_when_ready),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
