// proxyd as a host: what peers may ask through a tunnel, what they get, and
// what happens to the backend when they leave.  The opener is this test; the
// backend is the demo backend.
#include "tests/unit/proxyd_rig.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "proxyd/sealed_v1.h"

#define CHAT "/v1/chat/completions"

struct host {
	struct rig rig;
	pid_t backend;
	char backend_address[64];
	struct node peer;
};

static void
backend_start(struct host *h, const char *port, const char *fault)
{
	char line[128], argument[32], fault_argument[64];
	int out[2];
	ssize_t n;

	(void)snprintf(argument, sizeof(argument), "--port=%s", port);
	(void)snprintf(fault_argument, sizeof(fault_argument), "--fault=%s",
	    fault == NULL ? "" : fault);
	assert_int_equal(pipe(out), 0);
	h->backend = fork();
	assert_true(h->backend >= 0);
	if (h->backend == 0) {
		// A test that fails leaves nobody behind.
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(out[1], STDOUT_FILENO);
		(void)close(out[0]);
		(void)close(out[1]);
		(void)execl(BACKEND_PROGRAM, "backend", argument,
		    "--model=near", fault == NULL ? NULL : fault_argument,
		    NULL);
		_exit(127);
	}
	(void)close(out[1]);
	n = read(out[0], line, sizeof(line) - 1);
	assert_true(n > 0);
	line[n] = '\0';
	(void)close(out[0]);
	assert_int_equal(
	    sscanf(line, "listening http://%63s", h->backend_address), 1);
}

static void
backend_stop(struct host *h)
{
	(void)kill(h->backend, SIGKILL);
	(void)waitpid(h->backend, NULL, 0);
}

static void
host_start(struct host *h, const char *option)
{
	char url[96];
	const char *args[] = { "--backend", url, option, NULL };

	memset(h, 0, sizeof(*h));
	backend_start(h, "0", NULL);
	(void)snprintf(url, sizeof(url), "http://%s/v1", h->backend_address);
	rig_start(&h->rig, args);
	h->peer = node_make();
	RIG_UNTIL(&h->rig, h->rig.n_self_models == 1);
}

static void
host_stop(struct host *h)
{
	rig_stop(&h->rig);
	backend_stop(h);
}

// One number of the backend's statistics.
static long
backend_count(struct host *h, const char *name)
{
	struct reply reply;
	char key[64];
	const char *at;
	long n;

	http_get(&h->rig, h->backend_address, "/stats", &reply);
	(void)snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(reply.body, key);
	assert_non_null(at);
	n = atol(at + strlen(key));
	reply_done(&reply);
	return n;
}

// Ask sealed and read the whole answer.  false: cut, or nothing.
static bool
ask(struct host *h, const char *plain, struct buf *ret)
{
	uint8_t key[REQUEST_KEY_LEN];
	int tunnel = rig_open_tunnel(&h->rig, h->peer.id);
	bool is_whole;

	opener_write(tunnel, &h->rig.self, plain, key);
	is_whole = opener_read(&h->rig, tunnel, &h->rig.self, key, ret);
	(void)close(tunnel);
	return is_whole;
}

// The same, with all of the request in the tunnel when proxyd gets it.
static bool
ask_late(struct host *h, const char *plain, struct buf *ret)
{
	uint8_t key[REQUEST_KEY_LEN];
	int pair[2];
	bool is_whole;

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	opener_write(pair[0], &h->rig.self, plain, key);
	rig_hand_tunnel(&h->rig, h->peer.id, pair[1]);
	is_whole = opener_read(&h->rig, pair[0], &h->rig.self, key, ret);
	(void)close(pair[0]);
	return is_whole;
}

static const char *
post(char *ret, size_t size, const char *path, const char *body)
{
	(void)snprintf(ret, size,
	    "POST %s HTTP/1.1\r\nHost: anything\r\n"
	    "Authorization: Bearer hidden\r\nCookie: hidden\r\n"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	    path, strlen(body), body);
	return ret;
}

static int
status_of(const struct buf *plain)
{
	int status = 0;

	assert_int_equal(
	    sscanf((const char *)buf_data(plain), "HTTP/1.1 %d", &status), 1);
	return status;
}

#define BODY(more)                                              \
	"{\"model\":\"near\",\"messages\":[{\"role\":\"user\"," \
	"\"content\":\"one two\"}]" more "}"

