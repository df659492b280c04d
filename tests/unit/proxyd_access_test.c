// Who may ask: keys and their limits, names in Host, origins; each list with
// what it keeps out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/values.h"
#include "proxyd/gate.h"
#include "proxyd/route.h"

enum { MINUTE_MS = 60 * 1000 };

struct fixture {
	struct proxyd *d;
	struct listener api;
	char head[2048];
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->d = calloc(1, sizeof(*f->d));
	assert_non_null(f->d);
	f->api.door = DOOR_API;
	assert_int_equal(address_parse("127.0.0.1:9337", &f->api.address), 0);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	access_done(&f->d->access);
	free(f->d);
	free(f);
	return 0;
}

// A line of the file for this key.
static size_t
put_line(char *to, size_t size, const char *name, const char *key,
    const char *limits)
{
	uint8_t hash[API_KEY_HASH_LEN];
	char hex[2 * API_KEY_HASH_LEN + 1];

	api_key_hash(key, strlen(key), hash);
	(void)sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	return (size_t)snprintf(
	    to, size, "%s sha256:%s %s\n", name, hex, limits);
}

static void
take(struct access *a, const char *text, uint64_t now_ms)
{
	char error[256];

	assert_int_equal(access_take_keys(a, text, strlen(text), now_ms, error,
			     sizeof(error)),
	    0);
}

static struct http_request
parse(struct fixture *f, const char *line, const char *fields)
{
	struct http_request request;
	struct http_refusal why;
	size_t scanned = 0, len = 0;
	int n = snprintf(
	    f->head, sizeof(f->head), "%s HTTP/1.1\r\n%s\r\n", line, fields);

	assert_int_equal(
	    http_head_find((uint8_t *)f->head, (size_t)n, &scanned, &len), 0);
	assert_int_equal(
	    http_request_parse((uint8_t *)f->head, len, 0, &request, &why), 0);
	return request;
}

static struct access_key *
find(struct fixture *f, const char *fields)
{
	char all[1024];
	struct http_request r;

	(void)snprintf(all, sizeof(all), "Host: x\r\n%s", fields);
	r = parse(f, "GET /", all);
	return access_find_key(&f->d->access, &r.fields);
}

// ---- keys

static void
only_the_whole_key_is_a_key(void **state)
{
	struct fixture *f = *state;
	char text[1024], fields[256];
	size_t n = put_line(text, sizeof(text), "alice", "secret-a", "");

	(void)put_line(text + n, sizeof(text) - n, "bob", "secret-b", "");
	take(&f->d->access, text, 0);
	assert_string_equal(
	    find(f, "Authorization: Bearer secret-b\r\n")->key.name, "bob");
	assert_string_equal(
	    find(f, "authorization: BEARER   secret-a\r\n")->key.name, "alice");
	assert_null(find(f, ""));
	assert_null(find(f, "Authorization: secret-a\r\n"));
	assert_null(find(f, "Authorization: Basic secret-a\r\n"));
	assert_null(find(f, "Authorization: Bearer\r\n"));
	assert_null(find(f, "Authorization: Bearer \r\n"));
	assert_null(find(f, "Authorization: Bearer secret\r\n"));
	assert_null(find(f, "Authorization: Bearer secret-ab\r\n"));
	assert_null(find(f, "Authorization: Bearer secret-a secret-b\r\n"));
	// Anthropic's clients have a field of their own.
	assert_string_equal(
	    find(f, "X-Api-Key: secret-a\r\n")->key.name, "alice");
	assert_null(find(f, "X-Api-Key: Bearer secret-a\r\n"));
	assert_null(find(f, "X-Api-Key: secret-a\r\nX-Api-Key: secret-a\r\n"));
	assert_null(
	    find(f, "X-Api-Key: secret-a\r\nAuthorization: Bearer x\r\n"));
	assert_null(find(f,
	    "Authorization: Bearer secret-a\r\n"
	    "Authorization: Bearer secret-b\r\n"));
	// What stands in the file is no key.
	(void)snprintf(fields, sizeof(fields),
	    "Authorization: Bearer %.64s\r\n",
	    strstr(text, "sha256:") + strlen("sha256:"));
	assert_null(find(f, fields));
}

