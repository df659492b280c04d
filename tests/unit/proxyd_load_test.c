// What a host says of its load: read strictly, forgotten in time, and weighed
// in the choice of a host, where a lie counts for nobody but the liar.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "proxyd/candidates.h"
#include "proxyd/load.h"
#include "proxyd/proxyd.h"
#include "proxyd/request.h"

// ---- the field

static bool
parse(const char *fields, struct load *ret)
{
	char text[512];
	struct http_response response;
	struct http_refusal why;
	int n = snprintf(text, sizeof(text),
	    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%s\r\n", fields);

	assert_int_equal(http_response_parse((uint8_t *)text, (size_t)n, false,
			     &response, &why),
	    0);
	return load_parse(&response.fields, ret);
}

static void
the_field_has_one_form(void **state)
{
	static const char *const bad[] = { "", "1", "1/2", "1/2 ", "/2 3",
		"1/ 3", "1/2  3", "1 /2 3", "1/2 3 4", "1/2 3x", "x1/2 3",
		"-1/2 3", "+1/2 3", "01/2 3", "1/02 3", "1/2 03", "00/2 3",
		"10000/2 3", "1/10000 3", "1/2 10000", "1/0 3", "0/0 0",
		"1/2/3", "1/2,3", "1/2\t3", "1.0/2 3", "0x1/2 3",
		"99999999999999999999/2 3" };
	struct load load = { 7, 8, 9 };
	char line[128];

	(void)state;
	assert_false(parse("", &load));
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		(void)snprintf(
		    line, sizeof(line), LOAD_FIELD ": %s\r\n", bad[i]);
		if (parse(line, &load))
			fail_msg("%s", bad[i]);
	}
	assert_false(
	    parse("X-Meshllm-Load: 1/2 3\r\nx-meshllm-load: 1/2 3\r\n", &load));
	assert_int_equal(load.running, 7);
	assert_int_equal(load.limit, 8);
	assert_int_equal(load.queued, 9);
	assert_true(parse("x-meshllm-load:0/1 0\r\n", &load));
	assert_int_equal(load.running, 0);
	assert_int_equal(load.limit, 1);
	assert_true(parse("X-Meshllm-Load: 9999/9999 9999\r\n", &load));
	assert_int_equal(load.queued, LOAD_MAX);
}

static void
what_is_written_can_be_read(void **state)
{
	static const struct load all[] = { { 0, 1, 0 }, { 12, 4096, 7 },
		{ 10000, 65536, UINT32_MAX } };
	char text[LOAD_TEXT_MAX], line[64];
	struct load load;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(all); i++) {
		load_write(&all[i], text);
		(void)snprintf(line, sizeof(line), LOAD_FIELD ": %s\r\n", text);
		assert_true(parse(line, &load));
		assert_int_equal(load.running,
		    all[i].running < LOAD_MAX ? all[i].running : LOAD_MAX);
	}
	assert_string_equal(text, "9999/9999 9999");
}

static void
half_is_forgotten_each_time(void **state)
{
	struct load_heard heard = { { 6, 4, 2 }, 1000 };
	unsigned before = 8, now;

	(void)state;
	assert_int_equal(load_of_others(NULL, 1000), 0);
	assert_int_equal(load_of_others(&heard, 1000), 8);
	assert_int_equal(load_of_others(&heard, 1000 + LOAD_HALF_MS), 4);
	assert_int_equal(load_of_others(&heard, 1000 + 2 * LOAD_HALF_MS), 2);
	for (uint64_t ms = 0; ms < 2 * LOAD_OLD_MS; ms += 100) {
		now = load_of_others(&heard, 1000 + ms);
		assert_true(now <= before);
		before = now;
	}
	assert_int_equal(before, 0);
	// One is one for the first half.
	heard.load = (struct load){ 1, 1, 0 };
	assert_int_equal(load_of_others(&heard, 1000 + LOAD_HALF_MS), 1);
	assert_int_equal(load_of_others(&heard, 1500 + LOAD_HALF_MS), 0);
	assert_true(load_is_full(&heard, 0, 1000));
	assert_false(load_is_full(&heard, 0, 1500 + LOAD_HALF_MS));
	assert_true(load_is_full(&heard, 1, 1500 + LOAD_HALF_MS));
	assert_false(load_is_full(&heard, 1, 1000 + LOAD_OLD_MS));
	assert_false(load_is_full(NULL, 1000, 1000));
}

// ---- the choice

enum { HOSTS_MAX = 3 };

