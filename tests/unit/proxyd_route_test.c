// What exists, who may ask, where a backend may be, what the options add up
// to: the allow-lists of proxyd, each with what it forbids.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proxyd/access.h"
#include "proxyd/backend.h"
#include "proxyd/config.h"
#include "proxyd/recent.h"
#include "proxyd/route.h"
#include "proxyd/sandbox.h"

static const struct access none;

static struct http_request
parse(char *buffer, size_t size, const char *line, const char *fields)
{
	struct http_request request;
	struct http_refusal why;
	size_t scanned = 0, len = 0;
	int n;

	n = snprintf(
	    buffer, size, "%s HTTP/1.1\r\nHost: x:1\r\n%s\r\n", line, fields);
	assert_int_equal(
	    http_head_find((uint8_t *)buffer, (size_t)n, &scanned, &len), 0);
	assert_int_equal(
	    http_request_parse((uint8_t *)buffer, len, 0, &request, &why), 0);
	return request;
}

static enum endpoint
endpoint_at(enum door door, const char *line)
{
	char buffer[1024];
	struct http_request r = parse(buffer, sizeof(buffer), line, "");

	return route_find(door, &r).endpoint;
}

static void
each_door_has_its_own_paths(void **state)
{
	static const struct {
		const char *line;
		enum endpoint api, management, tunnel;
	} table[] = {
		{ "GET /v1/models", ENDPOINT_MODELS, 0, ENDPOINT_MODELS },
		{ "GET /v1/models/a/b", ENDPOINT_MODEL, 0, 0 },
		{ "POST /v1/chat/completions", ENDPOINT_CHAT, 0,
		    ENDPOINT_CHAT },
		{ "POST /v1/chat/completions?a=b", ENDPOINT_CHAT, 0,
		    ENDPOINT_CHAT },
		{ "POST /v1/completions", ENDPOINT_COMPLETIONS, 0,
		    ENDPOINT_COMPLETIONS },
		{ "POST /v1/embeddings", ENDPOINT_EMBEDDINGS, 0,
		    ENDPOINT_EMBEDDINGS },
		{ "POST /v1/responses", ENDPOINT_RESPONSES, 0,
		    ENDPOINT_RESPONSES },
		{ "POST /v1/audio/transcriptions", ENDPOINT_TRANSCRIPTIONS, 0,
		    ENDPOINT_TRANSCRIPTIONS },
		{ "POST /v1/audio/translations", ENDPOINT_TRANSLATIONS, 0,
		    ENDPOINT_TRANSLATIONS },
		{ "POST /v1/messages", ENDPOINT_MESSAGES, 0,
		    ENDPOINT_MESSAGES },
		{ "POST /v1/messages/count_tokens", ENDPOINT_COUNT_TOKENS, 0,
		    ENDPOINT_COUNT_TOKENS },
		{ "GET /v1/responses/x", 0, 0, 0 },
		{ "GET /api/status", 0, ENDPOINT_STATUS, 0 },
		{ "GET /healthz", 0, ENDPOINT_HEALTH, 0 },
		{ "POST /mesh/load", 0, 0, 0 },
		{ "POST /mesh/drop", 0, 0, 0 },
		{ "POST /mesh/hook", 0, 0, 0 },
		{ "GET /", 0, 0, 0 },
		{ "GET /v1/models/", 0, 0, 0 },
		{ "POST /v1/chat/completions/", 0, 0, 0 },
		{ "POST /v1/chat/../chat/completions", 0, 0, 0 },
		{ "POST //v1/chat/completions", 0, 0, 0 },
		{ "POST /v1/Chat/completions", 0, 0, 0 },
		{ "POST /v1/chat%2fcompletions", 0, 0, 0 },
		{ "GET /v1/chat/completions", 0, 0, 0 },
		{ "POST /v1/models", 0, 0, 0 },
		{ "DELETE /v1/models/x", 0, 0, 0 },
		{ "post /v1/chat/completions", 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		assert_int_equal(
		    endpoint_at(DOOR_API, table[i].line), table[i].api);
		assert_int_equal(endpoint_at(DOOR_MANAGEMENT, table[i].line),
		    table[i].management);
		assert_int_equal(
		    endpoint_at(DOOR_TUNNEL, table[i].line), table[i].tunnel);
	}
}

static bool
host_passes(const char *host)
{
	struct address bound;

	assert_int_equal(address_parse("127.0.0.1:9337", &bound), 0);
	return host_is_ours(slice_of(host), &bound, &none);
}

static void
only_loopback_names_are_hosts(void **state)
{
	static const char *const good[] = { "localhost", "localhost:9337",
		"LOCALHOST", "127.0.0.1", "127.0.0.1:1", "127.8.9.1:80",
		"[::1]", "[::1]:9337" };
	static const char *const bad[] = { "", "evil.com", "evil.com:9337",
		"localhost.evil.com", "127.0.0.1.evil.com", "127.0.0.1:x",
		"10.0.0.1", "0.0.0.0:9337", "[::2]:1", "localhost:1:2",
		"127.0.0.1:9337@evil.com", "2130706433", "0x7f.1", ":80", "[",
		"[]", "::1", "::ffff:10.0.0.1" };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		if (!host_passes(good[i]))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		if (host_passes(bad[i]))
			fail_msg("%s", bad[i]);
	assert_false(host_is_ours((struct slice){ NULL, 0 }, NULL, &none));
}

static void
pages_of_other_origins_are_told_from_our_own(void **state)
{
	static const struct {
		const char *fields;
		bool is_cross;
	} table[] = {
		{ "", false },
		{ "Origin: http://x:1\r\n", false },
		{ "Origin: http://x:2\r\n", true },
		{ "Origin: https://x:1\r\n", true },
		{ "Origin: null\r\n", true },
		{ "Origin: http://evil\r\n", true },
		{ "Origin: http://\r\n", true },
		{ "Sec-Fetch-Site: same-origin\r\n", false },
		{ "Sec-Fetch-Site: none\r\n", false },
		{ "Sec-Fetch-Site: cross-site\r\n", true },
		{ "Sec-Fetch-Site: same-site\r\n", true },
		{ "Sec-Fetch-Mode: cors\r\n", false },
	};
	char buffer[512];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		struct http_request r = parse(
		    buffer, sizeof(buffer), "GET /v1/models", table[i].fields);

		if (request_is_cross_origin(&r) != table[i].is_cross)
			fail_msg("%s", table[i].fields);
	}
}