static void
requests_in_flight_are_limited(void **state)
{
	struct fixture *f = *state;
	struct access_key *key;
	char text[512];
	unsigned wait = 0;

	(void)put_line(text, sizeof(text), "a", "k", "requests=2");
	take(&f->d->access, text, 0);
	key = f->d->access.keys[0];
	assert_int_equal(access_key_begin(key, 0, &wait), 0);
	assert_int_equal(access_key_begin(key, 0, &wait), 0);
	assert_int_equal(access_key_begin(key, 0, &wait), -EBUSY);
	assert_int_equal(wait, 1);
	access_key_end(key);
	assert_int_equal(access_key_begin(key, 0, &wait), 0);
	assert_int_equal(key->requests, 3);
	assert_int_equal(key->refused, 1);
}

static void
requests_of_a_minute_are_limited(void **state)
{
	struct fixture *f = *state;
	struct access_key *key;
	char text[512];
	unsigned wait = 0;
	uint64_t now = 1000;

	(void)put_line(text, sizeof(text), "a", "k", "per-minute=6");
	take(&f->d->access, text, now);
	key = f->d->access.keys[0];
	for (int i = 0; i < 6; i++)
		assert_int_equal(access_key_begin(key, now, &wait), 0);
	assert_int_equal(access_key_begin(key, now, &wait), -EAGAIN);
	assert_in_range(wait, 10, 11);
	now += 10 * 1000;
	assert_int_equal(access_key_begin(key, now, &wait), 0);
	assert_int_equal(access_key_begin(key, now, &wait), -EAGAIN);
	// It never holds more than a minute's worth.
	now += (uint64_t)1000 * MINUTE_MS;
	for (int i = 0; i < 6; i++)
		assert_int_equal(access_key_begin(key, now, &wait), 0);
	assert_int_equal(access_key_begin(key, now, &wait), -EAGAIN);
}

static void
a_reload_keeps_what_a_key_has_used(void **state)
{
	struct fixture *f = *state;
	struct access *a = &f->d->access;
	struct access_key *held;
	char text[512], error[256];
	unsigned wait = 0;

	(void)put_line(text, sizeof(text), "a", "k", "requests=1 per-minute=2");
	take(a, text, 0);
	held = access_key_take(a->keys[0]);
	assert_int_equal(access_key_begin(held, 0, &wait), 0);
	(void)put_line(text, sizeof(text), "a", "k", "requests=2 per-minute=2");
	take(a, text, 0);
	assert_ptr_equal(a->keys[0], held);
	assert_int_equal(access_key_begin(held, 0, &wait), 0);
	assert_int_equal(access_key_begin(held, 0, &wait), -EBUSY);
	access_key_end(held);
	assert_int_equal(access_key_begin(held, 0, &wait), -EAGAIN);
	// A bad file changes nothing.
	assert_int_equal(
	    access_take_keys(a, "a b", 3, 0, error, sizeof(error)), -EINVAL);
	assert_int_equal(a->n_keys, 1);
	// Gone from the table, it lives until its request ends.
	take(a, "", 0);
	assert_int_equal(a->n_keys, 0);
	assert_true(a->wants_key);
	assert_string_equal(held->key.name, "a");
	access_key_end(held);
	access_key_put(held);
}

static void
a_key_file_that_others_can_write_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/meshllm-keys-XXXXXX", text[512], error[512];
	int fd = mkstemp(path);
	size_t n = put_line(text, sizeof(text), "a", "k", "");

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, n), n);
	assert_int_equal(fchmod(fd, 0666), 0);
	assert_int_equal(
	    access_load_keys(&f->d->access, path, error, sizeof(error)),
	    -EPERM);
	assert_non_null(strstr(error, path));
	assert_false(f->d->access.wants_key);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(
	    access_load_keys(&f->d->access, path, error, sizeof(error)), 0);
	assert_int_equal(f->d->access.n_keys, 1);
	(void)close(fd);
	(void)unlink(path);
	assert_int_equal(
	    access_load_keys(&f->d->access, path, error, sizeof(error)),
	    -ENOENT);
	assert_int_equal(f->d->access.n_keys, 1);
}

// ---- hosts

static bool
host_passes(struct access *a, const char *bound, const char *host)
{
	struct address address;

	assert_int_equal(address_parse(bound, &address), 0);
	return host_is_ours(slice_of(host), &address, a);
}

