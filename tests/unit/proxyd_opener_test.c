// proxyd as the opener of tunnels: what it sends, what it believes of the
// answer, and what the client is told.  The host is this test.
#include "tests/unit/proxyd_talk.h"

#include <sodium.h>
#include <string.h>
#include <sys/socket.h>

#include "proxyd/ready_keys.h"

static const char *const no_args[] = { NULL };

static void
the_host_gets_a_rebuilt_request_without_credentials(void **state)
{
	struct talk t;
	const char *plain;

	(void)state;
	talk_start(&t, no_args, PEER_SIGNED);
	plain = (const char *)buf_data(&t.request);
	assert_non_null(strstr(plain, "POST " CHAT " HTTP/1.1\r\n"));
	assert_non_null(strstr(plain, "\r\n\r\n" BODY));
	assert_null(strstr(plain, "hidden"));
	assert_null(strcasestr(plain, "authorization"));
	assert_null(strcasestr(plain, "cookie"));
	assert_memory_equal(t.rig.tunnel_ids[0], t.host.id, ENDPOINT_ID_LEN);
	talk_stop(&t);
}

static void
an_answer_is_relayed_as_it_comes(void **state)
{
	struct talk t;
	struct reply reply;
	char some[512];
	ssize_t n;

	(void)state;
	talk_start(&t, no_args, PEER_SIGNED);
	host_header(t.tunnel, t.host.key);
	host_chunk(t.tunnel, t.key, HEAD_SSE "9\r\ndata: 1\n\n\r\n");
	rig_run_ms(&t.rig, 100);
	// The first token is there before the second is sent.
	n = recv(t.client, some, sizeof(some) - 1, MSG_DONTWAIT | MSG_PEEK);
	assert_true(n > 0);
	some[n] = '\0';
	assert_non_null(strstr(some, "data: 1\n\n"));
	host_chunk(t.tunnel, t.key, "9\r\ndata: 2\n\n\r\n0\r\n\r\n");
	host_end(t.tunnel);
	http_read(&t.rig, t.client, &reply);
	assert_true(reply.is_complete);
	assert_int_equal(reply.status, 200);
	assert_true(reply_has(&reply, "X-Meshllm-Encrypted: sealed\r\n"));
	assert_true(reply_has(&reply, "X-Meshllm-Attestation: none\r\n"));
	assert_true(reply_has(&reply, "X-Request-Id: req_"));
	assert_true(reply_has(&reply, "Content-Type: text/event-stream\r\n"));
	assert_true(reply_has(&reply, "data: 2\n\n"));
	assert_false(reply_has(&reply, "Set-Cookie"));
	assert_false(reply_has(&reply, "Server:"));
	assert_false(reply_has(&reply, "liar"));
	assert_false(reply_has(&reply, "-Load"));
	reply_done(&reply);
	http_get(&t.rig, t.rig.management, "/api/status", &reply);
	assert_true(reply_has(&reply,
	    "\"others\":[{\"model\":\"far\",\"running\":3,\"limit\":4,"
	    "\"queued\":12,\"age_ms\":"));
	reply_done(&reply);
	talk_stop(&t);
}

static void
a_missing_end_mark_never_looks_complete(void **state)
{
	static const char *const answers[] = {
		HEAD_4 "full",
		HEAD_SSE "5\r\nhello\r\n0\r\n\r\n",
		HEAD_SSE "5\r\nhello\r\n",
	};
	struct talk t;
	struct reply reply;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(answers); i++) {
		talk_start(&t, no_args, PEER_SIGNED);
		host_header(t.tunnel, t.host.key);
		host_chunk(t.tunnel, t.key, answers[i]);
		rig_run_ms(&t.rig, 50);
		(void)close(t.tunnel);
		http_read(&t.rig, t.client, &reply);
		// The first is held back up to the mark: a real error.
		assert_int_equal(reply.status, i == 0 ? 502 : 200);
		assert_int_equal(reply.is_complete, i == 0);
		if (i > 0)
			assert_true(reply_has(&reply, "data: {\"error\""));
		reply_done(&reply);
		t.tunnel = -1;
		talk_stop(&t);
	}
}

