// The peer table: which keys are believed, for how long, and what a hostile
// gossipd can and cannot do to it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "proxyd/peers.h"

enum { HOUR_MS = 3600 * 1000 };
#define NOW ((uint64_t)1800000000000)

struct node {
	uint8_t id[ENDPOINT_ID_LEN];
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	uint8_t key[INFERENCE_KEY_LEN];
};

static struct node
make_node(void)
{
	struct node n;
	uint8_t secret[32];

	assert_int_equal(crypto_sign_keypair(n.id, n.secret), 0);
	assert_int_equal(crypto_box_keypair(n.key, secret), 0);
	return n;
}

static void
announce(const struct node *n, const uint8_t *key, uint64_t sequence,
    uint64_t from, uint64_t until, uint8_t ret[ANNOUNCEMENT_LEN])
{
	struct announcement a = { .sequence = sequence,
		.not_before_ms = from,
		.not_after_ms = until };
	uint8_t text[ANNOUNCEMENT_SIGNED_LEN], signature[SIGNATURE_LEN];

	memcpy(a.inference_key, key, INFERENCE_KEY_LEN);
	announcement_to_sign(&a, n->id, text);
	assert_int_equal(crypto_sign_detached(
			     signature, NULL, text, sizeof(text), n->secret),
	    0);
	announcement_encode(&a, signature, ret);
}

static Ipc__PeerUpdate
update_of(const struct node *n)
{
	Ipc__PeerUpdate u = IPC__PEER_UPDATE__INIT;

	u.endpoint_id.data = (uint8_t *)(uintptr_t)n->id;
	u.endpoint_id.len = ENDPOINT_ID_LEN;
	u.role = IPC__PEER_ROLE__PEER_HOST;
	u.dialect = IPC__DIALECT__DIALECT_MESHLLM;
	u.connected = true;
	return u;
}

static struct peer *
finish(struct peers *peers, const struct node *n)
{
	Ipc__PeerModels part = IPC__PEER_MODELS__INIT;
	struct peer *peer = NULL;

	part.endpoint_id.data = (uint8_t *)(uintptr_t)n->id;
	part.endpoint_id.len = ENDPOINT_ID_LEN;
	part.final = true;
	assert_int_equal(peers_update_models(peers, &part, &peer), 0);
	assert_non_null(peer);
	return peer;
}

// Tell of the node with this announcement; returns why it was refused.
static const char *
tell(struct peers *peers, const struct node *n, uint8_t *announcement,
    uint64_t now, struct peer **ret)
{
	Ipc__PeerUpdate u = update_of(n);
	const char *why = NULL;

	u.has_announcement = announcement != NULL;
	u.announcement.data = announcement;
	u.announcement.len = announcement == NULL ? 0 : ANNOUNCEMENT_LEN;
	assert_int_equal(peers_update_begin(peers, &u, now, &why), 0);
	*ret = finish(peers, n);
	return why;
}

static void
only_a_host_that_is_asked_for_signs_of_life_is_held_to_them(void **state)
{
	struct peers peers;
	struct node n = make_node();
	Ipc__PeerUpdate u = update_of(&n);
	const char *why = NULL;

	(void)state;
	peers_init(&peers);
	u.has_shows_life = u.shows_life = true;
	u.dialect = IPC__DIALECT__DIALECT_SEALED;
	assert_int_equal(peers_update_begin(&peers, &u, NOW, &why), 0);
	assert_false(finish(&peers, &n)->shows_life);
	u.dialect = IPC__DIALECT__DIALECT_MESHLLM;
	assert_int_equal(peers_update_begin(&peers, &u, NOW, &why), 0);
	assert_true(finish(&peers, &n)->shows_life);
	u.has_shows_life = false;
	u.version = (char *)(uintptr_t) "older";
	assert_int_equal(peers_update_begin(&peers, &u, NOW, &why), 0);
	assert_false(finish(&peers, &n)->shows_life);
	peers_done(&peers);
}

static void
a_signed_key_is_proven(void **state)
{
	struct peers peers;
	struct node n = make_node();
	struct peer *peer;
	uint8_t a[ANNOUNCEMENT_LEN];
	const uint8_t *key = NULL;

	(void)state;
	peers_init(&peers);
	announce(&n, n.key, 5, NOW - HOUR_MS, NOW + HOUR_MS, a);
	assert_null(tell(&peers, &n, a, NOW, &peer));
	assert_int_equal(peer_key_now(peer, NOW, &key), PEER_KEY_PROVEN);
	assert_memory_equal(key, n.key, INFERENCE_KEY_LEN);
	peers_done(&peers);
}

