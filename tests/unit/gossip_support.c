// Shared by the tests of the gossip core; see the header.
#include "tests/unit/gossip_support.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

void
test_node_sign(struct test_node *n, uint32_t key, uint64_t sequence)
{
	uint8_t secret[32] = { 1 }, sig[SIGNATURE_LEN];
	uint8_t message[ANNOUNCEMENT_SIGNED_LEN];

	memcpy(secret + 4, &key, sizeof(key));
	crypto_scalarmult_base(n->key, secret);
	memcpy(n->a.inference_key, n->key, sizeof(n->key));
	n->a.sequence = sequence;
	n->a.not_before_ms = TEST_UNIX_MS - 1000;
	n->a.not_after_ms = TEST_UNIX_MS + 48 * 3600 * 1000u;
	announcement_to_sign(&n->a, n->id, message);
	crypto_sign_detached(sig, NULL, message, sizeof(message), n->secret);
	announcement_encode(&n->a, sig, n->announcement);
}

void
test_node_make(struct test_node *n, uint32_t number)
{
	uint8_t seed[crypto_sign_SEEDBYTES] = { 0x11 };

	memset(n, 0, sizeof(*n));
	memcpy(seed + 4, &number, sizeof(number));
	crypto_sign_seed_keypair(n->id, n->secret, seed);
	test_node_sign(n, number, 1);
}

void
test_entry_make(struct test_entry *e, const struct test_node *n, uint32_t role,
    const char *model)
{
	char address[40];

	memset(e, 0, sizeof(*e));
	node__peer_announcement__init(&e->m);
	e->m.has_endpoint_id = 1;
	e->m.endpoint_id.data = (uint8_t *)(uintptr_t)n->id;
	e->m.endpoint_id.len = ENDPOINT_ID_LEN;
	e->m.has_role = 1;
	e->m.role = role;
	e->m.has_http_port = role == 2;
	e->m.http_port = 9337;
	e->m.has_hosted_models_known = e->m.hosted_models_known = 1;
	if (model != NULL) {
		e->models[0] = (char *)(uintptr_t)model;
		e->m.n_hosted_models = 1;
		e->m.hosted_models = e->models;
	}
	(void)snprintf(address, sizeof(address), "10.%u.%u.%u:4000", n->id[0],
	    n->id[1], n->id[2]);
	test_entry_address(e, n->id, address);
}

void
test_entry_address(struct test_entry *e, const uint8_t *id, const char *address)
{
	char hex[65];

	sodium_bin2hex(hex, sizeof(hex), id, ENDPOINT_ID_LEN);
	(void)snprintf(e->addr, sizeof(e->addr),
	    "{\"id\":\"%s\",\"addrs\":[{\"Ip\":\"%s\"}]}", hex, address);
	e->m.has_serialized_addr = 1;
	e->m.serialized_addr.data = (uint8_t *)e->addr;
	e->m.serialized_addr.len = strlen(e->addr);
}

void
test_entry_sign(struct test_entry *e, const struct test_node *n)
{
	e->m.has_signed_announcement = 1;
	e->m.signed_announcement.data = (uint8_t *)(uintptr_t)n->announcement;
	e->m.signed_announcement.len = ANNOUNCEMENT_LEN;
}

static void
add_unknown(struct test_entry *e, uint32_t tag, uint8_t *field, size_t len)
{
	ProtobufCMessageUnknownField *f =
	    &e->unknown[e->m.base.n_unknown_fields++];

	field[0] = (uint8_t)len;
	f->tag = tag;
	f->wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
	f->len = len + 1;
	f->data = field;
	e->m.base.unknown_fields = e->unknown;
}

void
test_entry_key(struct test_entry *e, const uint8_t *key)
{
	sodium_bin2base64((char *)e->key_field + 1, sizeof(e->key_field) - 1,
	    key, INFERENCE_KEY_LEN, sodium_base64_VARIANT_ORIGINAL);
	add_unknown(e, 36, e->key_field, 44);
}

void
test_entry_posture(struct test_entry *e, const void *bytes, size_t len)
{
	assert_true(len < sizeof(e->posture_field));
	memcpy(e->posture_field + 1, bytes, len);
	add_unknown(e, 37, e->posture_field, len);
}

uint8_t *
test_frame(const uint8_t *sender, struct test_entry *const *entries, size_t n,
    size_t *ret_len)
{
	Node__GossipFrame f = NODE__GOSSIP_FRAME__INIT;
	uint8_t *bytes;

	f.has_gen = 1;
	f.gen = 1;
	f.has_sender_id = 1;
	f.sender_id.data = (uint8_t *)(uintptr_t)sender;
	f.sender_id.len = ENDPOINT_ID_LEN;
	f.n_peers = n;
	f.peers = calloc(n + 1, sizeof(f.peers[0]));
	for (size_t i = 0; i < n; i++)
		f.peers[i] = &entries[i]->m;
	*ret_len = node__gossip_frame__get_packed_size(&f);
	bytes = malloc(*ret_len);
	node__gossip_frame__pack(&f, bytes);
	free(f.peers);
	return bytes;
}

void
test_rig_new(struct test_rig *rig, uint32_t number)
{
	struct gossip_config config = { .seed = number };

	memset(rig, 0, sizeof(*rig));
	rig->now = 1000;
	test_node_make(&rig->node, number);
	memcpy(config.endpoint_id, rig->node.id, ENDPOINT_ID_LEN);
	assert_int_equal(gossip_new(&rig->g, &config), 0);
}

