// When proxyd asks a host for evidence v2, whom it tells the answer, and which
// answers count: of this key, on this connection, not expired.  gossipd and
// the verifier are this test.
#include "proxyd/client.h"
#include "tests/unit/proxyd_rig.h"

#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY "{\"model\":\"far\",\"messages\":[]}"

static const char *const required[] = { "--require-attested-hosts", NULL };

static void
refused(struct rig *rig, const char *reason)
{
	struct reply reply;
	size_t before = rig->n_tunnels;

	http_ask(rig, CHAT, BODY, &reply);
	if (reply.status != 503 || !reply_has(&reply, "host_not_attested") ||
	    !reply_has(&reply, reason))
		fail_msg("%s", reply.head);
	assert_true(reply_has(&reply, "X-Should-Retry: false"));
	assert_int_equal(rig->n_tunnels, before);
	reply_done(&reply);
}

static void
sent(struct rig *rig, const struct node *host)
{
	int client = http_post(rig, CHAT, BODY);
	int tunnel = rig_take_tunnel(rig);

	assert_memory_equal(
	    rig->tunnel_ids[rig->n_taken - 1], host->id, ENDPOINT_ID_LEN);
	(void)close(client);
	(void)close(tunnel);
}

// A rig with an honest host, that answers when it is asked.
static void
start(struct rig *rig, const struct node *host)
{
	rig_start(rig, required);
	rig->stream_result = IPC__RESULT__RESULT_OK;
	rig->is_session_judged = true;
	rig->session_level = IPC__LEVEL__LEVEL_HARDWARE;
	// Field 38 alone is never enough.
	rig->level = IPC__LEVEL__LEVEL_PINNED;
	randombytes_buf(rig->binding, sizeof(rig->binding));
	rig_tell_peer(rig, host, PEER_SIGNED, "far");
}

// The host's news, and nothing more.
static void
tell(struct rig *rig, const struct node *host, uint64_t sequence)
{
	struct proxyd_model model = { "far", 0 };
	uint8_t announcement[ANNOUNCEMENT_LEN];
	struct proxyd_peer_update update = { .endpoint_id = host->id,
		.role = IPC__PEER_ROLE__PEER_HOST,
		.dialect = IPC__DIALECT__DIALECT_MESHLLM,
		.connected = true,
		.direct = true,
		.announcement = announcement,
		.binding = rig->binding,
		.models = &model,
		.n_models = 1 };

	node_announce(host, sequence, -1000, 60 * 1000, announcement);
	assert_int_equal(proxyd_peer_update_send(rig->gossipd, &update), 0);
	rig_turn(rig);
}

static void
a_host_is_asked_before_anybody_needs_it(void **state)
{
	struct node host = node_make();
	struct rig rig;

	(void)state;
	start(&rig, &host);
	RIG_UNTIL(&rig, rig.n_sessions == 1);
	assert_memory_equal(rig.session_key, host.key, sizeof(host.key));
	assert_memory_equal(rig.session_binding, rig.binding, 32);
	rig_run_ms(&rig, 50);
	for (int i = 0; i < 3; i++)
		sent(&rig, &host);
	assert_int_equal(rig.n_sessions, 1);
	rig_stop(&rig);
}

static void
requests_that_wait_share_one_session(void **state)
{
	enum { N = 5 };
	struct node host = node_make();
	int clients[N];
	struct rig rig;

	(void)state;
	rig_start(&rig, required);
	rig.stream_result = IPC__RESULT__RESULT_OK;
	rig.is_session_judged = true;
	rig.session_level = IPC__LEVEL__LEVEL_HARDWARE;
	// Not connected: nobody asks it in the background.
	rig_tell_peer(&rig, &host, PEER_SIGNED, "far");
	assert_int_equal(rig.n_streams, 0);
	for (size_t i = 0; i < N; i++)
		clients[i] = http_post(&rig, CHAT, BODY);
	// One leaves while all wait.
	RIG_UNTIL(&rig, rig.n_verdicts >= N);
	(void)close(clients[0]);
	RIG_UNTIL(&rig, rig.n_sessions >= 1);
	rig_run_ms(&rig, 300);
	assert_int_equal(rig.n_streams, 1);
	assert_int_equal(rig.n_sessions, 1);
	for (size_t i = 1; i < N; i++)
		(void)close(clients[i]);
	rig_stop(&rig);
}

static void
evidence_of_another_connection_does_not_count(void **state)
{
	struct node host = node_make();
	struct rig rig;

	(void)state;
	start(&rig, &host);
	RIG_UNTIL(&rig, rig.n_sessions == 1);
	rig_run_ms(&rig, 50);
	sent(&rig, &host);
	// A new connection, on which the host shows nothing.
	rig.session_level = IPC__LEVEL__LEVEL_NONE;
	rig.binding[0] ^= 1;
	rig_tell_peer(&rig, &host, PEER_SIGNED, "far");
	refused(&rig, "the session says so");
	assert_int_equal(rig.n_sessions, 2);
	rig_stop(&rig);
}

