// Golden vectors of gossip and control frames through the core that the
// daemon runs, and the bounds of the decoder.
#include "tests/unit/gossip_support.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct test_rig rig;

static void
named_id(json_t *doc, const char *name, uint8_t ret[static ENDPOINT_ID_LEN])
{
	uint8_t *id;

	assert_int_equal(
	    test_unhex(
		json_object_get(json_object_get(doc, "endpoint_ids"), name),
		&id),
	    ENDPOINT_ID_LEN);
	memcpy(ret, id, ENDPOINT_ID_LEN);
	free(id);
}

// The bytes of one direction of a stream, as a daemon meets them.
static bool
feed_stream(const uint8_t *connection, const uint8_t *bytes, size_t len)
{
	size_t body;

	assert_true(len >= 1);
	if (node_frame_length(bytes + 1, len - 1, true, NODE_FRAME_MAX, &body) <
	    0)
		return false;
	gossip_on_conn_up(rig.g, rig.now, connection, NULL, false);
	test_rig_drain(&rig);
	return test_rig_frame(
	    &rig, connection, bytes[0], bytes + 1 + NODE_LENGTH_LEN, body);
}

static bool
feed_vector(json_t *vector, const uint8_t *fallback)
{
	json_t *hex = json_object_get(vector, "stream_bytes_hex");
	json_t *of = json_object_get(vector, "connection_endpoint_id_hex");
	uint8_t *bytes, *id = NULL;
	size_t len = test_unhex(hex, &bytes);
	bool answered;

	if (of != NULL)
		assert_int_equal(test_unhex(of, &id), ENDPOINT_ID_LEN);
	answered = feed_stream(id != NULL ? id : fallback, bytes, len);
	free(bytes);
	free(id);
	return answered;
}

static void
begin(void)
{
	test_rig_new(&rig, 77);
	test_rig_self(&rig, true, "own-model", false);
}

static void
check_routable(const struct gossip_peer *p, json_t *names)
{
	assert_int_equal(p->n_models, json_array_size(names));
	for (size_t i = 0; i < p->n_models; i++)
		assert_string_equal(p->models[i].name,
		    json_string_value(json_array_get(names, i)));
}

static void
check_port(json_t *vector, const uint8_t *host, json_int_t port)
{
	struct node_gossip *frame;
	struct node_entry e;
	const char *reason;
	uint8_t *bytes;
	size_t len = test_unhex(json_object_get(vector, "frame_hex"), &bytes);

	assert_int_equal(
	    node_gossip_decode(&frame, bytes, len, host, &reason), 0);
	node_gossip_entry(frame, 0, &e);
	assert_int_equal(e.http_port, port);
	node_gossip_free(frame);
	free(bytes);
}

static void
check_expectation(json_t *vector, json_t *expect, const uint8_t *host)
{
	const char *role = json_string_value(json_object_get(expect, "role"));
	json_t *addrs = json_object_get(expect, "addrs");
	json_t *routable = json_object_get(expect, "routable");
	json_t *port = json_object_get(expect, "http_port");
	struct gossip_peer p;

	assert_true(gossip_find_peer(rig.g, host, &p));
	assert_true(p.admitted);
	if (role != NULL)
		assert_string_equal(role, "Worker");
	if (role != NULL)
		assert_int_equal(p.role, GOSSIP_WORKER);
	if (addrs != NULL)
		assert_int_equal(p.n_addrs, json_array_size(addrs));
	if (routable != NULL)
		check_routable(&p, routable);
	if (port != NULL)
		check_port(vector, host, json_integer_value(port));
}

static void
frames_of_the_network_are_accepted(void **state)
{
	json_t *doc = test_vectors("e_gossip_frame.json"), *vector;
	uint8_t host[ENDPOINT_ID_LEN], unknown[ENDPOINT_ID_LEN];
	size_t i;

	(void)state;
	named_id(doc, "HOST", host);
	named_id(doc, "UNKNOWN", unknown);
	json_array_foreach(json_object_get(doc, "accept"), i, vector)
	{
		const char *name =
		    json_string_value(json_object_get(vector, "name"));

		begin();
		assert_true(feed_vector(vector, host));
		if (strcmp(name, "address_id_differs") == 0) {
			// Ours: the entry is dropped, nobody is learned.
			assert_int_equal(gossip_n_peers(rig.g), 0);
			assert_false(gossip_is_admitted(rig.g, unknown));
		} else {
			check_expectation(vector,
			    json_array_get(
				json_object_get(vector, "expect"), 0),
			    host);
		}
		test_rig_free(&rig);
	}
	assert_true(i >= 9);
	json_decref(doc);
}

