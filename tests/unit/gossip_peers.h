// One core and three peers made by hand, for the tests that drive it.
#ifndef TESTS_UNIT_GOSSIP_PEERS_H
#define TESTS_UNIT_GOSSIP_PEERS_H

#include "tests/unit/gossip_support.h"

extern struct test_rig rig;
extern struct test_node alice, bob, carol;

int rig_begin(void **state);
int rig_end(void **state);
void join(const struct test_node *n, const char *address);
// The node connects to us and tells of itself.
void arrive(const struct test_node *n, uint32_t role, const char *model);
// source tells of itself and of this entry.
void relay(const struct test_node *source, struct test_entry *e);
void answer(const struct test_node *n);
void notice(const struct test_node *from, uint8_t kind, const uint8_t *about);
struct gossip_peer peer(const struct test_node *n);
bool is_known(const struct test_node *n);
// The frame of the last action of this kind to this node, decoded.
Node__GossipFrame *sent(
    enum gossip_action_kind kind, const struct test_node *to);
Node__PeerAnnouncement *entry_of(Node__GossipFrame *f, const uint8_t *id);
bool has_field(const Node__PeerAnnouncement *m, uint32_t tag);

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)

#endif
