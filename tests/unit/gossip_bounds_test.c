// One core against hand-made peers: how much strangers can make it keep,
// answer, dial and verify.
#include "gossipd/gossip.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/gossip_peers.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sixty_frames_a_minute_are_answered_not_more),
		TEST(
		    no_peer_fills_the_table_alone_and_none_displaces_the_admitted),
		TEST(follow_up_dials_are_few_at_once_and_per_frame),
		TEST(a_liar_makes_us_verify_only_so_much),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