static void
a_key_with_a_wrong_signature_is_not_used(void **state)
{
	struct peers peers;
	struct node n = make_node(), other = make_node();
	struct peer *peer;
	uint8_t a[ANNOUNCEMENT_LEN];
	const uint8_t *key = NULL;

	(void)state;
	peers_init(&peers);
	announce(&n, n.key, 5, NOW - HOUR_MS, NOW + HOUR_MS, a);
	for (size_t i = 0; i < sizeof(a); i++) {
		a[i] ^= 1;
		assert_non_null(tell(&peers, &n, a, NOW, &peer));
		assert_int_equal(peer_key_now(peer, NOW, &key), PEER_KEY_NONE);
		assert_null(key);
		a[i] ^= 1;
	}
	// Valid, but of another node.
	announce(&other, other.key, 5, NOW - HOUR_MS, NOW + HOUR_MS, a);
	assert_non_null(tell(&peers, &n, a, NOW, &peer));
	assert_int_equal(peer_key_now(peer, NOW, &key), PEER_KEY_NONE);
	peers_done(&peers);
}

static void
a_lower_sequence_is_refused_even_after_the_peer_was_gone(void **state)
{
	struct peers peers;
	struct node n = make_node(), later = make_node();
	struct peer *peer;
	uint8_t old[ANNOUNCEMENT_LEN], new[ANNOUNCEMENT_LEN];
	const uint8_t *key = NULL;

	(void)state;
	peers_init(&peers);
	announce(&n, n.key, 5, NOW - HOUR_MS, NOW + HOUR_MS, old);
	announce(&n, later.key, 6, NOW - HOUR_MS, NOW + HOUR_MS, new);
	assert_null(tell(&peers, &n, old, NOW, &peer));
	assert_null(tell(&peers, &n, new, NOW, &peer));
	assert_non_null(tell(&peers, &n, old, NOW, &peer));
	(void)peer_key_now(peer, NOW, &key);
	assert_memory_equal(key, later.key, INFERENCE_KEY_LEN);

	peers_remove(&peers, n.id, NOW);
	assert_false(peers_find(&peers, n.id)->is_present);
	assert_non_null(tell(&peers, &n, old, NOW, &peer));
	(void)peer_key_now(peer, NOW, &key);
	assert_memory_equal(key, later.key, INFERENCE_KEY_LEN);
	peers_done(&peers);
}

static void
two_keys_under_one_sequence_are_refused(void **state)
{
	struct peers peers;
	struct node n = make_node(), other = make_node();
	struct peer *peer;
	uint8_t a[ANNOUNCEMENT_LEN], b[ANNOUNCEMENT_LEN];
	const uint8_t *key = NULL;

	(void)state;
	peers_init(&peers);
	announce(&n, n.key, 5, NOW - HOUR_MS, NOW + HOUR_MS, a);
	announce(&n, other.key, 5, NOW - HOUR_MS, NOW + HOUR_MS, b);
	assert_null(tell(&peers, &n, a, NOW, &peer));
	assert_non_null(tell(&peers, &n, b, NOW, &peer));
	assert_int_equal(peer_key_now(peer, NOW, &key), PEER_KEY_PROVEN);
	assert_memory_equal(key, n.key, INFERENCE_KEY_LEN);
	peers_done(&peers);
}

static void
an_expired_announcement_is_refused_and_expires_in_use(void **state)
{
	struct peers peers;
	struct node n = make_node();
	struct peer *peer;
	uint8_t a[ANNOUNCEMENT_LEN];
	const uint8_t *key = NULL;

	(void)state;
	peers_init(&peers);
	announce(&n, n.key, 5, NOW - 2 * HOUR_MS, NOW - HOUR_MS, a);
	assert_non_null(tell(&peers, &n, a, NOW, &peer));
	assert_int_equal(peer_key_now(peer, NOW, &key), PEER_KEY_NONE);
	announce(&n, n.key, 6, NOW - HOUR_MS, NOW + HOUR_MS, a);
	assert_null(tell(&peers, &n, a, NOW, &peer));
	assert_int_equal(peer_key_now(peer, NOW, &key), PEER_KEY_PROVEN);
	assert_int_equal(
	    peer_key_now(peer, NOW + 2 * HOUR_MS, &key), PEER_KEY_NONE);
	peers_done(&peers);
}

