// One core against hand-made peers: what it tells whom of itself and of others,
// and when.
#include "gossipd/gossip.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/gossip_peers.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_node_of_unknown_dialect_gets_nothing_that_collides),
		TEST(a_node_that_speaks_of_keys_gets_posture_and_evidence),
		TEST(keys_of_others_are_passed_on_only_when_signed),
		TEST(news_go_to_every_connection_at_most_once_a_second),
		TEST(hearsay_is_passed_on_only_while_it_is_news),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