static void
only_json_is_json(void **state)
{
	static const struct {
		const char *fields;
		bool is_json;
	} table[] = {
		{ "", false },
		{ "Content-Type: application/json\r\n", true },
		{ "content-type: Application/JSON; charset=utf-8\r\n", true },
		{ "Content-Type: application/jsonx\r\n", false },
		{ "Content-Type: text/plain\r\n", false },
		{ "Content-Type: text/plain; application/json\r\n", false },
	};
	char buffer[512];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		struct http_request r = parse(buffer, sizeof(buffer),
		    "POST /v1/completions", table[i].fields);

		if (content_type_is_json(&r.fields) != table[i].is_json)
			fail_msg("%s", table[i].fields);
	}
}

static void
a_backend_is_where_the_configuration_says(void **state)
{
	static const char *const bad[] = { "", "http://", "127.0.0.1:1",
		"https://127.0.0.1:1", "http://example.com:80",
		"http://127.0.0.1", "http://127.0.0.1:0", "http://:80",
		"http://127.0.0.1:1/a b", "http://127.0.0.1:1/?q",
		"http://user@127.0.0.1:1", "unix:relative",
		"unix:", "http://localhost", "http://127.0.0.1:1/\r\nX: y" };
	struct backend_url url;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		if (backend_url_parse(bad[i], &url) == 0)
			fail_msg("%s", bad[i]);
	assert_int_equal(
	    backend_url_parse("http://localhost:8080/v1/", &url), 0);
	assert_string_equal(url.host, "127.0.0.1:8080");
	assert_string_equal(url.prefix, "");
	assert_true(url.is_local);
	assert_int_equal(
	    backend_url_parse("http://[::1]:80/base/path", &url), 0);
	assert_string_equal(url.prefix, "/base/path");
	assert_int_equal(url.sa.sa_family, AF_INET6);
	assert_int_equal(backend_url_parse("http://10.1.2.3:80", &url), 0);
	assert_false(url.is_local);
	assert_int_equal(backend_url_parse("unix:/run/x.sock", &url), 0);
	assert_int_equal(url.sa.sa_family, AF_UNIX);
}