struct rig {
	struct proxyd *d;
	struct proxyd_config config;
	uint8_t ids[HOSTS_MAX][ENDPOINT_ID_LEN];
	uint8_t key[INFERENCE_KEY_LEN];
};

// Tell of a host with two models.
static void
tell(struct rig *rig, size_t i, bool connected)
{
	static const char *const names[] = { "m", "other" };
	Ipc__PeerUpdate u = IPC__PEER_UPDATE__INIT;
	Ipc__PeerModels part = IPC__PEER_MODELS__INIT;
	Ipc__PeerModels__Model models[2], *list[2];
	struct peer *peer = NULL;
	const char *why = NULL;

	u.endpoint_id = (ProtobufCBinaryData){ ENDPOINT_ID_LEN, rig->ids[i] };
	u.role = IPC__PEER_ROLE__PEER_HOST;
	u.dialect = IPC__DIALECT__DIALECT_MESHLLM;
	u.connected = connected;
	u.has_unsigned_key = true;
	u.unsigned_key = (ProtobufCBinaryData){ sizeof(rig->key), rig->key };
	part.n_models = N_ELEMENTS(models);
	u.n_models = N_ELEMENTS(models);
	for (size_t k = 0; k < N_ELEMENTS(models); k++) {
		ipc__peer_models__model__init(&models[k]);
		models[k].name = (char *)(uintptr_t)names[k];
		list[k] = &models[k];
	}
	part.endpoint_id = u.endpoint_id;
	part.models = list;
	part.final = true;
	assert_int_equal(
	    peers_update_begin(&rig->d->peers, &u, 1800000000000, &why), 0);
	assert_int_equal(peers_update_models(&rig->d->peers, &part, &peer), 0);
}

static void
rig_start(struct rig *rig, size_t n)
{
	uint8_t secret[32];

	memset(rig, 0, sizeof(*rig));
	rig->config.unsigned_allowed = true;
	rig->d = calloc(1, sizeof(*rig->d));
	assert_non_null(rig->d);
	rig->d->config = &rig->config;
	rig->d->limits.host_requests = 1000;
	peers_init(&rig->d->peers);
	assert_int_equal(crypto_box_keypair(rig->key, secret), 0);
	for (size_t i = 0; i < n; i++) {
		rig->ids[i][0] = (uint8_t)(i + 1);
		tell(rig, i, true);
	}
}

static void
rig_stop(struct rig *rig)
{
	peers_done(&rig->d->peers);
	free(rig->d);
}

static struct candidates
choose_for(struct rig *rig, const char *model, const char *body)
{
	struct candidates_ask ask = { .model = model,
		.explain = true,
		.has_session = true,
		.body = slice_of(body) };
	struct candidates ret;
	struct failure failure;

	candidates_find(rig->d, &ask, &ret, &failure);
	assert_true(ret.n > 0);
	return ret;
}

static struct candidates
choose(struct rig *rig)
{
	return choose_for(rig, "m", "{\"user\":\"u\"}");
}

static struct peer *
home_of(struct rig *rig)
{
	struct candidates c = choose(rig);

	assert_string_equal(c.how, "session");
	return peers_find(&rig->d->peers, c.at[0].peer_id);
}

static bool
is_at(const struct candidates *c, const struct peer *peer)
{
	return memcmp(c->at[0].peer_id, peer->id, ENDPOINT_ID_LEN) == 0;
}

static void
hear(struct peer *peer, unsigned running, unsigned limit, unsigned queued)
{
	struct load load = { running, limit, queued };

	peer_hear_load(peer, "m", &load, clock_mono_ms());
}

// "ID=how load=... flags", of this host.
static bool
says(const struct candidates *c, const struct peer *peer, const char *text)
{
	char id[2 * ENDPOINT_ID_SHORT_LEN + 1], part[200];
	static const char unsigned_key[] = " key-not-signed";
	const char *at;
	char *plain;

	hex_endpoint_id_short(peer->id, id);
	at = strstr(c->route, id);
	assert_non_null(at);
	(void)snprintf(part, sizeof(part), "%.*s", (int)strcspn(at, ";"), at);
	// All of these hosts have that.
	if ((plain = strstr(part, unsigned_key)) != NULL)
		memmove(plain, plain + strlen(unsigned_key),
		    strlen(plain + strlen(unsigned_key)) + 1);
	return strstr(part, text) != NULL;
}

