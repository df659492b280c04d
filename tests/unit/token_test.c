// Invite tokens and endpoint addresses: golden vectors, damage, round trips.
#include "gossipd/token.h"

#include <ctype.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/gossip_support.h"

#define ID_HEX \
	"db995fe25169d141cab9bbba92baa01f9f2e1ece7df4cb2ac05190f37fcc1f9d"

static int
parse_json(const char *json, struct endpoint_addr *ret)
{
	const char *reason;
	int r = addr_json_parse(json, strlen(json), ret, &reason);

	assert_int_equal(r < 0, reason != NULL);
	return r;
}

static void
check_addrs(const struct endpoint_addr *got, const json_t *expected)
{
	size_t i, n = 0;
	json_t *text;
	char mine[ADDR_TEXT_MAX];

	json_array_foreach(expected, i, text)
	{
		if (strcmp(json_string_value(text), "relay") == 0)
			continue;
		assert_true(n < got->n_addrs);
		addr_format(&got->addrs[n++], mine);
		assert_string_equal(mine, json_string_value(text));
	}
	assert_int_equal(n, got->n_addrs);
}

static void
golden_tokens_are_judged_as_the_vectors_say(void **state)
{
	json_t *doc = test_vectors("f_invite_token.json"), *vector, *json;
	struct endpoint_addr got;
	char again[TOKEN_MAX + 1];
	const char *token, *reason;
	bool accept;
	size_t i;

	(void)state;
	json_array_foreach(json_object_get(doc, "vectors"), i, vector)
	{
		token = json_string_value(json_object_get(vector, "token"));
		json = json_object_get(vector, "addrs");
		accept = strcmp(json_string_value(
				    json_object_get(vector, "expected")),
			     "accept") == 0;
		assert_int_equal(
		    token_parse(token, &got, &reason), accept ? 0 : -EINVAL);
		if (!accept) {
			assert_non_null(reason);
			continue;
		}
		if (json != NULL) {
			check_addrs(&got, json);
			// As it was written, to the byte.
			assert_int_equal(token_write(&got, again), 0);
			assert_string_equal(again, token);
		}
	}
	assert_true(i >= 14);
	json_decref(doc);
}

static void
every_kind_of_damage_to_a_token_has_its_reason(void **state)
{
	static char longer[TOKEN_MAX + 2];
	const char *token =
	    "eyJpZCI6ImRiOTk1ZmUyNTE2OWQxNDFjYWI5YmJiYTkyYmFhMDFmOWYyZTFlY2U3"
	    "ZGY0Y2IyYWMwNTE5MGYzN2ZjYzFmOWQiLCJhZGRycyI6W119";
	struct endpoint_addr got;
	const char *reason;
	char copy[256];

	(void)state;
	assert_int_equal(token_parse(token, &got, &reason), 0);
	memset(longer, 'A', sizeof(longer) - 1);
	assert_int_equal(token_parse(longer, &got, &reason), -EINVAL);
	assert_string_equal(reason, "token is too long");
	assert_int_equal(token_parse("", &got, &reason), -EINVAL);
	assert_string_equal(reason, "token is empty");
	for (size_t i = 1; i < strlen(token); i++) { // cut anywhere
		memcpy(copy, token, i);
		copy[i] = '\0';
		assert_int_equal(token_parse(copy, &got, &reason), -EINVAL);
		assert_non_null(reason);
	}
	for (size_t i = 0; i < strlen(token); i++) {
		memcpy(copy, token, strlen(token) + 1);
		copy[i] = ' ';
		assert_int_equal(token_parse(copy, &got, &reason), -EINVAL);
	}
	(void)snprintf(copy, sizeof(copy), " %s", token);
	assert_int_equal(token_parse(copy, &got, &reason), -EINVAL);
	(void)snprintf(copy, sizeof(copy), "%s\n", token);
	assert_int_equal(token_parse(copy, &got, &reason), -EINVAL);
}

static void
an_address_needs_its_members_once_and_right(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"[\"" ID_HEX "\",[]]",
		"{\"id\":\"" ID_HEX "\"}",
		"{\"addrs\":[]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":{}}",
		"{\"id\":\"" ID_HEX "\",\"id\":\"" ID_HEX "\",\"addrs\":[]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[],\"addrs\":[]}",
		"{\"id\":7,\"addrs\":[]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[7]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{\"Ip\":7}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{\"Ip\":\"1.2.3.4\"}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{\"Ip\":\"1.2.3:4\"}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{\"Ip\":\"host:4\"}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{\"Ip\":\"::1:4\"}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{\"Ip\":\"[::1]\"}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{\"Ip\":\"[::1%x]:4\"}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{\"Ip\":\"1.2.3.4:\"}]}",
		"{\"id\":\"" ID_HEX
		"\",\"addrs\":[{\"Ip\":\"1.2.3.4:65536\"}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{\"Ip\":\"1.2.3.4:+1\"}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{\"Ip\":\"1.2.3.4: 1\"}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{\"Relay\":\"nothing\"}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{\"Relay\":\"http://\"}]}",
		"{\"id\":\"" ID_HEX
		"\",\"addrs\":[{\"Relay\":\"a://\\u0022\"}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{\"Custom\":{}}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[{\"Ip\":\"1.2.3.4:1\","
		"\"Relay\":\"https://x/\"}]}",
		"{\"id\":\"" ID_HEX "\",\"addrs\":[]} x",
		"{\"id\":\"" ID_HEX "x\",\"addrs\":[]}",
	};
	struct endpoint_addr got;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(parse_json(bad[i], &got), -EBADMSG);
	assert_int_equal(
	    parse_json("{\"x\":99999999999999999999,\"id\":\"" ID_HEX
		       "\",\"addrs\":[{\"Ip\":\"[fe80::1%3]:5\"}]}",
		&got),
	    0);
	assert_int_equal(got.addrs[0].in6.sin6_scope_id, 3);
}