static void
a_sealed_request_is_answered_to_its_end(void **state)
{
	static const char *const bodies[] = { BODY(""),
		BODY(",\"stream\":true"), BODY(",\"demo_framing\":\"eof\""),
		BODY(",\"demo_framing\":\"chunked\",\"demo_bytes\":300000") };
	struct host h;
	struct buf plain;
	char text[1024];

	(void)state;
	host_start(&h, NULL);
	for (size_t i = 0; i < N_ELEMENTS(bodies); i++) {
		assert_true(
		    ask(&h, post(text, sizeof(text), CHAT, bodies[i]), &plain));
		assert_non_null(
		    strstr((char *)buf_data(&plain), "HTTP/1.1 200 OK\r\n"));
		assert_null(strstr((char *)buf_data(&plain), "Meshllm"));
		buf_release(&plain);
	}
	assert_int_equal(backend_count(&h, "authorization_seen"), 0);
	assert_int_equal(backend_count(&h, "cookie_seen"), 0);
	host_stop(&h);
}

static void
the_node_announces_what_its_backend_has(void **state)
{
	struct host h;

	(void)state;
	host_start(&h, NULL);
	assert_true(h.rig.self_host);
	assert_string_equal(h.rig.self_model, "near");
	backend_stop(&h);
	// The probe finds out by itself.
	for (unsigned i = 0; i < 20 && h.rig.n_self_models != 0; i++)
		rig_run_ms(&h.rig, 1000);
	assert_int_equal(h.rig.n_self_models, 0);
	rig_stop(&h.rig);
}

static void
only_the_short_list_of_paths_exists(void **state)
{
	static const struct {
		const char *path;
		const char *body;
		int status;
	} table[] = {
		{ "/mesh/drop", "{\"model\":\"near\"}", 404 },
		{ "/mesh/load", "{\"model\":\"near\"}", 404 },
		{ "/api/status", "{}", 404 },
		{ "/stats", "{}", 404 },
		{ "/v1/models", "{}", 405 },
		{ "/v1/models/near", "{}", 404 },
		{ CHAT, "{\"model\":\"near\",", 400 },
		{ CHAT, "{\"messages\":[]}", 400 },
		{ CHAT, "{\"model\":\"other\"}", 404 },
	};
	struct host h;
	struct buf plain;
	char text[1024];

	(void)state;
	host_start(&h, NULL);
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		assert_true(ask(&h,
		    post(text, sizeof(text), table[i].path, table[i].body),
		    &plain));
		if (status_of(&plain) != table[i].status)
			fail_msg(
			    "%s: %s", table[i].path, (char *)buf_data(&plain));
		assert_non_null(
		    strstr((char *)buf_data(&plain), "{\"error\":{"));
		buf_release(&plain);
	}
	assert_int_equal(backend_count(&h, "last_body_bytes"), 0);
	assert_true(ask(&h, "GET /v1/models HTTP/1.1\r\n\r\n", &plain));
	assert_non_null(strstr((char *)buf_data(&plain), "\"near\""));
	buf_release(&plain);
	host_stop(&h);
}

static void
a_request_is_never_forwarded_to_a_third_node(void **state)
{
	struct host h;
	struct node third = node_make();
	struct buf plain;
	char text[1024];

	(void)state;
	host_start(&h, NULL);
	rig_tell_peer(&h.rig, &third, PEER_SIGNED, "far");
	assert_true(ask(&h,
	    post(text, sizeof(text), CHAT,
		"{\"model\":\"far\",\"messages\":[]}"),
	    &plain));
	assert_int_equal(status_of(&plain), 404);
	buf_release(&plain);
	// Nor told of.
	assert_true(ask(&h, "GET /v1/models HTTP/1.1\r\n\r\n", &plain));
	assert_null(strstr((char *)buf_data(&plain), "far"));
	buf_release(&plain);
	assert_int_equal(h.rig.n_tunnels, 0);
	host_stop(&h);
}

