// proxyd as a host: what peers may ask through a tunnel, and what they get. The
// opener is this test; the backend is the demo backend.
#include "tests/unit/proxyd_host_rig.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

// A prompt that ends in so many letters more.
static char *
long_prompt(size_t more, const char *end)
{
	static const char head[] =
	    "{\"model\":\"near\",\"max_tokens\":3,\"messages\":"
	    "[{\"role\":\"user\",\"content\":\"one two three ";
	char *body = malloc(sizeof(head) + more + strlen(end));

	assert_non_null(body);
	memcpy(body, head, sizeof(head) - 1);
	memset(body + sizeof(head) - 1, 'x', more);
	(void)strcpy(body + sizeof(head) - 1 + more, end);
	return body;
}

// Through the tunnel that the client opens for it, which is the host's then.
static void
ask_through(struct rig *client, struct host *h, const char *body)
{
	struct reply reply;
	int fd = http_connect(client->api);

	http_send(fd,
	    "POST %s HTTP/1.1\r\nHost: localhost\r\n"
	    "X-Request-Id: from-the-test\r\n"
	    "Content-Type: application/json\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    CHAT, strlen(body));
	write_all(fd, body, strlen(body));
	RIG_UNTIL(client, client->n_tunnels > client->n_taken);
	rig_hand_tunnel(&h->rig, client->self.id, rig_take_tunnel(client));
	// The host's cryptod is this test as well.
	for (int k = 0; k < 200; k++) {
		rig_turn(&h->rig);
		rig_turn(client);
	}
	http_read(client, fd, &reply);
	assert_true(reply.is_complete);
	assert_int_equal(reply.status, 200);
	assert_true(reply_has(&reply, "three"));
	assert_true(reply_has(&reply, "X-Meshllm-Encrypted: sealed\r\n"));
	assert_true(reply_has(&reply, "X-Request-Id: from-the-test\r\n"));
	reply_done(&reply);
	(void)close(fd);
}

// Two real proxyds: what one opens, the other gets.
static void
two_nodes_talk_sealed(void **state)
{
	static const struct {
		size_t more;
		const char *end;
	} table[] = {
		{ 0, "\"}]}" },
		{ 0, "\"}],\"stream\":true}" },
		{ 3 * 1000 * 1000, "\"}]}" },
	};
	const char *const no_args[] = { NULL };
	struct host h;
	struct rig client;
	char *body;

	(void)state;
	host_start(&h, NULL);
	rig_start(&client, no_args);
	rig_tell_peer(&client, &h.rig.self, PEER_SIGNED, "near");
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		body = long_prompt(table[i].more, table[i].end);
		ask_through(&client, &h, body);
		free(body);
	}
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
		cmocka_unit_test(plain_requests_are_served_only_when_allowed),
		cmocka_unit_test(
		    the_load_is_told_inside_the_seal_to_our_dialect_only),
		cmocka_unit_test(only_one_request_is_read_from_a_tunnel),
		cmocka_unit_test(two_nodes_talk_sealed),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