static void
an_answer_with_another_key_or_none_is_refused(void **state)
{
	struct node other = node_make();
	struct talk t;
	struct reply reply;

	(void)state;
	for (int i = 0; i < 5; i++) {
		talk_start(&t, no_args, PEER_SIGNED);
		if (i == 0) { // another key in the header
			host_header(t.tunnel, other.key);
			host_chunk(t.tunnel, t.key, HEAD_4 "full");
		} else if (i == 1) { // plain
			write_all(
			    t.tunnel, HEAD_4 "full", sizeof(HEAD_4 "full") - 1);
		} else if (i == 2) { // sealed with another key
			host_header(t.tunnel, t.host.key);
			host_chunk(t.tunnel, other.secret, HEAD_4 "full");
		} else if (i == 3) { // a length out of bounds
			host_header(t.tunnel, t.host.key);
			write_all(t.tunnel, "\xff\xff\xff\xff", 4);
		} else { // the request itself comes back as the answer
			host_header(t.tunnel, t.host.key);
			host_chunk(t.tunnel, t.key,
			    (const char *)buf_data(&t.request));
		}
		host_end(t.tunnel);
		http_read(&t.rig, t.client, &reply);
		assert_true(reply.is_complete);
		assert_int_equal(reply.status, 502);
		assert_true(reply_has(&reply, "\"bad_sealed_answer\""));
		assert_false(reply_has(&reply, "full"));
		reply_done(&reply);
		talk_stop(&t);
	}
}

static bool
is_closed(int fd)
{
	char c;
	ssize_t n;

	while ((n = recv(fd, &c, 1, MSG_DONTWAIT)) == 1)
		;
	// Bytes in our socket that nobody read may make it a reset.
	return n == 0 || errno != EAGAIN;
}

