// Parts of the meshllm command: which daemon gets which option and which
// socket, the answer of the management port, the tables of the status.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "ctl/http_get.h"
#include "ctl/run_options.h"
#include "ctl/spawn.h"
#include "ctl/status.h"
#include "ctl/suite.h"

// ---- options

static void
expect_arguments(
    const struct run_options *o, enum daemon_index d, const char *expected)
{
	struct arguments a;
	char text[1024] = "";

	assert_int_equal(run_options_arguments(o, &daemons[d], &a), 0);
	for (size_t i = 0; i < a.n; i++) {
		(void)strncat(text, a.argv[i], 200);
		(void)strncat(text, i + 1 < a.n ? " " : "", 2);
	}
	assert_null(a.argv[a.n]);
	assert_string_equal(text, expected);
	arguments_done(&a);
}

static void
every_option_goes_to_its_owner_only(void **state)
{
	char *argv[] = { (char[]){ "run" }, (char[]){ "--config=/dev/null" },
		(char[]){ "--state-dir=/s" },
		(char[]){ "--rotate-seconds=600" },
		(char[]){ "--attester=none" }, (char[]){ "--mesh=1.2.3.4:5" },
		(char[]){ "--mesh=[::]:5" },
		(char[]){ "--advertise=1.2.3.4:5" }, (char[]){ "--join=t" },
		(char[]){ "--api=127.0.0.1:1" },
		(char[]){ "--management=127.0.0.1:2" },
		(char[]){ "--backend=unix:/a" },
		(char[]){ "--require-attested-hosts" },
		(char[]){ "--allow-plaintext-peers" },
		(char[]){ "--allow-unsigned-keys" } };
	struct run_options o;
	char error[256];
	int r;

	(void)state;
	r = run_options_read(
	    &o, (int)N_ELEMENTS(argv), argv, error, sizeof(error));
	// A device is no configuration file.
	assert_int_equal(r, -ENODEV);
	run_options_done(&o);
	argv[1] = (char[]){ "--log-level=error" };
	r = run_options_read(
	    &o, (int)N_ELEMENTS(argv), argv, error, sizeof(error));
	assert_int_equal(r, 0);
	expect_arguments(&o, CRYPTOD,
	    "meshllm-cryptod --state-dir=/s/cryptod --log-level=error "
	    "--rotate-seconds=600");
	expect_arguments(&o, SIGNER,
	    "meshllm-attestd --role=signer --state-dir=/s/attestd "
	    "--log-level=error --attester=none");
	expect_arguments(&o, GOSSIPD,
	    "meshllm-gossipd --state-dir=/s/gossipd --log-level=error "
	    "--mesh=1.2.3.4:5 --mesh=[::]:5 --advertise=1.2.3.4:5 --join=t");
	expect_arguments(&o, PROXYD,
	    "meshllm-proxyd --log-level=error --api=127.0.0.1:1 "
	    "--management=127.0.0.1:2 --backend=unix:/a "
	    "--require-attested-hosts --allow-plaintext-peers "
	    "--allow-unsigned-keys");
	run_options_done(&o);
}

// ---- channels

static bool
is_pair(int a, int b)
{
	char byte = 0;

	return send(a, "x", 1, MSG_DONTWAIT) == 1 &&
	    recv(b, &byte, 1, MSG_DONTWAIT) == 1 && byte == 'x';
}

// Positions behind the parent's channel, as every daemon's table has them.
static void
the_channels_are_those_that_the_architecture_draws(void **state)
{
	static const size_t n_channels[N_DAEMONS] = { [CRYPTOD] = 4,
		[SIGNER] = 2,
		[VERIFIER] = 1,
		[GOSSIPD] = 4,
		[PROXYD] = 3 };
	static struct suite s;
	int parent[N_DAEMONS];

	(void)state;
	assert_int_equal(suite_make_channels(&s, parent), 0);
	for (size_t d = 0; d < N_DAEMONS; d++) {
		assert_int_equal(s.children[d].n_fds, 1 + n_channels[d]);
		assert_true(is_pair(parent[d], s.children[d].fds[0]));
		(void)close(parent[d]);
	}
#define END(daemon, i) s.children[daemon].fds[1 + (i)]
	assert_true(is_pair(END(CRYPTOD, 0), END(PROXYD, 0)));
	assert_true(is_pair(END(CRYPTOD, 1), END(GOSSIPD, 0)));
	assert_true(is_pair(END(CRYPTOD, 2), END(GOSSIPD, 1)));
	assert_true(is_pair(END(CRYPTOD, 3), END(SIGNER, 0)));
	assert_true(is_pair(END(GOSSIPD, 2), END(PROXYD, 1)));
	assert_true(is_pair(END(GOSSIPD, 3), END(SIGNER, 1)));
	assert_true(is_pair(END(PROXYD, 2), END(VERIFIER, 0)));
	suite_close_channels(&s);
}