static void
broken_frames_are_refused_as_a_whole(void **state)
{
	json_t *doc = test_vectors("e_gossip_frame.json"), *vector;
	uint8_t host[ENDPOINT_ID_LEN];
	size_t i;

	(void)state;
	named_id(doc, "HOST", host);
	json_array_foreach(json_object_get(doc, "reject"), i, vector)
	{
		begin();
		assert_false(feed_vector(vector, host));
		assert_int_equal(gossip_n_peers(rig.g), 0);
		test_rig_free(&rig);
	}
	assert_true(i >= 9);
	json_decref(doc);
}

static void
every_release_of_the_network_is_understood(void **state)
{
	static const struct {
		const char *name;
		enum gossip_dialect dialect;
		bool has_posture;
	} expected[] = {
		{ "newest_main_announcement", GOSSIP_DIALECT_PLAIN, false },
		{ "attestation_privacy_announcement", GOSSIP_DIALECT_PLAIN,
		    false },
		{ "pr433_macos_posture", GOSSIP_DIALECT_SEALED, true },
		{ "pr433_linux_posture", GOSSIP_DIALECT_PLAIN, true },
		{ "pr433_key_only", GOSSIP_DIALECT_SEALED, false },
		{ "old_release_bool_36", GOSSIP_DIALECT_PLAIN, false },
	};
	json_t *doc = test_vectors("e_gossip_frame.json"), *vector;
	uint8_t host[ENDPOINT_ID_LEN], *bytes;
	struct gossip_peer p;
	size_t i, len;

	(void)state;
	named_id(doc, "HOST", host);
	json_array_foreach(json_object_get(doc, "cross_version"), i, vector)
	{
		begin();
		gossip_on_conn_up(rig.g, rig.now, host, NULL, false);
		len = test_unhex(json_object_get(vector, "frame_hex"), &bytes);
		assert_string_equal(expected[i].name,
		    json_string_value(json_object_get(vector, "name")));
		assert_true(test_rig_frame(
		    &rig, host, GOSSIP_FRAME_EXCHANGE, bytes, len));
		assert_true(gossip_find_peer(rig.g, host, &p));
		assert_int_equal(p.dialect, expected[i].dialect);
		assert_int_equal(p.has_posture, expected[i].has_posture);
		assert_int_equal(p.has_unsigned_key,
		    expected[i].dialect == GOSSIP_DIALECT_SEALED);
		free(bytes);
		test_rig_free(&rig);
	}
	assert_int_equal(i, N_ELEMENTS(expected));
	json_decref(doc);
}

static bool
was_complained_of(void)
{
	for (size_t i = 0; i < rig.n_actions; i++)
		if (strcmp(rig.actions[i].text, "frame-refused") == 0)
			return true;
	return false;
}

static void
control_frames_are_judged_as_the_vectors_say(void **state)
{
	json_t *doc = test_vectors("g_control_frames.json"), *vector;
	json_t *e = test_vectors("e_gossip_frame.json");
	uint8_t host[ENDPOINT_ID_LEN];
	const char *expected, *name;
	bool answered;
	size_t i;

	(void)state;
	named_id(e, "HOST", host);
	json_array_foreach(json_object_get(doc, "frames"), i, vector)
	{
		begin();
		expected =
		    json_string_value(json_object_get(vector, "expected"));
		name = json_string_value(json_object_get(vector, "name"));
		answered = feed_vector(vector, host);
		// Only route requests are answered.
		assert_int_equal(answered,
		    strncmp(name, "route", 5) == 0 &&
			strcmp(expected, "accept") == 0);
		assert_int_equal(
		    was_complained_of(), strncmp(expected, "reject", 6) == 0);
		test_rig_free(&rig);
	}
	assert_true(i >= 11);
	json_decref(doc);
	json_decref(e);
}

