// One core against hand-made peers: what it sends, what time does, deaths and
// departures, and what strangers cannot make it do.
#include "gossipd/gossip.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/gossip_peers.h"

// ---- what we send

static void
give_self_everything(void)
{
	struct gossip_model m = { .name = "mine", .context_length = 2048 };
	struct gossip_self self = { .is_host = true,
		.api_port = 9337,
		.models = &m,
		.n_models = 1,
		.has_announcement = true,
		.version = TEST_VERSION,
		.evidence = (const uint8_t *)"evidence",
		.evidence_len = 8,
		.posture = NODE_POSTURE_CORE_DUMPS_DISABLED };

	memcpy(self.announcement, rig.node.announcement, ANNOUNCEMENT_LEN);
	memcpy(self.inference_key, rig.node.key, INFERENCE_KEY_LEN);
	gossip_on_self(rig.g, rig.now, &self);
	test_rig_drain(&rig);
}

static void
a_node_of_unknown_dialect_gets_nothing_that_collides(void **state)
{
	struct test_entry e, *entries[] = { &e };
	Node__GossipFrame *f;
	Node__PeerAnnouncement *m;

	(void)state;
	give_self_everything();
	test_rig_up(&rig, &bob, true); // we open: dialect not known
	f = sent(GOSSIP_EXCHANGE, &bob);
	m = entry_of(f, rig.node.id);
	assert_true(has_field(m, 36));
	assert_false(has_field(m, 37));
	assert_false(m->has_hardware_attestation_blob);
	assert_null(m->other_inference_public_key.data);
	assert_null(m->other_security_posture.data);
	assert_true(m->has_signed_announcement);
	assert_null(m->hostname);
	assert_null(m->hardware);
	assert_string_equal(m->version, TEST_VERSION);
	assert_int_equal(m->role, 2);
	assert_int_equal(m->http_port, 9337);
	assert_true(m->has_hosted_models_known && m->hosted_models_known);
	assert_int_equal(m->n_hosted_models, 1);
	assert_true(m->has_serialized_addr);
	assert_true(m->has_shows_life && m->shows_life);
	node__gossip_frame__free_unpacked(f, NULL);
	test_entry_make(&e, &bob, 1, NULL); // a plain one
	assert_true(test_rig_exchange(&rig, &bob, entries, 1));
	f = sent(GOSSIP_ANSWER, &bob);
	assert_false(has_field(entry_of(f, rig.node.id), 37));
	node__gossip_frame__free_unpacked(f, NULL);
}

static void
a_node_that_speaks_of_keys_gets_posture_and_evidence(void **state)
{
	struct test_entry e, *entries[] = { &e };
	Node__GossipFrame *f;
	Node__PeerAnnouncement *m;

	(void)state;
	give_self_everything();
	for (int i = 0; i < 2; i++) {
		const struct test_node *n = i == 0 ? &alice : &bob;
		test_rig_up(&rig, n, false);
		test_entry_make(&e, n, 1, NULL);
		if (i == 0)
			test_entry_key(&e, n->key);
		else
			test_entry_sign(&e, n);
		assert_true(test_rig_exchange(&rig, n, entries, 1));
		f = sent(GOSSIP_ANSWER, n);
		m = entry_of(f, rig.node.id);
		assert_true(has_field(m, 36) && has_field(m, 37));
		assert_int_equal(m->hardware_attestation_blob.len, 8);
		node__gossip_frame__free_unpacked(f, NULL);
	}
	assert_int_equal(peer(&bob).dialect, GOSSIP_DIALECT_MESHLLM);
}

static void
keys_of_others_are_passed_on_only_when_signed(void **state)
{
	struct test_entry e, *entries[] = { &e };
	Node__GossipFrame *f;
	Node__PeerAnnouncement *m;

	(void)state;
	test_rig_up(&rig, &alice, false);
	test_entry_make(&e, &alice, 2, "m");
	test_entry_key(&e, alice.key);
	e.m.hostname = (char *)(uintptr_t) "alices-box";
	e.m.mesh_id = (char *)(uintptr_t) "x";
	assert_true(test_rig_exchange(&rig, &alice, entries, 1));
	arrive(&bob, 2, "n");
	test_rig_up(&rig, &carol, true);
	f = sent(GOSSIP_EXCHANGE, &carol);
	m = entry_of(f, alice.id);
	assert_false(has_field(m, 36));
	assert_false(m->has_signed_announcement);
	assert_string_equal(m->hostname, "alices-box");
	assert_null(m->mesh_id);
	assert_int_equal(m->n_hosted_models, 1);
	m = entry_of(f, bob.id);
	assert_true(has_field(m, 36));
	assert_memory_equal(m->signed_announcement.data, bob.announcement, 121);
	node__gossip_frame__free_unpacked(f, NULL);
}