static void
a_backend_has_a_url_and_parts_behind_it(void **state)
{
	static const char *const bad[] = { "", " ", "unix:/x key-file=x",
		"unix:/x key-file=", "unix:/x requests=0",
		"unix:/x requests=-1", "unix:/x requests=5000",
		"unix:/x requests=1 requests=2", "unix:/x nonsense=1",
		"unix:/x word", "unix:/x prefix=x",
		"http://127.0.0.1:1 prefix=/x", "unix:/x prefix=/a?b",
		"key-file=/x", "http://127.0.0.1:1/ a" };
	struct backend_spec spec;
	char key[BACKEND_KEY_MAX + 1];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		if (backend_spec_check(bad[i]) == NULL)
			fail_msg("%s", bad[i]);
	assert_int_equal(backend_spec_parse("unix:/run/x.sock  prefix=/base/v1 "
					    "key-file=/etc/key requests=8",
			     &spec),
	    0);
	assert_string_equal(spec.text, "unix:/run/x.sock");
	assert_string_equal(spec.url.prefix, "/base");
	assert_string_equal(spec.key_file, "/etc/key");
	assert_int_equal(spec.requests, 8);
	assert_int_equal(backend_key_parse("sk-abc\n", 7, key), 0);
	assert_string_equal(key, "sk-abc");
	assert_int_equal(backend_key_parse("", 0, key), -EINVAL);
	assert_int_equal(backend_key_parse("a b", 3, key), -EINVAL);
	assert_int_equal(backend_key_parse("a\r\nX: y", 7, key), -EINVAL);
	assert_int_equal(backend_key_parse("a\0b", 3, key), -EINVAL);
}

static void
a_list_of_models_is_read_strictly(void **state)
{
	static const char good[] =
	    "{\"data\":[{\"id\":\"b\",\"max_model_len\":4096},{\"id\":\"a\"},"
	    "{\"id\":\"b\"},{\"id\":\"x\\ny\"},{\"id\":7},{}]}";
	static const char *const bad[] = { "", "[]", "{}", "{\"data\":{}}",
		"{\"data\":[", "nonsense" };
	struct backend_model *models = NULL;
	size_t n = 0, refused = 0;

	(void)state;
	assert_int_equal(
	    backend_models_parse(good, sizeof(good) - 1, &models, &n, &refused),
	    0);
	assert_int_equal(n, 2);
	assert_int_equal(refused, 3);
	assert_string_equal(models[0].name, "a");
	assert_string_equal(models[1].name, "b");
	free(models);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(backend_models_parse(bad[i], strlen(bad[i]),
				     &models, &n, &refused),
		    -EBADMSG);
}

static void
the_context_is_what_a_request_can_have(void **state)
{
	static const char json[] =
	    "{\"data\":[{\"id\":\"a\",\"max_model_len\":1},"
	    "{\"id\":\"b\",\"context_length\":2},"
	    "{\"id\":\"c\",\"meta\":{\"n_ctx\":3,\"n_ctx_train\":9}},"
	    "{\"id\":\"d\",\"meta\":{\"n_ctx_train\":4}},"
	    "{\"id\":\"e\"}]}";
	static const uint32_t want[] = { 1, 2, 3, 4, 0 };
	struct backend_model *models = NULL;
	size_t n = 0, refused = 0;

	(void)state;
	assert_int_equal(
	    backend_models_parse(json, sizeof(json) - 1, &models, &n, &refused),
	    0);
	assert_int_equal(n, N_ELEMENTS(want));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(models[i].context_length, want[i]);
	free(models);
}

static int
read_options(struct proxyd_config *config, char *error, const char *a,
    const char *b, const char *c)
{
	char *argv[5] = { (char *)(uintptr_t) "proxyd", (char *)(uintptr_t)a,
		(char *)(uintptr_t)b, (char *)(uintptr_t)c, NULL };
	int argc = a == NULL ? 1 : b == NULL ? 2 : c == NULL ? 3 : 4;

	return config_read(config, argc, argv, error);
}

static void
the_stricter_option_wins(void **state)
{
	struct proxyd_config config;
	char error[CONFIG_ERROR_MAX];

	(void)state;
	assert_int_equal(read_options(&config, error, NULL, NULL, NULL), 0);
	assert_false(config.plaintext_allowed);
	assert_false(config.unsigned_allowed);
	assert_false(config.is_attested_required);
	config_done(&config);
	assert_int_equal(
	    read_options(&config, error, "--allow-plaintext-peers", NULL, NULL),
	    0);
	assert_true(config.plaintext_allowed);
	assert_true(config.unsigned_allowed);
	config_done(&config);
	assert_int_equal(
	    read_options(&config, error, "--allow-unsigned-keys", NULL, NULL),
	    0);
	assert_false(config.plaintext_allowed);
	assert_true(config.unsigned_allowed);
	config_done(&config);
	assert_int_equal(
	    read_options(&config, error, "--allow-plaintext-peers",
		"--require-attested-hosts", "--allow-unsigned-keys"),
	    0);
	assert_false(config.plaintext_allowed);
	assert_false(config.unsigned_allowed);
	assert_int_equal(config.required_level, IPC__LEVEL__LEVEL_HARDWARE);
	config_done(&config);
	assert_int_equal(read_options(&config, error,
			     "--require-attested-hosts=tofu", NULL, NULL),
	    0);
	assert_int_equal(config.required_level, IPC__LEVEL__LEVEL_TOFU);
	config_done(&config);
}