// Node HOST with one model, a host it knows, and a mesh id given.
static void
the_route_table_is_the_golden_one(void **state)
{
	json_t *doc = test_vectors("g_control_frames.json"), *vector;
	json_t *e = test_vectors("e_gossip_frame.json");
	struct gossip_config config = { .seed = 1,
		.mesh_id = "00112233445566778899aabbccddeeff" };
	struct gossip_self self = { .is_host = true, .version = "" };
	struct gossip_model model = { .name = "Qwen3-8B-Q4_K_M" };
	const struct test_action *answer;
	struct test_node worker = { 0 };
	struct test_entry entry, *entries[] = { &entry };
	uint8_t *request, *reply;
	size_t i, request_len, reply_len;

	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.now = 1;
	named_id(e, "HOST", config.endpoint_id);
	named_id(e, "WORKER", worker.id);
	assert_int_equal(gossip_new(&rig.g, &config), 0);
	self.models = &model;
	self.n_models = 1;
	gossip_on_self(rig.g, rig.now, &self);
	test_rig_up(&rig, &worker, false);
	test_entry_make(&entry, &worker, 2, "M2");
	assert_true(test_rig_exchange(&rig, &worker, entries, 1));
	json_array_foreach(json_object_get(doc, "frames"), i, vector)
	{
		if (json_object_get(vector, "reply_bytes_hex") == NULL)
			continue;
		request_len = test_unhex(
		    json_object_get(vector, "stream_bytes_hex"), &request);
		reply_len = test_unhex(
		    json_object_get(vector, "reply_bytes_hex"), &reply);
		assert_true(test_rig_frame(
		    &rig, worker.id, request[0], request + 5, request_len - 5));
		answer = test_rig_find(&rig, GOSSIP_ANSWER, worker.id);
		assert_int_equal(answer->a.frame_len, reply_len);
		assert_memory_equal(answer->frame, reply, reply_len);
		free(request);
		free(reply);
	}
	test_rig_free(&rig);
	json_decref(doc);
	json_decref(e);
}

static void
a_frame_is_complete_only_with_all_its_bytes(void **state)
{
	const uint8_t exact[] = { 0, 0, 0x80, 0, 1 };
	const uint8_t over[] = { 1, 0, 0x80, 0 };
	const uint8_t two[] = { 2, 0, 0, 0, 'a', 'b', 'c' };
	size_t len = 99;

	(void)state;
	for (size_t n = 0; n < 6; n++) {
		assert_int_equal(
		    node_frame_length(two, n, false, NODE_FRAME_MAX, &len),
		    -EAGAIN);
		assert_int_equal(
		    node_frame_length(two, n, true, NODE_FRAME_MAX, &len),
		    -EBADMSG);
	}
	assert_int_equal(
	    node_frame_length(two, 6, false, NODE_FRAME_MAX, &len), 0);
	assert_int_equal(len, 2);
	assert_int_equal(
	    node_frame_length(exact, 5, false, NODE_FRAME_MAX, &len), -EAGAIN);
	assert_int_equal(
	    node_frame_length(over, 4, false, NODE_FRAME_MAX, &len), -EMSGSIZE);
}

static void
field_37_never_loses_a_frame(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool is_posture;
		uint32_t bits;
	} cases[] = {
		{ "\x10\x01\x20\x01", 4, true, 10 }, // Linux posture
		{ "\x08\x01\x10\x01\x18\x01\x20\x01\x2a\x02hh", 12, true, 15 },
		{ "\x0a\x0dskippy-stage\x00\x10\x01", 17, false, 0 },
		{ "\x0a\x03xyz\x10\x01\x1a\x01q", 10, false, 0 },
		{ "", 0, true, 0 },
		{ "\xff\xff", 2, false, 0 },
		{ "\x08", 1, false, 0 },
	};
	struct test_node node;
	struct test_entry entry, *entries[] = { &entry };
	struct gossip_peer p;

	(void)state;
	test_node_make(&node, 5);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		begin();
		test_rig_up(&rig, &node, false);
		test_entry_make(&entry, &node, 1, NULL);
		test_entry_key(&entry, node.key);
		test_entry_posture(&entry, cases[i].bytes, cases[i].len);
		assert_true(test_rig_exchange(&rig, &node, entries, 1));
		assert_true(gossip_find_peer(rig.g, node.id, &p));
		assert_int_equal(p.has_posture, cases[i].is_posture);
		assert_int_equal(p.posture, cases[i].bits);
		test_rig_free(&rig);
	}
}

