// What the tests of the gossip core share: nodes with keys, frames made by
// hand, and a rig that collects the actions of one core.
#ifndef TESTS_UNIT_GOSSIP_SUPPORT_H
#define TESTS_UNIT_GOSSIP_SUPPORT_H

#include <jansson.h>

#include "gossipd/addr_json.h"
#include "gossipd/gossip.h"
#include "gossipd/node_codec.h"

#define TEST_VERSION "0.66.0+meshllm.0.1.0"

struct test_node {
	uint8_t id[ENDPOINT_ID_LEN];
	uint8_t secret[64];
	uint8_t key[INFERENCE_KEY_LEN];
	struct announcement a;
	uint8_t announcement[ANNOUNCEMENT_LEN];
};

enum { TEST_UNIX = 1778133600 }; // seconds
#define TEST_UNIX_MS ((uint64_t)TEST_UNIX * 1000)

void test_node_make(struct test_node *, uint32_t number);
// Another key, a later sequence.
void test_node_sign(struct test_node *, uint32_t key, uint64_t sequence);

// An entry to put into frames; change it freely before.
struct test_entry {
	Node__PeerAnnouncement m;
	char addr[512];
	char *models[4];
	ProtobufCMessageUnknownField unknown[2];
	uint8_t key_field[64], posture_field[64];
};
void test_entry_make(struct test_entry *, const struct test_node *,
    uint32_t role, const char *model);
void test_entry_address(
    struct test_entry *, const uint8_t *id, const char *address);
void test_entry_sign(struct test_entry *, const struct test_node *);
void test_entry_key(struct test_entry *, const uint8_t *key);
// Field 37 as these bytes.
void test_entry_posture(struct test_entry *, const void *bytes, size_t len);

// A frame of these entries; free it.
uint8_t *test_frame(const uint8_t *sender, struct test_entry *const *entries,
    size_t n, size_t *ret_len);

struct test_action {
	struct gossip_action a;
	uint8_t *frame; // owned
	char text[80], detail[80];
};

struct test_rig {
	struct test_node node;
	struct gossip *g;
	uint64_t now;
	struct test_action actions[4096];
	size_t n_actions;
};

void test_rig_new(struct test_rig *, uint32_t number);
void test_rig_free(struct test_rig *);
void test_rig_self(
    struct test_rig *, bool is_host, const char *model, bool is_client);
// Forget what was collected; drain appends.
void test_rig_clear(struct test_rig *);
void test_rig_drain(struct test_rig *);
void test_rig_tick(struct test_rig *, uint64_t ms);
// The last action of this kind (of this id), or NULL.
const struct test_action *test_rig_find(
    const struct test_rig *, enum gossip_action_kind, const uint8_t *id);
size_t test_rig_count(const struct test_rig *, enum gossip_action_kind);
void test_rig_up(struct test_rig *, const struct test_node *, bool outbound);
// An inbound exchange of these entries; true: it was answered.
bool test_rig_exchange(struct test_rig *, const struct test_node *sender,
    struct test_entry *const *entries, size_t n);
bool test_rig_frame(struct test_rig *, const uint8_t *id, uint8_t kind,
    const uint8_t *frame, size_t len);

json_t *test_vectors(const char *file);
size_t test_unhex(const json_t *hex, uint8_t **ret); // free it

#endif