static void
news_go_to_every_connection_at_most_once_a_second(void **state)
{
	(void)state;
	test_rig_tick(&rig, 5000);
	arrive(&alice, 1, NULL);
	arrive(&bob, 1, NULL);
	test_rig_clear(&rig);
	test_rig_self(&rig, true, "m1", false);
	assert_int_equal(test_rig_count(&rig, GOSSIP_EXCHANGE), 2);
	test_rig_self(&rig, true, "m1", false); // nothing new
	test_rig_tick(&rig, 2000);
	assert_int_equal(test_rig_count(&rig, GOSSIP_EXCHANGE), 2);
	// New while the first is under way: again afterwards.
	test_rig_self(&rig, true, "m2", false);
	test_rig_tick(&rig, 1000);
	answer(&alice);
	answer(&bob);
	assert_int_equal(test_rig_count(&rig, GOSSIP_EXCHANGE), 4);
	// A new key does not wait: what is sealed to the old one is lost.
	for (unsigned n = 0; n < 3; n++) {
		static const char *const models[] = { "m3", "m4", "m4" };

		answer(&alice);
		answer(&bob);
		if (n == 2)
			test_node_sign(&rig.node, 77, 2);
		test_rig_self(&rig, true, models[n], false);
		assert_int_equal(
		    test_rig_count(&rig, GOSSIP_EXCHANGE), n == 2 ? 8 : 6);
	}
}

static void
hearsay_is_passed_on_only_while_it_is_news(void **state)
{
	struct test_entry e;
	Node__GossipFrame *f;

	(void)state;
	arrive(&alice, 1, NULL);
	test_entry_make(&e, &bob, 2, "m");
	e.m.has_serialized_addr = 0;
	for (int minute = 0; minute < 5; minute++) {
		relay(&alice, &e);
		f = sent(GOSSIP_ANSWER, &alice);
		assert_int_equal(entry_of(f, bob.id) != NULL, minute < 3);
		node__gossip_frame__free_unpacked(f, NULL);
		assert_true(is_known(&bob));
		test_rig_tick(&rig, 61000);
	}
}

// ---- time

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

// ---- bounds

static void
sixty_frames_a_minute_are_answered_not_more(void **state)
{
	struct test_entry e, *entries[] = { &e };
	size_t answered = 0;

	(void)state;
	arrive(&alice, 1, NULL);
	test_entry_make(&e, &alice, 1, NULL);
	for (int i = 0; i < 600; i++) {
		rig.now += 100;
		answered += test_rig_exchange(&rig, &alice, entries, 1);
		test_rig_clear(&rig);
	}
	assert_in_range(answered, 60, 80);
}

static void
no_peer_fills_the_table_alone_and_none_displaces_the_admitted(void **state)
{
	static struct test_entry entries[501];
	static struct test_entry *pointers[501];
	struct test_node made, flooders[6];
	uint32_t number = 1000;

	(void)state;
	arrive(&alice, 2, "m");
	for (uint32_t f = 0; f < N_ELEMENTS(flooders); f++) {
		test_node_make(&flooders[f], 500 + f);
		arrive(&flooders[f], 1, NULL);
		for (int round = 0; round < 4; round++) {
			for (size_t i = 0; i < 500; i++) {
				test_node_make(&made, number++);
				test_entry_make(&entries[i], &made, 3, NULL);
				entries[i].m.endpoint_id.data = malloc(32);
				memcpy(
				    entries[i].m.endpoint_id.data, made.id, 32);
				pointers[i] = &entries[i];
			}
			test_entry_make(&entries[500], &flooders[f], 1, NULL);
			pointers[500] = &entries[500];
			assert_true(test_rig_exchange(
			    &rig, &flooders[f], pointers, 501));
			test_rig_clear(&rig);
			for (size_t i = 0; i < 500; i++)
				free(entries[i].m.endpoint_id.data);
		}
		assert_in_range(gossip_n_peers(rig.g), 1,
		    (f + 1) * (GOSSIP_PEERS_MAX / 4) + 8);
		assert_in_range(gossip_n_peers(rig.g), 1, GOSSIP_PEERS_MAX);
	}
	assert_int_equal(gossip_n_peers(rig.g), GOSSIP_PEERS_MAX);
	assert_true(gossip_is_admitted(rig.g, alice.id));
	arrive(&bob, 2, "m"); // a node that comes itself finds room
	assert_int_equal(gossip_n_peers(rig.g), GOSSIP_PEERS_MAX);
}

