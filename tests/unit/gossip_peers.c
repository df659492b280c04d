// One core and three peers made by hand; see the header.
#include "tests/unit/gossip_peers.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "gossipd/token.h"

struct test_rig rig;
struct test_node alice, bob, carol;

int
rig_begin(void **state)
{
	(void)state;
	test_rig_new(&rig, 1);
	test_rig_self(&rig, false, NULL, false);
	test_node_make(&alice, 2);
	test_node_make(&bob, 3);
	test_node_make(&carol, 4);
	return 0;
}

int
rig_end(void **state)
{
	(void)state;
	test_rig_free(&rig);
	return 0;
}

void
join(const struct test_node *n, const char *address)
{
	struct endpoint_addr addr = { .n_addrs = 1 };
	char token[TOKEN_MAX + 1];
	const char *reason;

	memcpy(addr.id, n->id, ENDPOINT_ID_LEN);
	assert_int_equal(addr_parse(address, &addr.addrs[0]), 0);
	assert_int_equal(token_write(&addr, token), 0);
	assert_int_equal(gossip_join(rig.g, rig.now, token, &reason), 0);
	test_rig_drain(&rig);
}

void
arrive(const struct test_node *n, uint32_t role, const char *model)
{
	struct test_entry e, *entries[] = { &e };

	test_rig_up(&rig, n, false);
	test_entry_make(&e, n, role, model);
	test_entry_sign(&e, n);
	assert_true(test_rig_exchange(&rig, n, entries, 1));
	assert_true(gossip_is_admitted(rig.g, n->id));
}

void
relay(const struct test_node *source, struct test_entry *e)
{
	struct test_entry own, *entries[] = { e, &own };

	test_entry_make(&own, source, 1, NULL);
	assert_true(test_rig_exchange(&rig, source, entries, 2));
}

void
answer(const struct test_node *n)
{
	struct test_entry own, *entries[] = { &own };
	uint8_t *frame;
	size_t len;

	test_entry_make(&own, n, 1, NULL);
	frame = test_frame(n->id, entries, 1, &len);
	gossip_on_answer(
	    rig.g, rig.now, TEST_UNIX_MS + rig.now, n->id, frame, len);
	free(frame);
	test_rig_drain(&rig);
}

void
notice(const struct test_node *from, uint8_t kind, const uint8_t *about)
{
	uint8_t frame[36] = { 0x0a, 32 };

	memcpy(frame + 2, about, 32);
	frame[34] = 0x10;
	frame[35] = 1;
	assert_false(
	    test_rig_frame(&rig, from->id, kind, frame, sizeof(frame)));
}

struct gossip_peer
peer(const struct test_node *n)
{
	struct gossip_peer p;

	assert_true(gossip_find_peer(rig.g, n->id, &p));
	return p;
}

bool
is_known(const struct test_node *n)
{
	struct gossip_peer p;

	return gossip_find_peer(rig.g, n->id, &p);
}

Node__GossipFrame *
sent(enum gossip_action_kind kind, const struct test_node *to)
{
	const struct test_action *t = test_rig_find(&rig, kind, to->id);
	Node__GossipFrame *f;

	assert_non_null(t);
	f = node__gossip_frame__unpack(
	    NULL, t->a.frame_len - NODE_LENGTH_LEN, t->frame + NODE_LENGTH_LEN);
	assert_non_null(f);
	return f;
}

Node__PeerAnnouncement *
entry_of(Node__GossipFrame *f, const uint8_t *id)
{
	for (size_t i = 0; i < f->n_peers; i++)
		if (memcmp(f->peers[i]->endpoint_id.data, id, 32) == 0)
			return f->peers[i];
	return NULL;
}

bool
has_field(const Node__PeerAnnouncement *m, uint32_t tag)
{
	for (unsigned i = 0; i < m->base.n_unknown_fields; i++)
		if (m->base.unknown_fields[i].tag == tag)
			return true;
	return false;
}
