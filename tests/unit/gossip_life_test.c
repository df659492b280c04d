// One core against hand-made peers: whom it takes for alive, what time does,
// deaths and departures.
#include "gossipd/gossip.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/gossip_peers.h"

// ---- time and connections

static void
nobody_heard_of_for_six_minutes_is_forgotten(void **state)
{
	struct test_entry e;

	(void)state;
	arrive(&alice, 1, NULL);
	test_entry_make(&e, &bob, 2, "m");
	e.m.has_serialized_addr = 0;
	relay(&alice, &e);
	for (int i = 0; i < 71; i++) {
		assert_int_equal(is_known(&bob), i * 6 <= 360);
		test_rig_tick(&rig, 6000);
		answer(&alice);
	}
	assert_false(is_known(&bob));
	assert_non_null(test_rig_find(&rig, GOSSIP_PEER_GONE, bob.id));
	assert_true(is_known(&alice)); // connected
}

static void
a_silent_peer_is_forgiven_first_then_reported(void **state)
{
	(void)state;
	arrive(&alice, 1, NULL);
	arrive(&bob, 1, NULL);
	test_rig_tick(&rig, 1000);
	for (int i = 0; i < 2; i++) {
		test_rig_tick(&rig, 60000);
		answer(&alice);
		gossip_on_exchange_failed(rig.g, rig.now, bob.id);
		test_rig_drain(&rig);
		assert_true(is_known(&bob));
	}
	test_rig_tick(&rig, 60000);
	answer(&alice);
	gossip_on_exchange_failed(rig.g, rig.now, bob.id);
	test_rig_tick(&rig, 60000);
	gossip_on_exchange_failed(rig.g, rig.now, bob.id);
	test_rig_drain(&rig);
	assert_false(is_known(&bob));
	assert_non_null(test_rig_find(&rig, GOSSIP_NOTICE, alice.id));
	assert_null(test_rig_find(&rig, GOSSIP_NOTICE, bob.id));
	// Its connection is still there: it comes back by speaking.
	arrive(&bob, 1, NULL);
}

static void
a_lost_connection_is_dialled_once_then_the_peer_is_gone(void **state)
{
	(void)state;
	arrive(&alice, 1, NULL);
	gossip_on_conn_down(rig.g, rig.now, alice.id);
	test_rig_drain(&rig);
	assert_non_null(test_rig_find(&rig, GOSSIP_DIAL, alice.id));
	assert_true(is_known(&alice));
	gossip_on_dial_failed(rig.g, rig.now, alice.id);
	test_rig_drain(&rig);
	assert_false(is_known(&alice));
	assert_null(test_rig_find(&rig, GOSSIP_NOTICE, NULL));
	// No dead mark: hearsay brings it back.
	arrive(&bob, 1, NULL);
	struct test_entry e;
	test_entry_make(&e, &alice, 1, NULL);
	relay(&bob, &e);
	assert_true(is_known(&alice));
}

static void
a_flapping_peer_does_not_make_us_dial_without_end(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		arrive(&alice, 1, NULL);
		gossip_on_conn_down(rig.g, rig.now, alice.id);
		test_rig_drain(&rig);
		gossip_on_dial_failed(rig.g, rig.now, alice.id);
		rig.now += 2000;
	}
	assert_in_range(test_rig_count(&rig, GOSSIP_DIAL), 1, 20);
}

static void
heartbeats_ask_at_most_five(void **state)
{
	struct test_node nodes[12];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(nodes); i++) {
		test_node_make(&nodes[i], 100 + (uint32_t)i);
		arrive(&nodes[i], 1, NULL);
	}
	test_rig_tick(&rig, 59000);
	test_rig_clear(&rig);
	test_rig_tick(&rig, 3000);
	assert_int_equal(test_rig_count(&rig, GOSSIP_EXCHANGE), 5);
}

static void
a_client_does_not_dial_clients_it_is_told_of(void **state)
{
	struct test_entry e;

	(void)state;
	test_rig_self(&rig, false, NULL, true);
	arrive(&alice, 1, NULL);
	test_entry_make(&e, &bob, 3, NULL);
	relay(&alice, &e);
	test_entry_make(&e, &carol, 2, "m");
	relay(&alice, &e);
	assert_null(test_rig_find(&rig, GOSSIP_DIAL, bob.id));
	assert_non_null(test_rig_find(&rig, GOSSIP_DIAL, carol.id));
}