static void
what_cannot_be_opened_is_dropped_without_a_word(void **state)
{
	struct host h;
	struct node other = node_make();
	uint8_t key[REQUEST_KEY_LEN];
	struct buf plain;
	int tunnel;

	(void)state;
	host_start(&h, NULL);
	for (int i = 0; i < 6; i++) {
		tunnel = rig_open_tunnel(&h.rig, h.peer.id);
		h.rig.open_result = i == 1 ? IPC__RESULT__RESULT_REPLAYED
					   : IPC__RESULT__RESULT_OK;
		if (i == 0) // to another key
			opener_write(
			    tunnel, &other, "GET / HTTP/1.1\r\n\r\n", key);
		if (i == 1) // seen before
			opener_write(tunnel, &h.rig.self,
			    "GET /v1/models HTTP/1.1\r\n\r\n", key);
		if (i == 2)
			write_all(tunnel, "\xe1{\"model\":\"", 11);
		if (i == 3)
			write_all(tunnel, "\xe1nonsense", 9);
		if (i == 4)
			write_all(tunnel, "\xe1", 1);
		// i == 5: nothing at all
		(void)shutdown(tunnel, SHUT_WR);
		assert_false(
		    opener_read(&h.rig, tunnel, &h.rig.self, key, &plain));
		assert_int_equal(buf_len(&plain), 1);
		buf_release(&plain);
		(void)close(tunnel);
	}
	host_stop(&h);
}

static void
an_opener_that_leaves_stops_the_backend(void **state)
{
	struct host h;
	uint8_t key[REQUEST_KEY_LEN];
	char text[1024];
	int tunnel;

	(void)state;
	host_start(&h, NULL);
	for (int i = 0; i < 2; i++) {
		tunnel = rig_open_tunnel(&h.rig, h.peer.id);
		opener_write(tunnel, &h.rig.self,
		    post(text, sizeof(text), CHAT,
			i == 0 ? BODY(",\"stream\":true,\"demo_tokens\":9999,"
				      "\"demo_delay_ms\":20")
			       : BODY(",\"demo_first_ms\":20000")),
		    key);
		// The opener's FIN alone is no reason to stop.
		rig_run_ms(&h.rig, 300);
		assert_int_equal(backend_count(&h, "answers_now"), 1);
		(void)close(tunnel);
		RIG_UNTIL(&h.rig, backend_count(&h, "answers_now") == 0);
	}
	assert_int_equal(backend_count(&h, "aborted"), 2);
	host_stop(&h);
}

static void
what_its_opener_has_left_is_not_begun(void **state)
{
	struct host h;
	uint8_t key[REQUEST_KEY_LEN];
	char text[1024];
	int tunnel;

	(void)state;
	host_start(&h, NULL);
	tunnel = rig_open_tunnel(&h.rig, h.peer.id);
	opener_write(
	    tunnel, &h.rig.self, post(text, sizeof(text), CHAT, BODY("")), key);
	(void)close(tunnel);
	RIG_UNTIL(&h.rig, h.rig.n_opens == 1);
	rig_run_ms(&h.rig, 300);
	assert_int_equal(backend_count(&h, "last_body_bytes"), 0);
	host_stop(&h);
}

// Stopped, asleep: what came before that is for another host by now.
static void
what_waited_while_the_node_was_held_up_is_not_begun(void **state)
{
	static const struct {
		unsigned late_ms;
		const char *alive;
		int status;
	} table[] = {
		{ 25000, "10", 503 },
		{ 25000, "", 503 },
		{ 25000, "3600", 503 },
		{ 3500, "2", 503 },
		{ 3500, "1", 503 },
		{ 3500, "10", 200 },
		{ 3500, "", 200 },
	};
	struct host h;
	struct buf plain;
	char text[1024];

	(void)state;
	host_start(&h, NULL);
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		(void)snprintf(text, sizeof(text),
		    "POST %s HTTP/1.1\r\n%s%s\r\n"
		    "Content-Type: application/json\r\n"
		    "Content-Length: %zu\r\n\r\n%s",
		    CHAT,
		    table[i].alive[0] == '\0' ? "Accept: */*"
					      : "X-Meshllm-Alive: ",
		    table[i].alive, strlen(BODY("")), BODY(""));
		h.rig.late_ms = table[i].late_ms;
		assert_true(ask_late(&h, text, &plain));
		assert_int_equal(status_of(&plain), table[i].status);
		buf_release(&plain);
		if (table[i].status != 200)
			assert_int_equal(
			    backend_count(&h, "last_body_bytes"), 0);
	}
	host_stop(&h);
}