static void
a_host_is_an_address_of_ours_or_a_name_of_the_list(void **state)
{
	char *names[] = { (char[]){ "gpu.lan" }, (char[]){ "Box" } };
	struct option_list hosts = { 2, names };
	struct access a = { .hosts = &hosts };

	(void)state;
	assert_true(host_passes(&a, "127.0.0.1:1", "gpu.lan"));
	assert_true(host_passes(&a, "127.0.0.1:1", "GPU.LAN:9337"));
	assert_true(host_passes(&a, "127.0.0.1:1", "box:1"));
	assert_false(host_passes(&a, "127.0.0.1:1", "gpu.lan.evil.com"));
	assert_false(host_passes(&a, "127.0.0.1:1", "evil.com"));
	assert_false(host_passes(&a, "127.0.0.1:1", "192.0.2.1"));
	assert_true(host_passes(&a, "192.0.2.1:1", "192.0.2.1:9337"));
	assert_false(host_passes(&a, "192.0.2.1:1", "192.0.2.2"));
	// Bound to all: any address, but no name that is not listed.
	assert_true(host_passes(&a, "0.0.0.0:1", "192.0.2.1:9337"));
	assert_true(host_passes(&a, "[::]:1", "[2001:db8::1]:9337"));
	assert_true(host_passes(&a, "[::]:1", "192.0.2.1"));
	assert_false(host_passes(&a, "0.0.0.0:1", "evil.com:9337"));
	assert_false(host_passes(&a, "0.0.0.0:1", "192.0.2.1.evil.com"));
}

static void
hosts_and_origins_of_the_configuration_are_checked(void **state)
{
	static const char *const hosts[] = { "*", "*.lan", "a:1", "a/b", "",
		"a b", "[::1]" };
	static const char *const origins[] = { "*", "null", "example.com",
		"https://", "https://a/", "https://a/b", "https://A",
		"https://a b", "https://*.a", "://a", "https:/a",
		"https://u@a" };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(hosts); i++)
		if (value_check_host(hosts[i]) == NULL)
			fail_msg("%s", hosts[i]);
	for (size_t i = 0; i < N_ELEMENTS(origins); i++)
		if (value_check_origin(origins[i]) == NULL)
			fail_msg("%s", origins[i]);
	assert_null(value_check_host("gpu-1.example.com"));
	assert_null(value_check_origin("https://chat.example.com"));
	assert_null(value_check_origin("http://[::1]:3000"));
	assert_null(value_check_origin("chrome-extension://abcdef"));
	assert_null(value_check_origin("tauri://localhost"));
}

// ---- the gate

static int
pass(struct fixture *f, const char *line, const char *fields, struct gate *ret)
{
	struct http_request r = parse(f, line, fields);

	return gate_check(f->d, &f->api, &r, ret);
}

static void
only_pages_of_the_list_pass(void **state)
{
	struct fixture *f = *state;
	char *origins[] = { (char[]){ "https://chat.example.com" } };
	struct option_list list = { 1, origins };
	struct gate gate;
	static const char local[] = "Host: localhost\r\n";
	char fields[512];
	static const struct {
		const char *fields;
		int result;
	} table[] = {
		{ "", 0 },
		{ "Origin: https://chat.example.com\r\n"
		  "Sec-Fetch-Site: cross-site\r\n",
		    0 },
		{ "Origin: https://chat.example.com:444\r\n", -EACCES },
		{ "Origin: http://chat.example.com\r\n", -EACCES },
		{ "Origin: https://chat.example.com.evil.com\r\n", -EACCES },
		{ "Origin: https://evil.com\r\n", -EACCES },
		{ "Origin: null\r\n", -EACCES },
		{ "Sec-Fetch-Site: cross-site\r\n", -EACCES },
		{ "Sec-Fetch-Site: same-site\r\n", -EACCES },
		{ "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n",
		    -EACCES },
		{ "Origin: https://evil.com\r\n"
		  "Origin: https://chat.example.com\r\n",
		    -EACCES },
	};

	f->d->access.origins = &list;
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		(void)snprintf(
		    fields, sizeof(fields), "%s%s", local, table[i].fields);
		if (pass(f, "GET /v1/models", fields, &gate) != table[i].result)
			fail_msg("%s", table[i].fields);
		if (table[i].result != 0) {
			assert_int_equal(gate.failure.status, 403);
			assert_null(gate.allow_origin);
		}
	}
	// On the management port no page does.
	f->api.door = DOOR_MANAGEMENT;
	assert_int_equal(pass(f, "GET /api/status",
			     "Host: localhost\r\n"
			     "Origin: https://chat.example.com\r\n",
			     &gate),
	    -EACCES);
	assert_null(gate.allow_origin);
}

