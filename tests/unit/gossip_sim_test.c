// After disturbances have ended the honest nodes of a simulated mesh agree; at
// no time does a liar change what an honest node says of itself to those that
// are connected to it.
#include "gossipd/gossip.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/gossip_sim.h"

static void
thirty_nodes_find_each_other(void **state)
{
	const char *mesh;

	(void)state;
	for (uint64_t seed = 1; seed <= 2; seed++) {
		sim_begin(NODES, 0, seed);
		sim_until_all_agree(180);
		mesh = gossip_mesh_id(sim.nodes[0].g);
		assert_int_equal(strlen(mesh), 32);
		for (int i = 1; i < sim.n; i++)
			assert_string_equal(
			    gossip_mesh_id(sim.nodes[i].g), mesh);
		sim_run(300); // and stay
		assert_int_equal(sim_disagreements(), 0);
		sim_finish();
	}
}

static void
news_reach_everybody(void **state)
{
	(void)state;
	sim_begin(20, 0, 11);
	sim_until_all_agree(180);
	for (int i = 0; i < sim.n; i += 3) {
		(void)snprintf(sim.nodes[i].model, 24, "new-%d", i);
		test_node_sign(&sim.nodes[i].keys, 5000 + (uint32_t)i, 77777);
		sim_tell_self(i);
	}
	sim_until_all_agree(40);
	sim_finish();
}

static void
disturb(uint64_t seed)
{
	int victim = 1 + (int)sim_roll(5);

	sim.noise = true;
	sim_run(120);
	sim_stop(victim, seed % 2 == 0);
	sim_run(90);
	for (int k = 0; k < 10; k++)
		sim_drop((int)sim_roll((uint32_t)sim.n),
		    (int)sim_roll((uint32_t)sim.n));
	sim_run(60);
	sim_start(victim);
	sim_run(60);
	sim.split = true;
	for (int i = 0; i < sim.n; i++)
		for (int j = 0; j < i; j++)
			if (i % 2 != j % 2)
				sim_drop(i, j);
	sim_run(150);
	sim.split = false;
	sim.noise = false;
}

static void
nodes_agree_again_after_loss_restarts_and_partitions(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		sim_begin(16, 0, seed);
		sim_until_all_agree(240);
		disturb(seed);
		sim_until_all_agree(900);
		sim_finish();
	}
}

static void
liars_change_nothing_between_honest_nodes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 2; seed++) {
		sim_begin(14, 3, seed);
		sim.attacks = true;
		sim_until_all_agree(300);
		disturb(seed);
		sim_until_all_agree(900);
		sim_run(200);
		assert_int_equal(sim_disagreements(), 0);
		sim_finish();
	}
}

static void
the_dead_are_forgotten_by_everybody(void **state)
{
	(void)state;
	sim_begin(16, 0, 5);
	sim_until_all_agree(180);
	sim_stop(3, false);
	sim_stop(4, true);
	sim_until_all_agree(900);
	sim_run(600);
	assert_int_equal(sim_disagreements(), 0);
	sim_finish();
}

static void
the_same_seed_gives_the_same_run(void **state)
{
	uint64_t digest[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		sim_begin(10, 2, 42);
		sim.attacks = true;
		sim_run(60);
		disturb(42);
		sim_run(60);
		digest[i] = sim.digest;
		sim_finish();
	}
	assert_true(digest[0] == digest[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thirty_nodes_find_each_other),
		cmocka_unit_test(news_reach_everybody),
		cmocka_unit_test(
		    nodes_agree_again_after_loss_restarts_and_partitions),
		cmocka_unit_test(liars_change_nothing_between_honest_nodes),
		cmocka_unit_test(the_dead_are_forgotten_by_everybody),
		cmocka_unit_test(the_same_seed_gives_the_same_run),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	for (uint32_t k = 0; k < FAKES_MAX; k++)
		test_node_make(&fakes[k], 100000 + k);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