static void
a_backend_that_is_cut_off_leaves_no_end_mark(void **state)
{
	struct host h;
	struct buf plain;
	char text[1024];

	(void)state;
	host_start(&h, NULL);
	assert_false(ask(&h,
	    post(text, sizeof(text), CHAT,
		BODY(",\"stream\":true,\"fault\":\"cut\",\"fault_after\":1,"
		     "\"demo_delay_ms\":50,\"demo_tokens\":9")),
	    &plain));
	assert_int_equal(status_of(&plain), 200);
	buf_release(&plain);
	// Before its first byte it is an error that can be read.
	assert_true(ask(&h,
	    post(text, sizeof(text), CHAT,
		BODY(",\"fault\":\"close_before_head\"")),
	    &plain));
	assert_int_equal(status_of(&plain), 502);
	buf_release(&plain);
	host_stop(&h);
}

static void
plain_requests_are_served_only_when_allowed(void **state)
{
	struct host h;
	struct reply reply;
	char text[1024];
	int tunnel;

	(void)state;
	for (int allowed = 0; allowed < 2; allowed++) {
		host_start(&h, allowed ? "--allow-plaintext-peers" : NULL);
		tunnel = rig_open_tunnel(&h.rig, h.peer.id);
		(void)post(text, sizeof(text), CHAT, BODY(""));
		write_all(tunnel, text, strlen(text));
		// An old opener does not finish its side.
		http_read(&h.rig, tunnel, &reply);
		assert_true(reply.is_complete);
		assert_int_equal(reply.status, allowed ? 200 : 403);
		assert_int_equal(
		    reply_has(&reply, "\"plaintext_refused\""), !allowed);
		reply_done(&reply);
		(void)close(tunnel);
		assert_int_equal(
		    backend_count(&h, "last_body_bytes") > 0, allowed != 0);
		http_get(&h.rig, h.rig.management, "/api/status", &reply);
		assert_true(reply_has(&reply, "\"plain_in\":1"));
		assert_true(reply_has(&reply,
		    allowed ? "\"plain_served\":1" : "\"plain_refused\":1"));
		reply_done(&reply);
		host_stop(&h);
	}
}

// With a request that asks for signs of life, which only our dialect does.
static const char *
post_of_ours(char *ret, size_t size, const char *body)
{
	(void)snprintf(ret, size,
	    "POST " CHAT " HTTP/1.1\r\nHost: anything\r\n"
	    "Content-Type: application/json\r\nX-Meshllm-Alive: 10\r\n"
	    "Content-Length: %zu\r\n\r\n%s",
	    strlen(body), body);
	return ret;
}

static void
the_load_is_told_inside_the_seal_to_our_dialect_only(void **state)
{
	static const struct {
		const char *body;
		int status;
		bool is_told;
	} table[] = {
		{ BODY(""), 200, true },
		{ BODY(",\"stream\":true"), 200, true },
		{ BODY(",\"fault\":\"close_before_head\""), 502, true },
		{ "{\"model\":\"far\",\"messages\":[]}", 404, false },
		{ "{\"model\":\"near\",", 400, false },
	};
	struct host h;
	struct buf plain;
	struct reply reply;
	char text[1024];
	int tunnel;

	(void)state;
	host_start(&h, "--allow-plaintext-peers");
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		assert_true(ask(&h,
		    post_of_ours(text, sizeof(text), table[i].body), &plain));
		assert_int_equal(status_of(&plain), table[i].status);
		// Of the asker's own request nothing.
		assert_int_equal(strstr((char *)buf_data(&plain),
				     "X-Meshllm-Load: 0/4096 0\r\n") != NULL,
		    table[i].is_told);
		buf_release(&plain);
	}
	assert_true(ask(&h, post(text, sizeof(text), CHAT, BODY("")), &plain));
	assert_null(strstr((char *)buf_data(&plain), "Meshllm"));
	buf_release(&plain);
	tunnel = rig_open_tunnel(&h.rig, h.peer.id);
	(void)post_of_ours(text, sizeof(text), BODY(""));
	write_all(tunnel, text, strlen(text));
	http_read(&h.rig, tunnel, &reply);
	assert_int_equal(reply.status, 200);
	assert_false(reply_has(&reply, "Meshllm-Load"));
	reply_done(&reply);
	(void)close(tunnel);
	host_stop(&h);
}

