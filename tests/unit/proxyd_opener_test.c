// proxyd as the opener of tunnels: what it sends to whom, what it believes of
// the answer, and what the client is told.  The host is this test.
#include "proxyd/client.h"
#include "tests/unit/proxyd_rig.h"

#include <sodium.h>
#include <string.h>
#include <sys/socket.h>

#include "proxyd/ready_keys.h"
#include "proxyd/sealed_v1.h"

#define CHAT "/v1/chat/completions"
#define BODY                                                   \
	"{\"model\":\"far\",\"messages\":[{\"role\":\"user\"," \
	"\"content\":\"a secret word\"}]}"
#define HEAD_SSE                                                   \
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"   \
	"Set-Cookie: a=b\r\nServer: x\r\nX-Meshllm-Host: liar\r\n" \
	"X-Meshllm-Load: 3/4 12\r\n"                               \
	"Transfer-Encoding: chunked\r\n\r\n"
#define HEAD_4 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"

static const char *const no_args[] = { NULL };

// Start, tell of one host, ask it, and read what it got.
struct talk {
	struct rig rig;
	struct node host;
	int client, tunnel;
	struct buf request;
	uint8_t key[REQUEST_KEY_LEN];
};

static void
talk_start(struct talk *t, const char *const *args, enum peer_form form)
{
	rig_start(&t->rig, args);
	t->host = node_make();
	rig_tell_peer(&t->rig, &t->host, form, "far");
	t->client = http_post(&t->rig, CHAT, BODY);
	t->tunnel = rig_take_tunnel(&t->rig);
	host_read(&t->rig, t->tunnel, &t->host, &t->request, t->key);
}

static void
talk_stop(struct talk *t)
{
	(void)close(t->client);
	(void)close(t->tunnel);
	buf_release(&t->request);
	rig_stop(&t->rig);
}

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

static void
another_host_is_tried_before_the_first_byte_only(void **state)
{
	struct rig rig;
	struct node hosts[2] = { node_make(), node_make() };
	struct reply reply;
	struct buf request;
	uint8_t key[REQUEST_KEY_LEN];
	const struct node *host;
	int client, tunnel;

	(void)state;
	rig_start(&rig, no_args);
	rig_tell_peer(&rig, &hosts[0], PEER_SIGNED, "far");
	rig_tell_peer(&rig, &hosts[1], PEER_SIGNED, "far");
	for (int how = 0; how < 3; how++) {
		client = http_post(&rig, CHAT, BODY);
		tunnel = rig_take_tunnel(&rig);
		host = memcmp(rig.tunnel_ids[rig.n_taken - 1], hosts[0].id,
			   ENDPOINT_ID_LEN) == 0
		    ? &hosts[0]
		    : &hosts[1];
		host_read(&rig, tunnel, host, &request, key);
		buf_release(&request);
		if (how == 1) {
			host_header(tunnel, host->key);
			host_chunk(tunnel, key,
			    "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
			host_end(tunnel);
		}
		if (how == 2) {
			host_header(tunnel, host->key);
			host_chunk(tunnel, key, HEAD_SSE "2\r\n: \r\n");
			rig_run_ms(&rig, 50);
		}
		(void)close(tunnel);
		if (how == 2) {
			http_read(&rig, client, &reply);
			assert_false(reply.is_complete);
			reply_done(&reply);
			(void)close(client);
			rig_run_ms(&rig, 100);
			assert_int_equal(rig.n_tunnels, rig.n_taken);
			continue;
		}
		tunnel = rig_take_tunnel(&rig);
		host = host == &hosts[0] ? &hosts[1] : &hosts[0];
		assert_memory_equal(
		    rig.tunnel_ids[rig.n_taken - 1], host->id, ENDPOINT_ID_LEN);
		host_read(&rig, tunnel, host, &request, key);
		// The plaintext came back from the first sealing unchanged.
		assert_non_null(
		    strstr((const char *)buf_data(&request), "\r\n\r\n" BODY));
		buf_release(&request);
		host_header(tunnel, host->key);
		host_chunk(tunnel, key, HEAD_4 "full");
		host_end(tunnel);
		http_read(&rig, client, &reply);
		assert_int_equal(reply.status, 200);
		assert_string_equal(reply.body, "full");
		reply_done(&reply);
		(void)close(client);
		(void)close(tunnel);
	}
	rig_stop(&rig);
}

// Asks once; no tunnel may be opened.
static void
assert_refused(struct rig *rig, int status, const char *code)
{
	struct reply reply;
	size_t before = rig->n_tunnels;

	http_ask(rig, CHAT, BODY, &reply);
	assert_int_equal(reply.status, status);
	if (!reply_has(&reply, code))
		fail_msg("%s", reply.head);
	if (status == 503)
		assert_true(reply_has(&reply, "X-Should-Retry: false"));
	assert_int_equal(rig->n_tunnels, before);
	reply_done(&reply);
}

static void
a_host_without_a_proven_key_gets_nothing(void **state)
{
	static const enum peer_form forms[] = { PEER_UNSIGNED, PEER_PLAIN,
		PEER_FORGED };
	struct rig rig;
	struct node host;
	struct reply reply;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(forms); i++) {
		rig_start(&rig, no_args);
		host = node_make();
		assert_refused(&rig, 404, "\"model_not_found\"");
		rig_tell_peer(&rig, &host, forms[i], "far");
		assert_refused(&rig, 503, "\"plaintext_refused\"");
		http_get(&rig, rig.api, "/v1/models", &reply);
		assert_false(reply_has(&reply, "far"));
		reply_done(&reply);
		assert_int_equal(rig.n_seals, 0);
		rig_stop(&rig);
	}
}