static void
a_preflight_needs_an_allowed_origin_and_no_key(void **state)
{
	struct fixture *f = *state;
	char *origins[] = { (char[]){ "https://chat.example.com" } };
	struct option_list list = { 1, origins };
	struct gate gate;

	f->d->access.origins = &list;
	f->d->access.wants_key = true;
	assert_int_equal(pass(f, "OPTIONS /v1/models",
			     "Host: localhost\r\n"
			     "Origin: https://chat.example.com\r\n"
			     "Access-Control-Request-Method: POST\r\n",
			     &gate),
	    1);
	assert_int_equal(pass(f, "OPTIONS /v1/models",
			     "Host: localhost\r\nOrigin: https://evil.com\r\n"
			     "Access-Control-Request-Method: POST\r\n",
			     &gate),
	    -EACCES);
	// And the name is looked at before the page is.
	assert_int_equal(pass(f, "OPTIONS /v1/models",
			     "Host: evil.com\r\n"
			     "Origin: https://chat.example.com\r\n"
			     "Access-Control-Request-Method: POST\r\n",
			     &gate),
	    -EACCES);
	assert_string_equal(gate.failure.code, "host_not_allowed");
}

static void
with_a_key_file_a_key_is_needed(void **state)
{
	struct fixture *f = *state;
	struct gate gate;
	char text[512];

	(void)put_line(text, sizeof(text), "a", "k", "");
	take(&f->d->access, text, 0);
	assert_int_equal(
	    pass(f, "GET /v1/models", "Host: localhost\r\n", &gate), -EACCES);
	assert_int_equal(gate.failure.status, 401);
	assert_string_equal(gate.failure.code, "invalid_api_key");
	assert_string_equal(gate.failure.authenticate, "Bearer");
	assert_int_equal(
	    pass(f, "GET /v1/models",
		"Host: localhost\r\nAuthorization: Bearer k\r\n", &gate),
	    0);
	assert_string_equal(gate.key->key.name, "a");
	// Without one key left nobody gets in.
	take(&f->d->access, "", 0);
	assert_int_equal(
	    pass(f, "GET /v1/models",
		"Host: localhost\r\nAuthorization: Bearer k\r\n", &gate),
	    -EACCES);
	f->api.door = DOOR_MANAGEMENT;
	assert_int_equal(
	    pass(f, "GET /healthz", "Host: localhost\r\n", &gate), 0);
}

static void
a_socket_in_the_file_system_has_no_name_to_rebind(void **state)
{
	struct fixture *f = *state;
	struct gate gate;

	f->api.is_unix = true;
	memset(&f->api.address, 0, sizeof(f->api.address));
	assert_int_equal(
	    pass(f, "GET /v1/models", "Host: anything\r\n", &gate), 0);
	assert_int_equal(
	    pass(f, "GET /v1/models",
		"Host: anything\r\nOrigin: https://evil.com\r\n", &gate),
	    -EACCES);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    only_the_whole_key_is_a_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    requests_in_flight_are_limited, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    requests_of_a_minute_are_limited, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_reload_keeps_what_a_key_has_used, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_key_file_that_others_can_write_is_refused, set_up,
		    tear_down),
		cmocka_unit_test(
		    a_host_is_an_address_of_ours_or_a_name_of_the_list),
		cmocka_unit_test(
		    hosts_and_origins_of_the_configuration_are_checked),
		cmocka_unit_test_setup_teardown(
		    only_pages_of_the_list_pass, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_preflight_needs_an_allowed_origin_and_no_key, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    with_a_key_file_a_key_is_needed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_socket_in_the_file_system_has_no_name_to_rebind, set_up,
		    tear_down),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