static void
text_that_is_not_utf8_is_refused_wherever_it_is(void **state)
{
	static const char *const bad[] = { "\x80", "\xc0\xaf", "\xc1\x81",
		"\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "a\xff",
		"\xc3" };
	static const char *const good[] = { "", "a", "\xc3\xa9", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf" };
	struct test_node node;
	struct test_entry entry, *entries[] = { &entry };
	Node__GpuInfo gpu = NODE__GPU_INFO__INIT, *gpus[] = { &gpu };
	Node__HardwareInfo hw = NODE__HARDWARE_INFO__INIT;

	(void)state;
	test_node_make(&node, 5);
	test_entry_make(&entry, &node, 1, NULL);
	begin();
	test_rig_up(&rig, &node, false);
	hw.n_gpus = 1;
	hw.gpus = gpus;
	entry.m.hardware = &hw;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		rig.now += 5000;
		gpu.name = (char *)(uintptr_t)bad[i];
		assert_false(test_rig_exchange(&rig, &node, entries, 1));
		gpu.name = NULL;
		entry.m.version = (char *)(uintptr_t)bad[i];
		assert_false(test_rig_exchange(&rig, &node, entries, 1));
		entry.m.version = NULL;
	}
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		rig.now += 5000;
		gpu.name = (char *)(uintptr_t)good[i];
		assert_true(test_rig_exchange(&rig, &node, entries, 1));
	}
	test_rig_free(&rig);
}

static void
ten_thousand_models_are_cut_and_lose_nothing_else(void **state)
{
	enum { MANY = 10000 };
	struct test_node node;
	struct test_entry entry, *entries[] = { &entry };
	struct gossip_peer p;
	static char names[MANY][16];
	static char *models[MANY];

	(void)state;
	test_node_make(&node, 5);
	test_entry_make(&entry, &node, 2, NULL);
	for (size_t i = 0; i < MANY; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "m%zu", i);
		models[i] = names[i];
	}
	entry.m.n_hosted_models = MANY;
	entry.m.hosted_models = models;
	begin();
	test_rig_up(&rig, &node, false);
	assert_true(test_rig_exchange(&rig, &node, entries, 1));
	assert_true(gossip_find_peer(rig.g, node.id, &p));
	assert_int_equal(p.n_models, PEER_MODELS_MAX);
	assert_string_equal(p.models[PEER_MODELS_MAX - 1].name, "m255");
	test_rig_free(&rig);
}

// The smallest entries, so that decoding needs the most memory per byte.
static void
a_frame_of_8_mib_is_refused_cleanly(void **state)
{
	struct test_node node;
	uint8_t *frame = calloc(1, NODE_FRAME_MAX);
	size_t n = 0;

	(void)state;
	assert_non_null(frame);
	test_node_make(&node, 5);
	frame[n++] = 8;
	frame[n++] = 1;
	frame[n++] = 0x1a;
	frame[n++] = 32;
	memcpy(frame + n, node.id, 32);
	n += 32;
	while (n + 36 <= NODE_FRAME_MAX) {
		memcpy(frame + n, "\x12\x22\x0a\x20", 4);
		memcpy(frame + n + 4, node.id, 32);
		n += 36;
	}
	begin();
	test_rig_up(&rig, &node, false);
	assert_false(
	    test_rig_frame(&rig, node.id, GOSSIP_FRAME_EXCHANGE, frame, n));
	// Unknown fields of two bytes, four million of them.
	for (n = 36; n + 2 <= NODE_FRAME_MAX; n += 2)
		memcpy(frame + n, "\x20\x01", 2);
	assert_false(
	    test_rig_frame(&rig, node.id, GOSSIP_FRAME_EXCHANGE, frame, n));
	assert_int_equal(gossip_n_peers(rig.g), 0);
	test_rig_free(&rig);
	free(frame);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_the_network_are_accepted),
		cmocka_unit_test(broken_frames_are_refused_as_a_whole),
		cmocka_unit_test(every_release_of_the_network_is_understood),
		cmocka_unit_test(control_frames_are_judged_as_the_vectors_say),
		cmocka_unit_test(the_route_table_is_the_golden_one),
		cmocka_unit_test(a_frame_is_complete_only_with_all_its_bytes),
		cmocka_unit_test(field_37_never_loses_a_frame),
		cmocka_unit_test(
		    text_that_is_not_utf8_is_refused_wherever_it_is),
		cmocka_unit_test(
		    ten_thousand_models_are_cut_and_lose_nothing_else),
		cmocka_unit_test(a_frame_of_8_mib_is_refused_cleanly),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