static void
a_proven_key_cannot_be_taken_away(void **state)
{
	struct peers peers;
	struct node n = make_node(), other = make_node();
	struct peer *peer;
	uint8_t a[ANNOUNCEMENT_LEN];
	Ipc__PeerUpdate u = update_of(&n);
	const uint8_t *key = NULL;
	const char *why;

	(void)state;
	peers_init(&peers);
	announce(&n, n.key, 5, NOW - HOUR_MS, NOW + HOUR_MS, a);
	assert_null(tell(&peers, &n, a, NOW, &peer));
	// No announcement any more, and an unsigned key instead.
	u.has_unsigned_key = true;
	u.unsigned_key.data = other.key;
	u.unsigned_key.len = INFERENCE_KEY_LEN;
	assert_int_equal(peers_update_begin(&peers, &u, NOW, &why), 0);
	peer = finish(&peers, &n);
	assert_int_equal(peer_key_now(peer, NOW, &key), PEER_KEY_PROVEN);
	assert_memory_equal(key, n.key, INFERENCE_KEY_LEN);
	// When it has expired, only the unsigned one is left.
	assert_int_equal(
	    peer_key_now(peer, NOW + 2 * HOUR_MS, &key), PEER_KEY_UNSIGNED);
	peers_done(&peers);
}

static void
a_verdict_counts_for_its_key_and_until_it_expires(void **state)
{
	struct peer peer = { .verdict = { .is_known = true,
				 .level = IPC__LEVEL__LEVEL_HARDWARE,
				 .expires_ms = NOW } };
	uint8_t key[INFERENCE_KEY_LEN] = { 0 };

	(void)state;
	assert_int_equal(
	    peer_level_now(&peer, key, NOW - 1), IPC__LEVEL__LEVEL_HARDWARE);
	assert_int_equal(
	    peer_level_now(&peer, key, NOW), IPC__LEVEL__LEVEL_NONE);
	// Our clock moves by hours, forth and back.
	assert_int_equal(peer_level_now(&peer, key, NOW + 5 * HOUR_MS),
	    IPC__LEVEL__LEVEL_NONE);
	assert_int_equal(peer_level_now(&peer, key, NOW - 5 * HOUR_MS),
	    IPC__LEVEL__LEVEL_NONE);
	assert_int_equal(peer_level_now(&peer, key, 0), IPC__LEVEL__LEVEL_NONE);
	key[0] = 1;
	assert_int_equal(
	    peer_level_now(&peer, key, NOW - 1), IPC__LEVEL__LEVEL_NONE);
	assert_int_equal(
	    peer_level_now(&peer, NULL, NOW - 1), IPC__LEVEL__LEVEL_NONE);
}

static Ipc__PeerModels
part_of(const struct node *n, Ipc__PeerModels__Model **models, size_t count,
    bool final)
{
	Ipc__PeerModels part = IPC__PEER_MODELS__INIT;

	part.endpoint_id.data = (uint8_t *)(uintptr_t)n->id;
	part.endpoint_id.len = ENDPOINT_ID_LEN;
	part.models = models;
	part.n_models = count;
	part.final = final;
	return part;
}

static void
models_come_in_parts_and_count_when_the_last_is_there(void **state)
{
	struct peers peers;
	struct node n = make_node();
	struct peer *peer = NULL;
	Ipc__PeerUpdate u = update_of(&n);
	Ipc__PeerModels__Model models[3], *list[3];
	Ipc__PeerModels part;
	const char *why;
	char names[3][8] = { "zeta", "alpha", "mid" };

	(void)state;
	peers_init(&peers);
	for (size_t i = 0; i < 3; i++) {
		ipc__peer_models__model__init(&models[i]);
		models[i].name = names[i];
		list[i] = &models[i];
	}
	u.n_models = 3;
	assert_int_equal(peers_update_begin(&peers, &u, NOW, &why), 0);
	part = part_of(&n, list, 2, false);
	assert_int_equal(peers_update_models(&peers, &part, &peer), 0);
	assert_null(peer);
	assert_null(peers_find(&peers, n.id));
	part = part_of(&n, list + 2, 1, true);
	assert_int_equal(peers_update_models(&peers, &part, &peer), 0);
	assert_ptr_equal(peer, peers_find(&peers, n.id));
	assert_true(peer_has_model(peer, "zeta"));
	assert_true(peer_has_model(peer, "alpha"));
	assert_true(peer_has_model(peer, "mid"));
	assert_false(peer_has_model(peer, "m"));
	// More than was said, or of another peer.
	assert_int_equal(peers_update_models(&peers, &part, &peer), -EBADMSG);
	assert_int_equal(peers_update_begin(&peers, &u, NOW, &why), 0);
	part = part_of(&n, list, 3, false);
	assert_int_equal(peers_update_models(&peers, &part, &peer), 0);
	assert_int_equal(peers_update_models(&peers, &part, &peer), -EBADMSG);
	part = part_of(&n, NULL, 0, true);
	assert_int_equal(peers_update_models(&peers, &part, &peer), 0);
	peers_done(&peers);
}