static void
of_two_connections_both_ends_keep_the_same(void **state)
{
	struct test_rig other;
	bool ours_wins, theirs_wins;

	(void)state;
	test_rig_new(&other, 2); // alice
	// We dialled first, then theirs arrives; at them the other way round.
	test_rig_up(&rig, &alice, true);
	test_rig_up(&other, &rig.node, true);
	ours_wins = !gossip_new_conn_wins(rig.g, rig.now, alice.id, false);
	theirs_wins =
	    !gossip_new_conn_wins(other.g, other.now, rig.node.id, false);
	assert_true(ours_wins != theirs_wins);
	// Much later the old one is stale: the new one wins.
	assert_true(
	    gossip_new_conn_wins(rig.g, rig.now + 60000, alice.id, false));
	assert_true(gossip_new_conn_wins(rig.g, rig.now, bob.id, false));
	test_rig_free(&other);
}

// ---- deaths and departures

static void
a_report_about_a_node_heard_lately_is_a_lie(void **state)
{
	(void)state;
	arrive(&alice, 1, NULL);
	arrive(&bob, 1, NULL);
	test_rig_clear(&rig);
	notice(&alice, GOSSIP_FRAME_PEER_DOWN, bob.id);
	assert_true(is_known(&bob));
	assert_null(test_rig_find(&rig, GOSSIP_PROBE, NULL));
	// Remembered: not heard even when the node was silent for long.
	rig.now += 200000;
	notice(&alice, GOSSIP_FRAME_PEER_DOWN, bob.id);
	assert_null(test_rig_find(&rig, GOSSIP_PROBE, NULL));
	rig.now += 600000;
	notice(&alice, GOSSIP_FRAME_PEER_DOWN, bob.id);
	assert_non_null(test_rig_find(&rig, GOSSIP_PROBE, bob.id));
}

static void
a_report_makes_us_look_ourselves(void **state)
{
	struct test_entry e;

	(void)state;
	arrive(&alice, 1, NULL);
	arrive(&bob, 1, NULL);
	rig.now += 200000;
	notice(&alice, GOSSIP_FRAME_PEER_DOWN, bob.id);
	assert_int_equal(
	    test_rig_find(&rig, GOSSIP_PROBE, bob.id)->a.deadline_ms, 5000);
	gossip_on_probe(rig.g, rig.now, bob.id, true);
	assert_true(is_known(&bob));
	rig.now += 700000;
	notice(&alice, GOSSIP_FRAME_PEER_DOWN, bob.id);
	gossip_on_probe(rig.g, rig.now, bob.id, false);
	test_rig_drain(&rig);
	assert_false(is_known(&bob));
	assert_non_null(test_rig_find(&rig, GOSSIP_DISCONNECT, bob.id));
	assert_null(test_rig_find(&rig, GOSSIP_NOTICE, NULL)); // not forwarded
	gossip_on_conn_down(rig.g, rig.now, bob.id);
	// Dead for five minutes, to hearsay; itself it may come any time.
	test_entry_make(&e, &bob, 1, NULL);
	relay(&alice, &e);
	assert_false(is_known(&bob));
	rig.now += 301000;
	relay(&alice, &e);
	assert_true(is_known(&bob));
}

static void
one_taken_for_dead_that_connects_is_asked(void **state)
{
	(void)state;
	arrive(&alice, 1, NULL);
	arrive(&bob, 1, NULL);
	notice(&bob, GOSSIP_FRAME_PEER_LEAVING, bob.id);
	gossip_on_conn_down(rig.g, rig.now, bob.id);
	assert_false(is_known(&bob));
	test_rig_clear(&rig);
	test_rig_up(&rig, &bob, false);
	assert_non_null(test_rig_find(&rig, GOSSIP_EXCHANGE, bob.id));
	answer(&bob);
	assert_true(gossip_is_admitted(rig.g, bob.id));
}