static void
the_end_of_a_child_is_told_in_words(void **state)
{
	char text[WAIT_TEXT_MAX];

	(void)state;
	describe_wait(SIGSYS, text);
	assert_string_equal(text,
	    "killed by SIGSYS: broke its sandbox; the kernel's audit log "
	    "names the system call");
	describe_wait(SIGSEGV | 0x80, text);
	assert_string_equal(text, "killed by SIGSEGV");
	describe_wait(3 << 8, text);
	assert_string_equal(text, "exit status 3");
	describe_wait(SPAWN_NO_EXEC << 8, text);
	assert_string_equal(
	    text, "exit status 127: its program could not be run");
}

// ---- the management port

static int
parse(const char *text, struct http_answer *ret)
{
	return http_answer_parse(text, strlen(text), ret);
}

static void
a_plain_answer_is_understood(void **state)
{
	struct http_answer a;

	(void)state;
	assert_int_equal(parse("HTTP/1.1 200 OK\r\nContent-Type: x\r\n"
			       "content-length:\t 2 \r\n\r\n{}",
			     &a),
	    0);
	assert_int_equal(a.status, 200);
	assert_int_equal(a.body_len, 2);
	assert_memory_equal(a.body, "{}", 2);
	assert_int_equal(
	    parse("HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", &a), 0);
	assert_int_equal(a.status, 404);
}

static void
every_other_answer_is_refused(void **state)
{
	static const char *const bad[] = { "", "\n", "\r\n\r\n", "HTTP/1.1 200",
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}}",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2"
		"\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
		"Transfer-Encoding: chunked\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n" };
	struct http_answer a;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(parse(bad[i], &a), -EBADMSG);
}

// ---- the status

static const char status_text[] =
    "{\"version\":\"0.1.0\",\"id\":\"aabb\",\"short_id\":\"aabb\","
    "\"token\":\"eyJpZCI6\",\"role\":\"host\",\"api\":\"127.0.0.1:1\","
    "\"management\":\"127.0.0.1:2\",\"mesh\":[\"1.2.3.4:5\"],"
    "\"require_attested\":null,\"allow_plaintext_peers\":false,"
    "\"allow_unsigned_keys\":true,\"models\":[\"echo\"],\"backends\":"
    "[{\"url\":\"http://b\",\"state\":\"down\",\"models\":[],"
    "\"error\":\"refused\"}],\"processes\":[{\"name\":\"cryptod\","
    "\"pid\":7,\"state\":\"up\",\"rss_bytes\":2202010}],\"peers\":[{\"id\":"
    "\"cc\","
    "\"short_id\":\"cc\",\"role\":\"host\",\"models\":"
    "[\"m1\",\"m\\u001b[2J2\"],\"connected\":true,\"rtt_ms\":1.25,"
    "\"requests_now\":2,\"others\":[{\"model\":\"m1\",\"running\":3,"
    "\"limit\":4,\"queued\":1,\"age_ms\":5},{\"running\":-9}],"
    "\"encryption\":\"sealed\",\"attestation\":{\"level\":\"none\","
    "\"reason\":\"x\"},\"dialect\":\"meshllm\","
    "\"last_seen_unix_ms\":1000},{\"id\":1,\"models\":[2]}]}";

static json_t *
parse_status(const char *text)
{
	char error[128] = "";
	json_t *status = status_parse(text, strlen(text), error, sizeof(error));

	assert_true((status == NULL) == (error[0] != '\0'));
	return status;
}

static void
a_malformed_address_is_named_with_its_line(void **state)
{
	static const struct {
		const char *text, *complaint;
	} list[] = {
		{ "[proxyd]\napi = 1\n",
		    ":2: api: the value \"1\" is not ADDR:PORT" },
		{ "[gossipd]\n\nmesh = host:1\n",
		    ":3: mesh: the value \"host:1\" is not ADDR:PORT" },
		{ "[meshllm]\nlog-level = all\n",
		    ":2: log-level: the value \"all\" is not error," },
	};
	char path[] = "/tmp/meshllm-ctl-test-XXXXXX", error[512];
	struct run_options o = { 0 };
	int fd = mkstemp(path);

	(void)state;
	assert_int_not_equal(fd, -1);
	for (size_t i = 0; i < N_ELEMENTS(list); i++) {
		ssize_t len = (ssize_t)strlen(list[i].text);

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, list[i].text, (size_t)len, 0), len);
		assert_int_equal(
		    run_options_load(&o, path, error, sizeof(error)), -EINVAL);
		if (strstr(error, list[i].complaint) == NULL)
			fail_msg("%s", error);
		run_options_done(&o);
		o = (struct run_options){ 0 };
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(close(fd), 0);
}