static void
options_that_would_open_the_node_are_refused(void **state)
{
	static const char *const bad[] = { "--api=0.0.0.0:9337",
		"--api=192.168.1.1:80", "--api=[::]:80", "--api=nonsense",
		"--management=0.0.0.0:1", "--require-attested-hosts=none",
		"--require-attested-hosts=measured",
		"--require-attested-hosts=x", "--log-level=chatty" };
	struct proxyd_config config;
	char error[CONFIG_ERROR_MAX];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		error[0] = '\0';
		if (read_options(&config, error, bad[i], NULL, NULL) != -EINVAL)
			fail_msg("%s", bad[i]);
		assert_string_not_equal(error, "");
		config_done(&config);
	}
}

static void
a_lost_model_is_remembered_for_a_while(void **state)
{
	static struct recent recent;
	char name[16];

	(void)state;
	assert_false(recent_has(&recent, "a", 5));
	recent_note(&recent, "a", 5);
	assert_true(recent_has(&recent, "a", 6));
	assert_false(recent_has(&recent, "b", 6));
	assert_false(recent_has(&recent, "", 6));
	assert_false(recent_has(&recent, "a", 5 + RECENT_MS));
	for (unsigned i = 0; i < RECENT_MAX; i++) {
		(void)snprintf(name, sizeof(name), "m%u", i);
		recent_note(&recent, name, 7);
	}
	assert_false(recent_has(&recent, "a", 7));
	assert_true(recent_has(&recent, "m0", 7));
}

static void
ports_for_later_are_one_or_a_short_range(void **state)
{
	static const char *const bad[] = { "", "0", "65536", "99999999999999",
		"-", "-1", "1-", "1-0", "2-1", "1-65536", "1-257", "1--2",
		"1-2-3", "+1", " 1", "1 ", "1,2", "0x1", "http", "1-2 x" };
	struct backend_ports ports;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		if (backend_ports_check(bad[i]) == NULL ||
		    backend_ports_parse(bad[i], &ports) != -EINVAL)
			fail_msg("%s", bad[i]);
	assert_int_equal(backend_ports_parse("65535", &ports), 0);
	assert_int_equal(ports.first, 65535);
	assert_int_equal(ports.last, 65535);
	assert_int_equal(backend_ports_parse("1-256", &ports), 0);
	assert_int_equal(ports.first, 1);
	assert_int_equal(ports.last, 256);
}

static void
the_sandbox_allows_the_ports_for_later_as_well(void **state)
{
	static char one[] = "9000", range[] = "8100-8103";
	char *values[] = { one, range };
	const struct option_list later = { 2, values };
	static const uint16_t wanted[] = { 81, 9000, 8100, 8101, 8102, 8103 };
	struct backends *backends = calloc(1, sizeof(*backends));
	struct proxyd_landlock landlock;

	(void)state;
	assert_non_null(backends);
	assert_int_equal(
	    backend_url_parse("http://127.0.0.1:81", &backends->at[0].url), 0);
	assert_int_equal(backend_url_parse("unix:/x", &backends->at[1].url), 0);
	backends->n = 2;
	proxyd_landlock_init(&landlock, backends, &later);
	assert_int_equal(landlock.policy.n_connect_ports, N_ELEMENTS(wanted));
	assert_memory_equal(
	    landlock.policy.connect_ports, wanted, sizeof(wanted));
	free(backends);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_door_has_its_own_paths),
		cmocka_unit_test(only_loopback_names_are_hosts),
		cmocka_unit_test(pages_of_other_origins_are_told_from_our_own),
		cmocka_unit_test(only_json_is_json),
		cmocka_unit_test(a_backend_is_where_the_configuration_says),
		cmocka_unit_test(a_backend_has_a_url_and_parts_behind_it),
		cmocka_unit_test(ports_for_later_are_one_or_a_short_range),
		cmocka_unit_test(
		    the_sandbox_allows_the_ports_for_later_as_well),
		cmocka_unit_test(a_list_of_models_is_read_strictly),
		cmocka_unit_test(the_context_is_what_a_request_can_have),
		cmocka_unit_test(the_stricter_option_wins),
		cmocka_unit_test(options_that_would_open_the_node_are_refused),
		cmocka_unit_test(a_lost_model_is_remembered_for_a_while),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