static void
evidence_about_another_key_does_not_count(void **state)
{
	struct node host = node_make();
	struct rig rig;

	(void)state;
	start(&rig, &host);
	RIG_UNTIL(&rig, rig.n_sessions == 1);
	rig_run_ms(&rig, 50);
	rig.session_level = IPC__LEVEL__LEVEL_TOFU;
	host.key[5] ^= 1;
	tell(&rig, &host, 2);
	rig_run_ms(&rig, 50);
	refused(&rig, "the session says so");
	assert_memory_equal(rig.session_key, host.key, sizeof(host.key));
	rig_stop(&rig);
}

static void
an_expired_verdict_does_not_count(void **state)
{
	struct node host = node_make();
	struct rig rig;

	(void)state;
	rig_start(&rig, required);
	rig.stream_result = IPC__RESULT__RESULT_OK;
	rig.is_session_judged = true;
	rig.session_level = IPC__LEVEL__LEVEL_HARDWARE;
	rig.verdict_ms = -1;
	rig_tell_peer(&rig, &host, PEER_SIGNED, "far");
	refused(&rig, "the session says so");
	rig_stop(&rig);
}

static void
whatever_fails_is_a_refusal_with_its_reason(void **state)
{
	static const struct {
		Ipc__Result stream;
		bool is_judged;
		Ipc__Level level;
		const char *reason;
	} cases[] = {
		{ IPC__RESULT__RESULT_REFUSED, true, IPC__LEVEL__LEVEL_HARDWARE,
		    "does not speak" },
		{ IPC__RESULT__RESULT_UNREACHABLE, true,
		    IPC__LEVEL__LEVEL_HARDWARE, "cannot be reached" },
		{ IPC__RESULT__RESULT_OK, false, IPC__LEVEL__LEVEL_NONE,
		    "the session says so" },
		// By what the session says, or the verifier later.
		{ IPC__RESULT__RESULT_OK, true, IPC__LEVEL__LEVEL_PINNED,
		    "says so" },
	};
	struct node host;
	struct rig rig;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		host = node_make();
		rig_start(&rig, required);
		rig.stream_result = cases[i].stream;
		rig.is_session_judged = cases[i].is_judged;
		rig.session_level = cases[i].level;
		randombytes_buf(rig.binding, sizeof(rig.binding));
		rig_tell_peer(&rig, &host, PEER_SIGNED, "far");
		refused(&rig, cases[i].reason);
		// And again at once, without asking the host again.
		rig.stream_result = IPC__RESULT__RESULT_OK;
		rig.is_session_judged = true;
		rig.session_level = IPC__LEVEL__LEVEL_HARDWARE;
		refused(&rig, cases[i].reason);
		assert_int_equal(rig.n_streams, 1);
		rig_stop(&rig);
	}
}

static void
a_verifier_that_dies_while_they_wait_refuses_them(void **state)
{
	struct node host = node_make();
	struct reply reply;
	struct rig rig;
	int client;

	(void)state;
	rig_start(&rig, required);
	rig.stream_result = IPC__RESULT__RESULT_OK;
	rig.is_session_silent = true;
	rig_tell_peer(&rig, &host, PEER_SIGNED, "far");
	client = http_post(&rig, CHAT, BODY);
	RIG_UNTIL(&rig, rig.n_sessions == 1);
	ipc_peer_free(rig.verifier);
	rig.verifier = NULL;
	http_read(&rig, client, &reply);
	assert_int_equal(reply.status, 503);
	assert_true(reply_has(&reply, "the verifier does not answer"));
	reply_done(&reply);
	(void)close(client);
	rig_stop(&rig);
}

// Many hosts that lie do not keep a prompt from the one that does not.
static void
the_honest_host_is_found_among_many(void **state)
{
	enum { LIARS = 300 };
	struct node host = node_make();
	struct rig rig;

	(void)state;
	rig_start(&rig, required);
	rig.stream_result = IPC__RESULT__RESULT_OK;
	rig.is_session_judged = true;
	rig.level = rig.session_level = IPC__LEVEL__LEVEL_HARDWARE;
	rig.honest_id = host.id;
	randombytes_buf(rig.binding, sizeof(rig.binding));
	for (size_t i = 0; i < LIARS; i++) {
		struct node liar = node_make();

		tell(&rig, &liar, 1);
	}
	rig_tell_peer(&rig, &host, PEER_SIGNED, "far");
	// Its turn among all who are asked comes, at the latest with news.
	for (int i = 0; i < 20; i++)
		rig_tell_peer(&rig, &host, PEER_SIGNED, "far");
	for (int i = 0; i < 5; i++)
		sent(&rig, &host);
	rig_stop(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_is_asked_before_anybody_needs_it),
		cmocka_unit_test(requests_that_wait_share_one_session),
		cmocka_unit_test(evidence_of_another_connection_does_not_count),
		cmocka_unit_test(evidence_about_another_key_does_not_count),
		cmocka_unit_test(an_expired_verdict_does_not_count),
		cmocka_unit_test(whatever_fails_is_a_refusal_with_its_reason),
		cmocka_unit_test(
		    a_verifier_that_dies_while_they_wait_refuses_them),
		cmocka_unit_test(the_honest_host_is_found_among_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