static void
an_unsigned_key_is_used_when_that_is_allowed(void **state)
{
	static const char *const args[] = { "--allow-unsigned-keys", NULL };
	struct node plain = node_make();
	struct talk t;

	(void)state;
	talk_start(&t, args, PEER_UNSIGNED);
	talk_stop(&t);
	// But nothing in clear.
	rig_start(&t.rig, args);
	rig_tell_peer(&t.rig, &plain, PEER_PLAIN, "far");
	assert_refused(&t.rig, 503, "\"plaintext_refused\"");
	rig_stop(&t.rig);
}

static void
plaintext_goes_out_only_when_allowed_and_is_marked(void **state)
{
	static const char *const args[] = { "--allow-plaintext-peers", NULL };
	struct rig rig;
	struct node plain = node_make(), sealed = node_make();
	struct reply reply;
	char text[4096] = "";
	int client, tunnel;

	(void)state;
	rig_start(&rig, args);
	rig_tell_peer(&rig, &plain, PEER_PLAIN, "far");
	client = http_post(&rig, CHAT, BODY);
	tunnel = rig_take_tunnel(&rig);
	rig_run_ms(&rig, 100);
	assert_true(recv(tunnel, text, sizeof(text) - 1, MSG_DONTWAIT) > 0);
	assert_non_null(strstr(text, "a secret word"));
	assert_null(strstr(text, "hidden"));
	write_all(tunnel, HEAD_4 "full", sizeof(HEAD_4 "full") - 1);
	(void)close(tunnel);
	http_read(&rig, client, &reply);
	assert_int_equal(reply.status, 200);
	assert_true(reply_has(&reply, "X-Meshllm-Encrypted: no\r\n"));
	reply_done(&reply);
	(void)close(client);
	http_get(&rig, rig.management, "/api/status", &reply);
	assert_true(reply_has(&reply, "\"plain_sent\":1"));
	reply_done(&reply);
	// A host with a key is never spoken to in clear, and is preferred.
	rig_tell_peer(&rig, &sealed, PEER_SIGNED, "far");
	client = http_post(&rig, CHAT, BODY);
	tunnel = rig_take_tunnel(&rig);
	rig_run_ms(&rig, 100);
	memset(text, 0, sizeof(text));
	assert_true(recv(tunnel, text, sizeof(text) - 1, MSG_DONTWAIT) > 0);
	assert_int_equal((uint8_t)text[0], SEALED_MARK);
	assert_null(strstr(text, "secret"));
	(void)close(client);
	(void)close(tunnel);
	rig_stop(&rig);
}