// 52 characters in any case; the unused bits of the last one are zero.
static void
base32_ids_are_read_in_any_case(void **state)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
	struct endpoint_addr hex, got;
	char id[53] = "", json[128];
	unsigned acc = 0, bits = 0;
	size_t n = 0;

	(void)state;
	assert_int_equal(
	    parse_json("{\"id\":\"" ID_HEX "\",\"addrs\":[]}", &hex), 0);
	for (size_t i = 0; i < ENDPOINT_ID_LEN; i++) {
		acc = acc << 8 | hex.id[i];
		for (bits += 8; bits >= 5; bits -= 5)
			id[n++] = alphabet[acc >> (bits - 5) & 31];
	}
	id[n++] = alphabet[acc << (5 - bits) & 31];
	assert_int_equal(n, 52);
	(void)snprintf(json, sizeof(json), "{\"id\":\"%s\",\"addrs\":[]}", id);
	assert_int_equal(parse_json(json, &got), 0);
	assert_memory_equal(got.id, hex.id, ENDPOINT_ID_LEN);
	for (size_t i = 0; i < 52; i++)
		id[i] = (char)toupper(id[i]);
	(void)snprintf(json, sizeof(json), "{\"id\":\"%s\",\"addrs\":[]}", id);
	assert_int_equal(parse_json(json, &got), 0);
	assert_int_equal(id[51], 'Q');
	id[51] = 'R';
	(void)snprintf(json, sizeof(json), "{\"id\":\"%s\",\"addrs\":[]}", id);
	assert_int_equal(parse_json(json, &got), -EBADMSG);
}

static void
addresses_are_written_sorted_and_once(void **state)
{
	const char *in = "{\"id\":\"" ID_HEX "\",\"addrs\":["
			 "{\"Ip\":\"[2001:db8::2]:1\"},{\"Ip\":\"10.0.0.2:9\"},"
			 "{\"Relay\":\"https://b/\"},{\"Ip\":\"10.0.0.2:9\"},"
			 "{\"Ip\":\"10.0.0.2:8\"},{\"Relay\":\"https://a/\"},"
			 "{\"Ip\":\"9.0.0.1:1\"},{\"Ip\":\"[fe80::1%3]:5\"}]}";
	const char *out =
	    "{\"id\":\"" ID_HEX "\",\"addrs\":["
	    "{\"Relay\":\"https://a/\"},{\"Relay\":\"https://b/\"},"
	    "{\"Ip\":\"9.0.0.1:1\"},{\"Ip\":\"10.0.0.2:8\"},"
	    "{\"Ip\":\"10.0.0.2:9\"},{\"Ip\":\"[2001:db8::2]:1\"},"
	    "{\"Ip\":\"[fe80::1%3]:5\"}]}";
	struct endpoint_addr got;
	char text[ADDR_JSON_MAX];
	size_t len;

	(void)state;
	assert_int_equal(parse_json(in, &got), 0);
	assert_int_equal(addr_json_write(&got, text, sizeof(text), &len), 0);
	assert_string_equal(text, out);
	assert_int_equal(len, strlen(out));
	for (size_t size = 0; size <= len; size++)
		assert_int_equal(
		    addr_json_write(&got, text, size, &len), -ENOSPC);
}

static void
more_addresses_than_are_kept_are_no_error(void **state)
{
	struct endpoint_addr got;
	char json[ADDR_JSON_MAX + 64];
	size_t n;
	const char *reason;

	(void)state;
	n = (size_t)snprintf(
	    json, sizeof(json), "{\"id\":\"" ID_HEX "\",\"addrs\":[");
	for (int i = 0; i < 100; i++)
		n += (size_t)snprintf(json + n, sizeof(json) - n,
		    "%s{\"Ip\":\"10.0.0.%d:1\"}", i == 0 ? "" : ",", i);
	(void)snprintf(json + n, sizeof(json) - n, "]}");
	assert_int_equal(parse_json(json, &got), 0);
	assert_int_equal(got.n_addrs, ADDR_JSON_ADDRS_MAX);
	assert_int_equal(
	    addr_json_parse(json, ADDR_JSON_MAX + 1, &got, &reason), -E2BIG);
}

static void
addresses_that_are_no_nodes_are_not_dialled(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} cases[] = {
		{ "192.0.2.1:1", true },
		{ "127.0.0.1:1", true },
		{ "192.0.2.1:0", false },
		{ "0.0.0.0:1", false },
		{ "224.0.0.1:1", false },
		{ "255.255.255.255:1", false },
		{ "[2001:db8::1]:1", true },
		{ "[::]:1", false },
		{ "[ff02::1]:1", false },
		{ "[::ffff:10.0.0.1]:1", false },
		{ "[2001:db8::1]:0", false },
	};
	struct address a;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		assert_int_equal(addr_parse(cases[i].text, &a), 0);
		assert_int_equal(addr_is_dialable(&a), cases[i].ok);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_tokens_are_judged_as_the_vectors_say),
		cmocka_unit_test(
		    every_kind_of_damage_to_a_token_has_its_reason),
		cmocka_unit_test(an_address_needs_its_members_once_and_right),
		cmocka_unit_test(base32_ids_are_read_in_any_case),
		cmocka_unit_test(addresses_are_written_sorted_and_once),
		cmocka_unit_test(more_addresses_than_are_kept_are_no_error),
		cmocka_unit_test(addresses_that_are_no_nodes_are_not_dialled),
	};

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