static void
follow_up_dials_are_few_at_once_and_per_frame(void **state)
{
	static struct test_entry entries[101];
	static struct test_node nodes[100];
	struct test_entry *pointers[101];

	(void)state;
	arrive(&alice, 1, NULL);
	for (size_t i = 0; i < 100; i++) {
		test_node_make(&nodes[i], 600 + (uint32_t)i);
		test_entry_make(&entries[i], &nodes[i], 1, NULL);
		pointers[i] = &entries[i];
	}
	test_entry_make(&entries[100], &alice, 1, NULL);
	pointers[100] = &entries[100];
	test_rig_clear(&rig);
	assert_true(test_rig_exchange(&rig, &alice, pointers, 101));
	assert_int_equal(test_rig_count(&rig, GOSSIP_DIAL), 8);
	test_rig_tick(&rig, 40000);
	assert_int_equal(test_rig_count(&rig, GOSSIP_DIAL), 16);
}

static void
a_liar_makes_us_verify_only_so_much(void **state)
{
	static struct test_node nodes[40];

	(void)state;
	arrive(&alice, 1, NULL);
	for (size_t i = 0; i < N_ELEMENTS(nodes); i++) {
		test_node_make(&nodes[i], 700 + (uint32_t)i);
		arrive(&nodes[i], 1, NULL);
	}
	rig.now += 200000;
	test_rig_clear(&rig);
	for (size_t i = 0; i < N_ELEMENTS(nodes); i++) {
		rig.now += 100;
		notice(&alice, GOSSIP_FRAME_PEER_DOWN, nodes[i].id);
	}
	assert_int_equal(test_rig_count(&rig, GOSSIP_PROBE), 8);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_node_of_unknown_dialect_gets_nothing_that_collides),
		TEST(a_node_that_speaks_of_keys_gets_posture_and_evidence),
		TEST(keys_of_others_are_passed_on_only_when_signed),
		TEST(news_go_to_every_connection_at_most_once_a_second),
		TEST(hearsay_is_passed_on_only_while_it_is_news),
		TEST(nobody_heard_of_for_six_minutes_is_forgotten),
		TEST(a_silent_peer_is_forgiven_first_then_reported),
		TEST(a_lost_connection_is_dialled_once_then_the_peer_is_gone),
		TEST(a_flapping_peer_does_not_make_us_dial_without_end),
		TEST(heartbeats_ask_at_most_five),
		TEST(a_client_does_not_dial_clients_it_is_told_of),
		TEST(a_report_about_a_node_heard_lately_is_a_lie),
		TEST(a_report_makes_us_look_ourselves),
		TEST(one_taken_for_dead_that_connects_is_asked),
		TEST(a_report_about_hearsay_is_checked_by_dialling),
		TEST(
		    reports_about_strangers_us_and_by_strangers_change_nothing),
		TEST(goodbye_counts_only_for_the_one_who_says_it),
		TEST(we_say_goodbye_to_everybody),
		TEST(a_tunnel_that_does_not_open_counts_as_death),
		TEST(sixty_frames_a_minute_are_answered_not_more),
		TEST(
		    no_peer_fills_the_table_alone_and_none_displaces_the_admitted),
		TEST(follow_up_dials_are_few_at_once_and_per_frame),
		TEST(a_liar_makes_us_verify_only_so_much),
		TEST(of_two_connections_both_ends_keep_the_same),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