static void
only_one_request_is_read_from_a_tunnel(void **state)
{
	struct host h;
	struct buf plain;
	char text[2048];
	size_t n;
	long before;

	(void)state;
	host_start(&h, NULL);
	// Its first probe is over; the next one comes in 10 seconds.
	before = backend_count(&h, "requests");
	(void)post(text, sizeof(text), CHAT, BODY(""));
	n = strlen(text);
	(void)post(text + n, sizeof(text) - n, CHAT, BODY(""));
	assert_true(ask(&h, text, &plain));
	buf_release(&plain);
	assert_int_equal(backend_count(&h, "requests"), before + 1);
	// Both framings, and the hidden second request with them.
	assert_true(ask(&h,
	    "POST " CHAT " HTTP/1.1\r\nContent-Type: application/json\r\n"
	    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "0\r\n\r\nPOST /admin HTTP/1.1\r\n\r\n",
	    &plain));
	assert_int_equal(status_of(&plain), 400);
	buf_release(&plain);
	assert_int_equal(backend_count(&h, "requests"), before + 1);
	host_stop(&h);
}

// Two real proxyds: what one opens, the other gets.
static void
two_nodes_talk_sealed(void **state)
{
	struct host h;
	struct rig client;
	struct reply reply;
	const char *const no_args[] = { NULL };
	const size_t big = 3 * 1000 * 1000;
	char *body;
	int fd;

	(void)state;
	host_start(&h, NULL);
	rig_start(&client, no_args);
	rig_tell_peer(&client, &h.rig.self, PEER_SIGNED, "near");
	assert_non_null(body = malloc(big + 256));
	for (int i = 0; i < 3; i++) {
		(void)strcpy(body,
		    "{\"model\":\"near\",\"max_tokens\":3,\"messages\":"
		    "[{\"role\":\"user\",\"content\":\"one two three ");
		if (i == 2) {
			memset(body + strlen(body), 'x', big);
			body[big + 90] = '\0';
		}
		(void)strcat(body, "\"}]");
		(void)strcat(body, i == 1 ? ",\"stream\":true}" : "}");
		fd = http_connect(client.api);
		http_send(fd,
		    "POST %s HTTP/1.1\r\nHost: localhost\r\n"
		    "X-Request-Id: from-the-test\r\n"
		    "Content-Type: application/json\r\n"
		    "Content-Length: %zu\r\n\r\n",
		    CHAT, strlen(body));
		write_all(fd, body, strlen(body));
		RIG_UNTIL(&client, client.n_tunnels > client.n_taken);
		rig_hand_tunnel(
		    &h.rig, client.self.id, rig_take_tunnel(&client));
		// The host's cryptod is this test as well.
		for (int k = 0; k < 200; k++) {
			rig_turn(&h.rig);
			rig_turn(&client);
		}
		http_read(&client, fd, &reply);
		assert_true(reply.is_complete);
		assert_int_equal(reply.status, 200);
		assert_true(reply_has(&reply, "three"));
		assert_true(
		    reply_has(&reply, "X-Meshllm-Encrypted: sealed\r\n"));
		assert_true(
		    reply_has(&reply, "X-Request-Id: from-the-test\r\n"));
		reply_done(&reply);
		(void)close(fd);
	}
	free(body);
	rig_stop(&client);
	host_stop(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_request_is_answered_to_its_end),
		cmocka_unit_test(only_the_short_list_of_paths_exists),
		cmocka_unit_test(a_request_is_never_forwarded_to_a_third_node),
		cmocka_unit_test(
		    what_cannot_be_opened_is_dropped_without_a_word),
		cmocka_unit_test(an_opener_that_leaves_stops_the_backend),
		cmocka_unit_test(what_its_opener_has_left_is_not_begun),
		cmocka_unit_test(
		    what_waited_while_the_node_was_held_up_is_not_begun),
		cmocka_unit_test(a_backend_that_is_cut_off_leaves_no_end_mark),
		cmocka_unit_test(plain_requests_are_served_only_when_allowed),
		cmocka_unit_test(
		    the_load_is_told_inside_the_seal_to_our_dialect_only),
		cmocka_unit_test(only_one_request_is_read_from_a_tunnel),
		cmocka_unit_test(two_nodes_talk_sealed),
		cmocka_unit_test(the_node_announces_what_its_backend_has),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