static void
names_that_cannot_be_routed_are_left_out(void **state)
{
	struct peers peers;
	struct node n = make_node();
	struct peer *peer = NULL;
	Ipc__PeerUpdate u = update_of(&n);
	Ipc__PeerModels__Model models[4], *list[4];
	Ipc__PeerModels part;
	char longest[MODEL_NAME_MAX + 1], too_long[MODEL_NAME_MAX + 2];
	const char *why;

	(void)state;
	peers_init(&peers);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[MODEL_NAME_MAX] = '\0';
	memset(too_long, 'b', sizeof(too_long) - 1);
	too_long[MODEL_NAME_MAX + 1] = '\0';
	for (size_t i = 0; i < 4; i++) {
		ipc__peer_models__model__init(&models[i]);
		list[i] = &models[i];
	}
	models[0].name = longest;
	models[1].name = too_long;
	models[2].name = (char *)(uintptr_t) "new\nline";
	models[3].name = (char *)(uintptr_t) "";
	u.n_models = 4;
	assert_int_equal(peers_update_begin(&peers, &u, NOW, &why), 0);
	part = part_of(&n, list, 4, true);
	assert_int_equal(peers_update_models(&peers, &part, &peer), 0);
	assert_int_equal(peer->n_models, 1);
	assert_true(peer_has_model(peer, longest));
	peers_done(&peers);
}

static void
a_malformed_update_is_refused(void **state)
{
	struct peers peers;
	struct node n = make_node();
	Ipc__PeerUpdate u;
	const char *why;

	(void)state;
	peers_init(&peers);
	u = update_of(&n);
	u.endpoint_id.len = 31;
	assert_int_equal(peers_update_begin(&peers, &u, NOW, &why), -EBADMSG);
	u = update_of(&n);
	u.role = 0;
	assert_int_equal(peers_update_begin(&peers, &u, NOW, &why), -EBADMSG);
	u = update_of(&n);
	u.dialect = 9;
	assert_int_equal(peers_update_begin(&peers, &u, NOW, &why), -EBADMSG);
	u = update_of(&n);
	u.n_models = PEER_MODELS_MAX + 1;
	assert_int_equal(peers_update_begin(&peers, &u, NOW, &why), -EBADMSG);
	u = update_of(&n);
	u.has_unsigned_key = true;
	u.unsigned_key.data = n.key;
	u.unsigned_key.len = 5;
	assert_int_equal(peers_update_begin(&peers, &u, NOW, &why), -EBADMSG);
	peers_done(&peers);
}

static void
the_table_is_bounded_and_stays_sorted(void **state)
{
	struct peers peers;
	struct node n = { .id = { 0 } };
	Ipc__PeerUpdate u;
	Ipc__PeerModels part;
	struct peer *peer;
	const char *why;
	int r = 0;

	(void)state;
	peers_init(&peers);
	for (size_t i = 0; i <= PEERS_MAX; i++) {
		randombytes_buf(n.id, sizeof(n.id));
		u = update_of(&n);
		assert_int_equal(peers_update_begin(&peers, &u, NOW, &why), 0);
		part = part_of(&n, NULL, 0, true);
		r = peers_update_models(&peers, &part, &peer);
		assert_int_equal(r, i < PEERS_MAX ? 0 : -ENOSPC);
	}
	assert_int_equal(peers.n, PEERS_MAX);
	for (size_t i = 1; i < peers.n; i++)
		assert_true(memcmp(peers.at[i - 1]->id, peers.at[i]->id,
				ENDPOINT_ID_LEN) < 0);
	while (peers.n > 0) {
		memcpy(n.id, peers.at[peers.n / 2]->id, sizeof(n.id));
		peers_remove(&peers, n.id, NOW);
		assert_null(peers_find(&peers, n.id));
	}
	peers_done(&peers);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    only_a_host_that_is_asked_for_signs_of_life_is_held_to_them),
		cmocka_unit_test(a_signed_key_is_proven),
		cmocka_unit_test(a_key_with_a_wrong_signature_is_not_used),
		cmocka_unit_test(
		    a_lower_sequence_is_refused_even_after_the_peer_was_gone),
		cmocka_unit_test(two_keys_under_one_sequence_are_refused),
		cmocka_unit_test(
		    an_expired_announcement_is_refused_and_expires_in_use),
		cmocka_unit_test(a_proven_key_cannot_be_taken_away),
		cmocka_unit_test(
		    a_verdict_counts_for_its_key_and_until_it_expires),
		cmocka_unit_test(
		    models_come_in_parts_and_count_when_the_last_is_there),
		cmocka_unit_test(names_that_cannot_be_routed_are_left_out),
		cmocka_unit_test(a_malformed_update_is_refused),
		cmocka_unit_test(the_table_is_bounded_and_stays_sorted),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