void
test_rig_self(
    struct test_rig *rig, bool is_host, const char *model, bool is_client)
{
	struct gossip_model m = { .context_length = 4096 };
	struct address addr;
	struct gossip_self self = { .is_host = is_host,
		.is_client = is_client,
		.api_port = 9337,
		.models = &m,
		.n_models = model != NULL,
		.addrs = &addr,
		.n_addrs = 1,
		.has_announcement = true,
		.version = TEST_VERSION };

	if (model != NULL)
		(void)snprintf(m.name, sizeof(m.name), "%s", model);
	assert_int_equal(addr_parse("192.0.2.1:9337", &addr), 0);
	memcpy(self.announcement, rig->node.announcement, ANNOUNCEMENT_LEN);
	memcpy(self.inference_key, rig->node.key, INFERENCE_KEY_LEN);
	gossip_on_self(rig->g, rig->now, &self);
	test_rig_drain(rig);
}

void
test_rig_clear(struct test_rig *rig)
{
	for (size_t i = 0; i < rig->n_actions; i++)
		free(rig->actions[i].frame);
	rig->n_actions = 0;
}

void
test_rig_free(struct test_rig *rig)
{
	test_rig_clear(rig);
	gossip_free(rig->g);
}

void
test_rig_drain(struct test_rig *rig)
{
	struct gossip_action a;
	struct test_action *t;

	while (gossip_next_action(rig->g, &a)) {
		assert_true(rig->n_actions < N_ELEMENTS(rig->actions));
		t = &rig->actions[rig->n_actions++];
		memset(t, 0, sizeof(*t));
		t->a = a;
		if (a.frame != NULL) {
			assert_true(a.frame_len >= NODE_LENGTH_LEN);
			t->frame = malloc(a.frame_len);
			memcpy(t->frame, a.frame, a.frame_len);
		}
		if (a.text != NULL)
			(void)snprintf(t->text, sizeof(t->text), "%s", a.text);
		if (a.detail != NULL)
			(void)snprintf(
			    t->detail, sizeof(t->detail), "%s", a.detail);
	}
}

void
test_rig_tick(struct test_rig *rig, uint64_t ms)
{
	uint64_t end = rig->now + ms;

	while (rig->now < end) {
		rig->now += end - rig->now < 1000 ? end - rig->now : 1000;
		gossip_on_tick(rig->g, rig->now);
		test_rig_drain(rig);
	}
}

const struct test_action *
test_rig_find(
    const struct test_rig *rig, enum gossip_action_kind kind, const uint8_t *id)
{
	for (size_t i = rig->n_actions; i > 0; i--) {
		const struct test_action *t = &rig->actions[i - 1];
		if (t->a.kind == kind &&
		    (id == NULL || memcmp(t->a.id, id, ENDPOINT_ID_LEN) == 0))
			return t;
	}
	return NULL;
}

size_t
test_rig_count(const struct test_rig *rig, enum gossip_action_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < rig->n_actions; i++)
		n += rig->actions[i].a.kind == kind;
	return n;
}

void
test_rig_up(struct test_rig *rig, const struct test_node *n, bool outbound)
{
	struct address remote;

	assert_int_equal(addr_parse("203.0.113.9:999", &remote), 0);
	gossip_on_conn_up(rig->g, rig->now, n->id, &remote, outbound);
	test_rig_drain(rig);
}

bool
test_rig_frame(struct test_rig *rig, const uint8_t *id, uint8_t kind,
    const uint8_t *frame, size_t len)
{
	size_t before = rig->n_actions, answers = 0, refusals = 0;
	int stream;

	gossip_on_frame(rig->g, rig->now, TEST_UNIX_MS + rig->now, id, kind,
	    &stream, frame, len);
	test_rig_drain(rig);
	for (size_t i = before; i < rig->n_actions; i++) {
		if (rig->actions[i].a.stream != &stream)
			continue;
		answers += rig->actions[i].a.kind == GOSSIP_ANSWER;
		refusals += rig->actions[i].a.kind == GOSSIP_REFUSE;
	}
	assert_int_equal(answers + refusals, 1);
	return answers == 1;
}

bool
test_rig_exchange(struct test_rig *rig, const struct test_node *sender,
    struct test_entry *const *entries, size_t n)
{
	size_t len;
	uint8_t *frame = test_frame(sender->id, entries, n, &len);
	bool answered =
	    test_rig_frame(rig, sender->id, GOSSIP_FRAME_EXCHANGE, frame, len);

	free(frame);
	return answered;
}

json_t *
test_vectors(const char *file)
{
	char path[512];
	json_error_t error;
	json_t *doc;

	(void)snprintf(path, sizeof(path), "%s/%s", TEST_DATA, file);
	doc = json_load_file(path, 0, &error);
	assert_non_null(doc);
	return doc;
}

size_t
test_unhex(const json_t *hex, uint8_t **ret)
{
	const char *text = json_string_value(hex);
	size_t len;

	assert_non_null(text);
	*ret = malloc(strlen(text) / 2 + 1);
	assert_int_equal(sodium_hex2bin(*ret, strlen(text) / 2 + 1, text,
			     strlen(text), NULL, &len, NULL),
	    0);
	return len;
}
