// Which hosts proxyd asks, and in which form: with a proven key, attested, in
// clear, or none at all.  The hosts are this test.
#include "proxyd/client.h"
#include "tests/unit/proxyd_talk.h"

#include <sodium.h>
#include <string.h>
#include <sys/socket.h>

#include "proxyd/sealed_v1.h"

static const char *const no_args[] = { NULL };

// Of two hosts, what the first that is asked says before it leaves.
enum first_says { NOTHING, BUSY, BEGINNING };

// Takes the tunnel and reads the request; which of them it was for.
static const struct node *
first_leaves(
    struct rig *rig, const struct node hosts[static 2], enum first_says says)
{
	int tunnel = rig_take_tunnel(rig);
	const uint8_t *id = rig->tunnel_ids[rig->n_taken - 1];
	const struct node *host =
	    &hosts[memcmp(id, hosts[0].id, ENDPOINT_ID_LEN) != 0];
	struct buf request;
	uint8_t key[REQUEST_KEY_LEN];

	host_read(rig, tunnel, host, &request, key);
	buf_release(&request);
	if (says != NOTHING)
		host_header(tunnel, host->key);
	if (says == BUSY) {
		host_chunk(tunnel, key,
		    "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
		host_end(tunnel);
	}
	if (says == BEGINNING) {
		host_chunk(tunnel, key, HEAD_SSE "2\r\n: \r\n");
		rig_run_ms(rig, 50);
	}
	(void)close(tunnel);
	return host;
}

static void
second_answers(struct rig *rig, const struct node *host, int client)
{
	int tunnel = rig_take_tunnel(rig);
	struct reply reply;
	struct buf request;
	uint8_t key[REQUEST_KEY_LEN];

	assert_memory_equal(
	    rig->tunnel_ids[rig->n_taken - 1], host->id, ENDPOINT_ID_LEN);
	host_read(rig, tunnel, host, &request, key);
	// The plaintext came back from the first sealing unchanged.
	assert_non_null(
	    strstr((const char *)buf_data(&request), "\r\n\r\n" BODY));
	buf_release(&request);
	host_header(tunnel, host->key);
	host_chunk(tunnel, key, HEAD_4 "full");
	host_end(tunnel);
	http_read(rig, client, &reply);
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.body, "full");
	reply_done(&reply);
	(void)close(tunnel);
}

static void
nobody_is_asked_again(struct rig *rig, int client)
{
	struct reply reply;

	http_read(rig, client, &reply);
	assert_false(reply.is_complete);
	reply_done(&reply);
	rig_run_ms(rig, 100);
	assert_int_equal(rig->n_tunnels, rig->n_taken);
}

static void
another_host_is_tried_before_the_first_byte_only(void **state)
{
	struct rig rig;
	struct node hosts[2] = { node_make(), node_make() };
	const struct node *first;
	int client;

	(void)state;
	rig_start(&rig, no_args);
	rig_tell_peer(&rig, &hosts[0], PEER_SIGNED, "far");
	rig_tell_peer(&rig, &hosts[1], PEER_SIGNED, "far");
	for (enum first_says says = NOTHING; says <= BEGINNING; says++) {
		client = http_post(&rig, CHAT, BODY);
		first = first_leaves(&rig, hosts, says);
		if (says == BEGINNING)
			nobody_is_asked_again(&rig, client);
		else
			second_answers(
			    &rig, &hosts[first == &hosts[0]], client);
		(void)close(client);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    another_host_is_tried_before_the_first_byte_only),
		cmocka_unit_test(a_host_without_a_proven_key_gets_nothing),
		cmocka_unit_test(an_unsigned_key_is_used_when_that_is_allowed),
		cmocka_unit_test(
		    plaintext_goes_out_only_when_allowed_and_is_marked),
		cmocka_unit_test(
		    only_attested_hosts_are_asked_when_that_is_required),
		cmocka_unit_test(a_model_that_was_there_is_missed_not_unknown),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