static void
a_session_stays_when_others_make_a_small_difference(void **state)
{
	struct rig rig;
	struct peer *home;
	struct candidates c;

	(void)state;
	rig_start(&rig, 2);
	home = home_of(&rig);
	hear(home, 1, 4, 0);
	c = choose(&rig);
	assert_true(is_at(&c, home));
	assert_true(says(&c, home, "=session load=1 others=1"));
	rig_stop(&rig);
}

static void
a_session_leaves_a_host_that_others_keep_busy(void **state)
{
	static const struct {
		unsigned own, running, limit, queued;
		const char *text;
	} table[] = {
		{ 0, 5, 4096, 0, "=next load=5 others=5 above-average" },
		{ 0, 2, 4096, 3, "=next load=5 others=5 above-average" },
		{ 2, 3, 4096, 0, "=next load=5 others=3 above-average" },
		{ 0, 1, 1, 0, "=next load=1 others=1 busy" },
		{ 1, 0, 1, 0, "=next load=1 busy" },
		{ 1, 1, 2, 0, "=next load=2 others=1 busy" },
	};
	struct rig rig;
	struct peer *home;
	struct candidates c;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		rig_start(&rig, 2);
		home = home_of(&rig);
		hear(home, table[i].running, table[i].limit, table[i].queued);
		home->in_flight = table[i].own;
		c = choose(&rig);
		assert_string_equal(c.how, "load");
		assert_false(is_at(&c, home));
		if (!says(&c, home, table[i].text))
			fail_msg("%zu: %s", i, c.route);
		rig_stop(&rig);
	}
}

static void
a_request_without_a_session_goes_where_least_is_to_do(void **state)
{
	struct rig rig;
	struct candidates c;

	(void)state;
	rig_start(&rig, 2);
	hear(rig.d->peers.at[0], 1, 4096, 0);
	for (int i = 0; i < 4; i++) {
		c = choose_for(&rig, "m", "{}");
		assert_true(is_at(&c, rig.d->peers.at[1]));
	}
	rig_stop(&rig);
}

static void
where_all_are_busy_a_session_stays(void **state)
{
	struct rig rig;
	struct peer *home;
	struct candidates c;

	(void)state;
	rig_start(&rig, 3);
	home = home_of(&rig);
	for (size_t i = 0; i < 3; i++)
		hear(rig.d->peers.at[i], 2, 2, 9);
	c = choose(&rig);
	assert_true(is_at(&c, home));
	rig_stop(&rig);
}

// Its lie must not make one that has much to do look like the average.
static void
a_host_that_looks_busy_hides_no_other(void **state)
{
	struct rig rig;
	struct peer *home, *liar;
	struct candidates c;

	(void)state;
	rig_start(&rig, 3);
	home = home_of(&rig);
	liar = rig.d->peers.at[home == rig.d->peers.at[0] ? 1 : 0];
	home->in_flight = 10;
	hear(liar, LOAD_MAX, LOAD_MAX, LOAD_MAX);
	c = choose(&rig);
	assert_false(is_at(&c, home));
	assert_false(is_at(&c, liar));
	assert_true(says(&c, home, "=next load=10 above-average"));
	assert_true(says(&c, liar, " busy"));
	rig_stop(&rig);
}

static void
what_was_heard_is_of_one_model_and_one_connection(void **state)
{
	struct rig rig;
	struct peer *home;
	struct candidates c;
	size_t i;

	(void)state;
	rig_start(&rig, 2);
	home = home_of(&rig);
	i = home->id[0] - 1u;
	hear(home, 5, 5, 0);
	c = choose_for(&rig, "other", "{\"user\":\"u\"}");
	assert_string_equal(c.how, "session");
	assert_true(is_at(&c, home));
	// An update keeps it, a new connection does not.
	tell(&rig, i, true);
	c = choose(&rig);
	assert_string_equal(c.how, "load");
	tell(&rig, i, false);
	tell(&rig, i, true);
	c = choose(&rig);
	assert_string_equal(c.how, "session");
	assert_true(is_at(&c, home));
	rig_stop(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_field_has_one_form),
		cmocka_unit_test(what_is_written_can_be_read),
		cmocka_unit_test(half_is_forgotten_each_time),
		cmocka_unit_test(
		    a_session_stays_when_others_make_a_small_difference),
		cmocka_unit_test(a_session_leaves_a_host_that_others_keep_busy),
		cmocka_unit_test(
		    a_request_without_a_session_goes_where_least_is_to_do),
		cmocka_unit_test(where_all_are_busy_a_session_stays),
		cmocka_unit_test(a_host_that_looks_busy_hides_no_other),
		cmocka_unit_test(
		    what_was_heard_is_of_one_model_and_one_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