static void
only_attested_hosts_are_asked_when_that_is_required(void **state)
{
	static const char *const args[] = { "--require-attested-hosts",
		"--allow-plaintext-peers", "--allow-unsigned-keys", NULL };
	struct rig rig;
	struct node host = node_make(), plain = node_make();
	struct node keyed = node_make();
	int client, tunnel;

	(void)state;
	rig_start(&rig, args);
	rig_tell_peer(&rig, &plain, PEER_PLAIN, "far");
	rig_tell_peer(&rig, &keyed, PEER_UNSIGNED, "far");
	assert_refused(&rig, 503, "\"host_not_attested\"");
	rig_tell_peer(&rig, &host, PEER_SIGNED, "far");
	assert_refused(&rig, 503, "\"host_not_attested\"");
	rig.level = IPC__LEVEL__LEVEL_PINNED;
	assert_refused(&rig, 503, "the test says so");
	// High enough, but expired at its use.
	rig.level = IPC__LEVEL__LEVEL_HARDWARE;
	rig.verdict_ms = -1;
	assert_refused(&rig, 503, "\"host_not_attested\"");
	assert_int_equal(rig.n_seals, 0);
	rig.verdict_ms = 60 * 1000;
	client = http_post(&rig, CHAT, BODY);
	tunnel = rig_take_tunnel(&rig);
	assert_memory_equal(rig.tunnel_ids[0], host.id, ENDPOINT_ID_LEN);
	(void)close(client);
	(void)close(tunnel);
	// Good for a minute, and taken back.
	rig.level = IPC__LEVEL__LEVEL_PINNED;
	assert_int_equal(proxyd_verdicts_void_send(rig.verifier, NULL), 0);
	assert_refused(&rig, 503, "the test says so");
	// A dead verifier is no yes.
	ipc_peer_free(rig.verifier);
	rig.verifier = NULL;
	rig_run_ms(&rig, 50);
	keyed = node_make();
	rig_tell_peer(&rig, &host, PEER_SIGNED, "elsewhere");
	rig_tell_peer(&rig, &keyed, PEER_SIGNED, "far");
	assert_refused(&rig, 503, "\"host_not_attested\"");
	rig_stop(&rig);
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
a_model_that_was_there_is_missed_not_unknown(void **state)
{
	struct rig rig;
	struct node host = node_make();
	struct reply reply;

	(void)state;
	rig_start(&rig, no_args);
	rig_tell_peer(&rig, &host, PEER_SIGNED, "far");
	rig_tell_peer(&rig, &host, PEER_SIGNED, NULL);
	http_ask(&rig, CHAT, BODY, &reply);
	assert_int_equal(reply.status, 503);
	assert_true(reply_has(&reply, "Retry-After: "));
	reply_done(&reply);
	rig_stop(&rig);
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
		cmocka_unit_test(
		    another_host_is_tried_before_the_first_byte_only),
		cmocka_unit_test(a_host_without_a_proven_key_gets_nothing),
		cmocka_unit_test(an_unsigned_key_is_used_when_that_is_allowed),
		cmocka_unit_test(
		    plaintext_goes_out_only_when_allowed_and_is_marked),
		cmocka_unit_test(
		    only_attested_hosts_are_asked_when_that_is_required),
		cmocka_unit_test(a_client_that_leaves_closes_the_tunnel),
		cmocka_unit_test(
		    siblings_that_fail_end_in_an_error_not_in_silence),
		cmocka_unit_test(
		    what_is_pipelined_behind_a_request_stays_as_it_is),
		cmocka_unit_test(
		    ready_keys_serve_one_request_each_and_their_host_only),
		cmocka_unit_test(a_model_that_was_there_is_missed_not_unknown),
		cmocka_unit_test(gossipd_that_breaks_a_rule_loses_its_channel),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