static void
a_client_that_leaves_closes_the_tunnel(void **state)
{
	struct talk t;

	(void)state;
	for (int i = 0; i < 2; i++) {
		talk_start(&t, no_args, PEER_SIGNED);
		if (i == 1) {
			host_header(t.tunnel, t.host.key);
			host_chunk(t.tunnel, t.key, HEAD_SSE "1\r\nx\r\n");
			rig_run_ms(&t.rig, 50);
		}
		(void)close(t.client);
		t.client = -1;
		RIG_UNTIL(&t.rig,
		    send(t.tunnel, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == -1);
		assert_true(is_closed(t.tunnel));
		talk_stop(&t);
	}
}

static void
siblings_that_fail_end_in_an_error_not_in_silence(void **state)
{
	struct rig rig;
	struct node host = node_make(), other = node_make();
	struct reply reply;
	size_t before;
	int client;

	(void)state;
	rig_start(&rig, no_args);
	rig_tell_peer(&rig, &host, PEER_SIGNED, "far");
	rig.tunnel_result = IPC__RESULT__RESULT_UNREACHABLE;
	http_ask(&rig, CHAT, BODY, &reply);
	assert_int_equal(reply.status, 503);
	assert_true(reply_has(&reply, "Retry-After: "));
	reply_done(&reply);
	rig.tunnel_result = IPC__RESULT__RESULT_OK;
	// cryptod takes the question and dies; no key for that host is ready.
	rig_tell_peer(&rig, &other, PEER_SIGNED, "new");
	rig.cryptod_is_silent = true;
	before = rig.n_seals;
	client = http_post(&rig, CHAT, "{\"model\":\"new\"}");
	RIG_UNTIL(&rig, rig.n_seals > before);
	ipc_peer_free(rig.cryptod);
	rig.cryptod = NULL;
	http_read(&rig, client, &reply);
	assert_int_equal(reply.status, 503);
	reply_done(&reply);
	(void)close(client);
	http_ask(&rig, CHAT, BODY, &reply);
	assert_int_equal(reply.status, 503);
	reply_done(&reply);
	http_get(&rig, rig.management, "/healthz", &reply);
	assert_int_equal(reply.status, 503);
	reply_done(&reply);
	rig_stop(&rig);
}

static void
what_is_pipelined_behind_a_request_stays_as_it_is(void **state)
{
	struct reply first, second;
	struct talk t;

	(void)state;
	talk_start(&t, no_args, PEER_SIGNED);
	// With a key at hand the request leaves while the rest of what was
	// read with it waits.
	(void)close(t.client);
	(void)close(t.tunnel);
	RIG_UNTIL(&t.rig, t.rig.n_seals == 1 + READY_KEYS_PER_ASK);
	rig_run_ms(&t.rig, 100);
	buf_release(&t.request);
	t.rig.cryptod_is_silent = true;
	t.client = http_connect(t.rig.api);
	http_send(t.client,
	    "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\n"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s"
	    "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
	    sizeof(BODY) - 1, BODY);
	t.tunnel = rig_take_tunnel(&t.rig);
	host_read(&t.rig, t.tunnel, &t.host, &t.request, t.key);
	host_header(t.tunnel, t.host.key);
	host_chunk(t.tunnel, t.key, HEAD_4 "full");
	host_end(t.tunnel);
	http_read(&t.rig, t.client, &first);
	assert_int_equal(first.status, 200);
	if (!reply_has(&first, "\"object\":\"list\"")) {
		http_read(&t.rig, t.client, &second);
		assert_int_equal(second.status, 200);
		reply_done(&second);
	}
	reply_done(&first);
	talk_stop(&t);
}

static void
ready_keys_serve_one_request_each_and_their_host_only(void **state)
{
	uint8_t keys[1 + READY_KEYS_PER_ASK][REQUEST_KEY_LEN];
	struct talk t;
	struct node other = node_make();
	size_t n = 0;

	(void)state;
	talk_start(&t, no_args, PEER_SIGNED);
	memcpy(keys[n++], t.key, REQUEST_KEY_LEN);
	(void)close(t.client);
	// Its own, and those asked for ahead of the next ones.
	RIG_UNTIL(&t.rig, t.rig.n_seals == N_ELEMENTS(keys));
	rig_run_ms(&t.rig, 100);
	t.rig.cryptod_is_silent = true;
	while (n < N_ELEMENTS(keys)) {
		(void)close(t.tunnel);
		buf_release(&t.request);
		t.client = http_post(&t.rig, CHAT, BODY);
		t.tunnel = rig_take_tunnel(&t.rig);
		host_read(&t.rig, t.tunnel, &t.host, &t.request, keys[n]);
		for (size_t i = 0; i < n; i++)
			assert_memory_not_equal(
			    keys[i], keys[n], REQUEST_KEY_LEN);
		n++;
		(void)close(t.client);
	}
	// None is left for it; and another host never had one.
	n = t.rig.n_tunnels;
	t.client = http_post(&t.rig, CHAT, BODY);
	rig_run_ms(&t.rig, 100);
	rig_tell_peer(&t.rig, &other, PEER_SIGNED, "new");
	(void)close(t.client);
	t.client = http_post(&t.rig, CHAT, "{\"model\":\"new\"}");
	rig_run_ms(&t.rig, 100);
	assert_memory_equal(t.rig.sealed_to, other.key, INFERENCE_KEY_LEN);
	assert_int_equal(t.rig.n_tunnels, n);
	talk_stop(&t);
}

static void
gossipd_that_breaks_a_rule_loses_its_channel(void **state)
{
	struct rig rig;
	Ipc__PeerGone gone = IPC__PEER_GONE__INIT;

	(void)state;
	rig_start(&rig, no_args);
	gone.endpoint_id.data = rig.self.id;
	gone.endpoint_id.len = 5;
	assert_int_equal(
	    ipc_notify(rig.gossipd, IPC__TYPE__IPC_PEER_GONE, &gone.base, -1),
	    0);
	RIG_UNTIL(&rig, rig.gossipd == NULL);
	assert_false(rig.has_ended);
	rig_stop(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    the_host_gets_a_rebuilt_request_without_credentials),
		cmocka_unit_test(an_answer_is_relayed_as_it_comes),
		cmocka_unit_test(a_missing_end_mark_never_looks_complete),
		cmocka_unit_test(an_answer_with_another_key_or_none_is_refused),
		cmocka_unit_test(a_client_that_leaves_closes_the_tunnel),
		cmocka_unit_test(
		    siblings_that_fail_end_in_an_error_not_in_silence),
		cmocka_unit_test(
		    what_is_pipelined_behind_a_request_stays_as_it_is),
		cmocka_unit_test(
		    ready_keys_serve_one_request_each_and_their_host_only),
		cmocka_unit_test(gossipd_that_breaks_a_rule_loses_its_channel),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