static void
a_report_about_hearsay_is_checked_by_dialling(void **state)
{
	struct test_entry e;

	(void)state;
	arrive(&alice, 1, NULL);
	test_entry_make(&e, &bob, 3, NULL);
	test_rig_self(&rig, false, NULL, true); // no follow-up
	relay(&alice, &e);
	notice(&alice, GOSSIP_FRAME_PEER_DOWN, bob.id);
	assert_int_equal(
	    test_rig_find(&rig, GOSSIP_DIAL, bob.id)->a.deadline_ms, 8000);
	test_rig_up(&rig, &bob, true);
	answer(&bob);
	assert_true(gossip_is_admitted(rig.g, bob.id));
}

static void
reports_about_strangers_us_and_by_strangers_change_nothing(void **state)
{
	struct test_entry e;

	(void)state;
	arrive(&alice, 1, NULL);
	notice(&alice, GOSSIP_FRAME_PEER_DOWN, carol.id);
	notice(&alice, GOSSIP_FRAME_PEER_DOWN, rig.node.id);
	test_entry_make(&e, &carol, 2, "m");
	relay(&alice, &e);
	assert_true(is_known(&carol)); // no dead mark was planted
	test_rig_up(&rig, &bob, false);
	rig.now += 200000;
	test_rig_clear(&rig);
	notice(&bob, GOSSIP_FRAME_PEER_DOWN, alice.id);
	assert_null(test_rig_find(&rig, GOSSIP_PROBE, NULL));
}

static void
goodbye_counts_only_for_the_one_who_says_it(void **state)
{
	(void)state;
	arrive(&alice, 1, NULL);
	arrive(&bob, 1, NULL);
	notice(&alice, GOSSIP_FRAME_PEER_LEAVING, bob.id);
	assert_true(is_known(&bob));
	notice(&bob, GOSSIP_FRAME_PEER_LEAVING, bob.id);
	assert_false(is_known(&bob));
	assert_non_null(test_rig_find(&rig, GOSSIP_DISCONNECT, bob.id));
}

static void
we_say_goodbye_to_everybody(void **state)
{
	const struct test_action *t;

	(void)state;
	arrive(&alice, 1, NULL);
	arrive(&bob, 1, NULL);
	gossip_on_shutdown(rig.g, rig.now);
	test_rig_drain(&rig);
	assert_int_equal(test_rig_count(&rig, GOSSIP_NOTICE), 2);
	t = test_rig_find(&rig, GOSSIP_NOTICE, bob.id);
	assert_int_equal(t->a.frame_kind, GOSSIP_FRAME_PEER_LEAVING);
	assert_memory_equal(t->frame + 6, rig.node.id, 32);
}

static void
a_tunnel_that_does_not_open_counts_as_death(void **state)
{
	(void)state;
	arrive(&alice, 1, NULL);
	arrive(&bob, 1, NULL);
	gossip_on_tunnel_error(rig.g, rig.now, bob.id, true);
	test_rig_drain(&rig);
	assert_false(is_known(&bob));
	assert_non_null(test_rig_find(&rig, GOSSIP_NOTICE, alice.id));
	test_rig_clear(&rig);
	for (int i = 0; i < 50; i++)
		gossip_on_tunnel_error(rig.g, rig.now, alice.id, false);
	test_rig_drain(&rig);
	assert_in_range(test_rig_count(&rig, GOSSIP_EXCHANGE), 1, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_heard_of_for_six_minutes_is_forgotten),
		TEST(a_silent_peer_is_forgiven_first_then_reported),
		TEST(a_lost_connection_is_dialled_once_then_the_peer_is_gone),
		TEST(a_flapping_peer_does_not_make_us_dial_without_end),
		TEST(heartbeats_ask_at_most_five),
		TEST(a_client_does_not_dial_clients_it_is_told_of),
		TEST(of_two_connections_both_ends_keep_the_same),
		TEST(a_report_about_a_node_heard_lately_is_a_lie),
		TEST(a_report_makes_us_look_ourselves),
		TEST(one_taken_for_dead_that_connects_is_asked),
		TEST(a_report_about_hearsay_is_checked_by_dialling),
		TEST(
		    reports_about_strangers_us_and_by_strangers_change_nothing),
		TEST(goodbye_counts_only_for_the_one_who_says_it),
		TEST(we_say_goodbye_to_everybody),
		TEST(a_tunnel_that_does_not_open_counts_as_death),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