// Peers choose how many models they name, and how they are called.
static void
a_list_that_is_too_long_is_cut_once(void **state)
{
	json_t *status = parse_status(status_text);
	json_t *peer = json_array_get(json_object_get(status, "peers"), 0);
	json_t *models = json_array();
	char *text = NULL, *cut;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	for (int i = 0; i < 256; i++)
		assert_int_equal(
		    json_array_append_new(models, json_string("a/b")), 0);
	assert_int_equal(json_object_set(status, "models", models), 0);
	assert_int_equal(json_object_set_new(peer, "models", models), 0);
	status_print(f, status, 61 * 1000);
	assert_int_equal(fclose(f), 0);
	cut = strstr(text, "...\n"); // of the node itself
	assert_non_null(cut);
	assert_true(cut[-1] != '.');
	cut = strstr(cut + 4, "...  "); // of the peer
	assert_non_null(cut);
	assert_true(cut[-1] != '.');
	for (const char *line = text; *line != '\0'; line++) {
		assert_true(strcspn(line, "\n") < 200);
		line += strcspn(line, "\n");
	}
	free(text);
	json_decref(status);
}

static void
what_a_level_does_not_protect_from_is_printed(void **state)
{
	json_t *status =
	    parse_status("{\"id\":\"a\",\"processes\":[],\"peers\":["
			 "{\"attestation\":{\"level\":\"hardware\"}},"
			 "{\"attestation\":{\"level\":\"hardware\"}},"
			 "{\"attestation\":{\"level\":\"best of all\"}}]}");
	char *text = NULL, *line;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	status_print(f, status, 61 * 1000);
	assert_int_equal(fclose(f), 0);
	line = strstr(text, "  hardware: The host's operator can still read");
	assert_non_null(line);
	assert_null(strstr(line + 3, "hardware: "));
	assert_null(strstr(text, "pinned: "));
	free(text);
	json_decref(status);
}

static void
the_status_is_printed_with_foreign_text_escaped(void **state)
{
	json_t *status = parse_status(status_text);
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_non_null(status);
	status_print(f, status, 61 * 1000);
	assert_int_equal(fclose(f), 0);
	assert_null(strchr(text, '\033'));
	assert_non_null(strstr(text, "m1, m\\x1b[2J2"));
	assert_non_null(strstr(text, "unsigned keys  ALLOWED\n"));
	assert_non_null(strstr(text, "http://b  down   -       refused\n"));
	assert_non_null(strstr(text, "cryptod  7    up     2.1 MiB\n"));
	assert_non_null(strstr(text,
	    "1.2 ms  2+4   sealed      none         meshllm"
	    "  60 s ago\n"));
	free(text);
	assert_string_equal(status_token(status), "eyJpZCI6");
	json_decref(status);
}

static void
what_is_no_status_is_refused(void **state)
{
	json_t *status;

	(void)state;
	assert_null(parse_status(""));
	assert_null(parse_status("[]"));
	assert_null(parse_status("{}"));
	assert_null(parse_status("{\"id\":\"a\",\"peers\":[]}"));
	assert_null(parse_status("{\"id\":1,\"peers\":[],\"processes\":[]}"));
	assert_null(parse_status(
	    "{\"id\":\"a\",\"id\":\"b\",\"peers\":[],\"processes\":[]}"));
	status = parse_status("{\"id\":\"a\",\"peers\":[],\"processes\":[],"
			      "\"token\":\"a\\u001bb\"}");
	assert_non_null(status);
	assert_null(status_token(status));
	json_decref(status);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_option_goes_to_its_owner_only),
		cmocka_unit_test(
		    the_channels_are_those_that_the_architecture_draws),
		cmocka_unit_test(the_end_of_a_child_is_told_in_words),
		cmocka_unit_test(a_plain_answer_is_understood),
		cmocka_unit_test(every_other_answer_is_refused),
		cmocka_unit_test(what_a_level_does_not_protect_from_is_printed),
		cmocka_unit_test(
		    the_status_is_printed_with_foreign_text_escaped),
		cmocka_unit_test(a_malformed_address_is_named_with_its_line),
		cmocka_unit_test(a_list_that_is_too_long_is_cut_once),
		cmocka_unit_test(what_is_no_status_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
