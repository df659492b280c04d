// Evidence v2 from end to end without a network: the real verifier, the real
// signer with a software TPM; the test is proxyd, cryptod, and gossipd in the
// middle, honest or not.
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "attestd/attestd.h"
#include "attestd/attester_impl.h"
#include "attestd/client.h"
#include "common/loop.h"
#include "tests/unit/tpm_host.h"

enum { WAIT_MS = 20 * 1000, ROOM = 70 * 1024 };

struct rig {
	struct tpm_host *host;
	struct event_base *base;
	struct attestd signer, verifier;
	struct ipc_peer *cryptod, *gossipd, *proxyd; // our ends
	uint8_t secret[32];			     // of the inference key
	uint8_t binding[32];
	unsigned n_alive;
	bool is_dead; // we answer for another key
	// The last session.
	bool is_over, is_judged;
	Ipc__Level level;
	char reason[300];
	uint64_t made_ms;
	// The last answers of the signer.
	unsigned n_attested, n_activated;
	Ipc__Result result;
	uint8_t hash[32], proof[32];
};

// ---- our ends of the channels

static int
on_liveness(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__LivenessRequest *in = (const Ipc__LivenessRequest *)msg;
	struct rig *r = ipc_peer_daemon(peer);
	Ipc__LivenessReply reply = IPC__LIVENESS_REPLY__INIT;
	uint8_t shared[32], scratch[32], mac[32], other[32] = { 7 };

	r->n_alive++;
	assert_memory_equal(
	    in->inference_key.data, r->signer.keys.inference_key, 32);
	assert_int_equal(
	    crypto_scalarmult(
		shared, r->is_dead ? other : r->secret, in->ephemeral_key.data),
	    0);
	liveness_mac(shared, in->ephemeral_key.data, in->inference_key.data,
	    in->hash.data, scratch, mac);
	reply.result = IPC__RESULT__RESULT_OK;
	reply.has_mac = true;
	reply.mac = (ProtobufCBinaryData){ 32, mac };
	return ipc_reply(
	    peer, frame, IPC__TYPE__IPC_LIVENESS_REPLY, &reply.base);
}

// clang-format off
static const struct ipc_rule rules[] = {
	{ IPC__TYPE__IPC_LIVENESS_REQUEST, .from = FROM(ROLE_SIGNER),
	    .phases = IPC_SERVING, .max_body = 102,
	    .descriptor = &ipc__liveness_request__descriptor,
	    .handle = on_liveness },
	{ IPC__TYPE__IPC_ATTEST_REPLY, .from = FROM(ROLE_SIGNER),
	    .phases = IPC_SERVING, .max_body = ATTESTD_ATTEST_REPLY_MAX,
	    .is_reply = true, .descriptor = &ipc__attest_reply__descriptor },
	{ IPC__TYPE__IPC_ACTIVATE_REPLY, .from = FROM(ROLE_SIGNER),
	    .phases = IPC_SERVING, .max_body = ATTESTD_ACTIVATE_REPLY_MAX,
	    .is_reply = true, .descriptor = &ipc__activate_reply__descriptor },
	{ IPC__TYPE__IPC_SESSION_REPLY, .from = FROM(ROLE_VERIFIER),
	    .phases = IPC_SERVING, .max_body = ATTESTD_SESSION_REPLY_MAX,
	    .is_reply = true, .descriptor = &ipc__session_reply__descriptor },
};
// clang-format on

static void
connect_one(
    struct rig *r, struct attestd *d, enum ipc_role role, struct ipc_peer **ret)
{
	struct ipc_channel_config theirs = { .base = r->base,
		.self = d->role->self,
		.role = role,
		.rules = d->role->rules,
		.n_rules = d->role->n_rules,
		.daemon = d };
	struct ipc_channel_config ours = { .base = r->base,
		.self = role,
		.role = d->role->self,
		.rules = rules,
		.n_rules = N_ELEMENTS(rules),
		.daemon = r };
	int pair[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	theirs.fd = pair[0];
	ours.fd = pair[1];
	assert_int_equal(ipc_peer_new(&d->peers[role], &theirs), 0);
	assert_int_equal(ipc_peer_new(ret, &ours), 0);
}

static void
trust_root(struct rig *r)
{
	struct trust_line line = { .kind = TRUST_ROOT };

	memcpy(line.id, r->host->root.fingerprint, TRUST_ID_LEN);
	assert_int_equal(trust_add(&r->verifier.trust.decided, &line), 0);
	assert_int_equal(trust_store_decided(&r->verifier.trust), 0);
}

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	if (tpm_host_setup(state) != 0 || *state == NULL) {
		free(r);
		return -1;
	}
	r->host = *state;
	*state = r;
	assert_int_not_equal(sodium_init(), -1);
	assert_int_equal(loop_new(&r->base), 0);
	attestd_init(&r->signer, attestd_find_role("signer"), r->base);
	attestd_init(&r->verifier, attestd_find_role("verifier"), r->base);
	r->signer.attester = r->host->attester;
	r->signer.has_keys = true;
	memcpy(r->signer.keys.endpoint_id, tpm_host_node, 32);
	randombytes_buf(r->binding, sizeof(r->binding));
	(void)crypto_box_keypair(r->signer.keys.inference_key, r->secret);
	assert_int_equal(answers_new(&r->signer, &r->signer.answers), 0);
	assert_int_equal(sessions_new(&r->verifier.sessions), 0);
	assert_int_equal(trust_store_init(&r->verifier.trust, NULL), 0);
	trust_root(r);
	connect_one(r, &r->signer, ROLE_CRYPTOD, &r->cryptod);
	connect_one(r, &r->signer, ROLE_GOSSIPD, &r->gossipd);
	connect_one(r, &r->verifier, ROLE_PROXYD, &r->proxyd);
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;
	void *host;

	if (r == NULL)
		return 0;
	host = r->host;
	ipc_peer_free(r->cryptod);
	ipc_peer_free(r->gossipd);
	ipc_peer_free(r->proxyd);
	r->signer.attester = NULL; // the host's
	attestd_done(&r->signer);
	attestd_done(&r->verifier);
	event_base_free(r->base);
	free(r);
	return tpm_host_teardown(&host);
}

#define UNTIL(r, condition)                                              \
	do {                                                             \
		uint64_t until = clock_mono_ms() + WAIT_MS;              \
		while (!(condition)) {                                   \
			if (clock_mono_ms() > until)                     \
				fail_msg("not in time: %s", #condition); \
			turn((r)->base);                                 \
		}                                                        \
	} while (0)

static void
turn(struct event_base *base)
{
	assert_int_not_equal(event_base_loop(base, EVLOOP_NONBLOCK), -1);
	(void)usleep(1000);
}

// ---- proxyd

static void
on_session(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct rig *r = arg;
	struct attestd_session s;

	(void)frame;
	if (status == -EPIPE)
		return; // the test is over
	assert_int_equal(attestd_session_read(status, msg, &s), 0);
	r->is_over = true;
	r->is_judged = s.is_judged;
	r->level = s.verdict.level;
	r->made_ms = s.verdict.made_ms;
	(void)snprintf(r->reason, sizeof(r->reason), "%s", s.verdict.reason);
}

// Begins a session; the end that leads to the host.
static int
begin(struct rig *r)
{
	int pair[2];

	assert_int_equal(
	    socketpair(
		AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
	    0);
	r->is_over = false;
	assert_int_equal(attestd_session_send(r->proxyd, tpm_host_node,
			     r->signer.keys.inference_key, r->binding, pair[1],
			     on_session, r, NULL),
	    0);
	return pair[0];
}

static void
read_exactly(struct rig *r, int fd, uint8_t *ret, size_t len)
{
	size_t have = 0;

	while (have < len) {
		ssize_t n = recv(fd, ret + have, len - have, MSG_DONTWAIT);

		if (n == 0)
			fail_msg("cut after %zu bytes", have);
		if (n > 0)
			have += (size_t)n;
		else
			turn(r->base);
	}
}

static void
say(int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

// ---- gossipd

static void
on_attested(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct rig *r = arg;

	(void)frame;
	if (status == -EPIPE)
		return; // the test is over
	assert_int_equal(
	    attestd_attest_read(status, msg, &r->result, r->hash), 0);
	r->n_attested++;
}

static void
on_activated(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct rig *r = arg;

	(void)frame;
	if (status == -EPIPE)
		return; // the test is over
	assert_int_equal(
	    attestd_activate_read(status, msg, &r->result, r->proof), 0);
	r->n_activated++;
}

static int
ask_signer(struct rig *r, const uint8_t *hello)
{
	struct attestd_attest ask = { hello + 8, hello + 40, r->binding };
	int pair[2];

	assert_int_equal(
	    socketpair(
		AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
	    0);
	assert_int_equal(attestd_attest_send(r->gossipd, &ask, pair[1], WAIT_MS,
			     on_attested, r, NULL),
	    0);
	return pair[0];
}

// The host's whole answer to the question on this descriptor.
static size_t
honest_answer(struct rig *r, int fd, uint8_t ret[static ROOM])
{
	uint8_t hello[EVIDENCE_HELLO_LEN];
	unsigned before = r->n_attested;
	ssize_t n;
	int answer;

	read_exactly(r, fd, hello, sizeof(hello));
	answer = ask_signer(r, hello);
	UNTIL(r, r->n_attested > before);
	assert_int_equal(r->result, IPC__RESULT__RESULT_OK);
	n = recv(answer, ret, ROOM, MSG_DONTWAIT);
	assert_true(n > 100);
	(void)close(answer);
	return (size_t)n;
}

static void
activate(struct rig *r, int fd)
{
	uint8_t credential[EVIDENCE_CREDENTIAL_LEN];
	unsigned before = r->n_activated;

	read_exactly(r, fd, credential, sizeof(credential));
	assert_int_equal(attestd_activate_send(r->gossipd, r->hash, credential,
			     WAIT_MS, on_activated, r, NULL),
	    0);
	UNTIL(r, r->n_activated > before);
}

static void
expect(struct rig *r, Ipc__Level level, const char *reason)
{
	UNTIL(r, r->is_over);
	if (r->level != level || strstr(r->reason, reason) == NULL)
		fail_msg("level %d: %s", (int)r->level, r->reason);
}

// ---- the tests

static void
a_tpm_reaches_hardware_and_proves_itself_once(void **state)
{
	static uint8_t answer[ROOM];
	struct rig *r = *state;
	int fd = begin(r);
	size_t len = honest_answer(r, fd, answer);

	say(fd, answer, len);
	activate(r, fd);
	assert_int_equal(r->result, IPC__RESULT__RESULT_OK);
	say(fd, r->proof, sizeof(r->proof));
	expect(r, IPC__LEVEL__LEVEL_HARDWARE, "");
	assert_true(r->is_judged);
	assert_true(clock_unix_ms() - r->made_ms < WAIT_MS);
	(void)close(fd);
	// The second time there is no credential.
	fd = begin(r);
	len = honest_answer(r, fd, answer);
	say(fd, answer, len);
	expect(r, IPC__LEVEL__LEVEL_HARDWARE, "");
	assert_int_equal(r->n_activated, 1);
	assert_int_equal(recv(fd, answer, 1, MSG_DONTWAIT), 0);
	(void)close(fd);
}

static void
a_wrong_proof_is_no_hardware(void **state)
{
	static uint8_t answer[ROOM];
	struct rig *r = *state;
	int fd = begin(r);
	size_t len = honest_answer(r, fd, answer);

	say(fd, answer, len);
	activate(r, fd);
	r->proof[31] ^= 1;
	say(fd, r->proof, sizeof(r->proof));
	expect(r, IPC__LEVEL__LEVEL_SELF_SIGNED, "yet to show");
	(void)close(fd);
	// None at all.
	fd = begin(r);
	len = honest_answer(r, fd, answer);
	say(fd, answer, len);
	read_exactly(r, fd, answer, EVIDENCE_CREDENTIAL_LEN);
	(void)close(fd);
	expect(r, IPC__LEVEL__LEVEL_SELF_SIGNED, "yet to show");
	// A credential of another key or hash: the TPM says no.
	fd = begin(r);
	len = honest_answer(r, fd, answer);
	say(fd, answer, len);
	read_exactly(r, fd, answer, EVIDENCE_CREDENTIAL_LEN);
	answer[30] ^= 1;
	assert_int_equal(attestd_activate_send(r->gossipd, r->hash, answer,
			     WAIT_MS, on_activated, r, NULL),
	    0);
	len = r->n_activated;
	UNTIL(r, r->n_activated > len);
	assert_int_equal(r->result, IPC__RESULT__RESULT_REFUSED);
	(void)close(fd);
	expect(r, IPC__LEVEL__LEVEL_SELF_SIGNED, "yet to show");
}

static void
an_inference_key_that_is_not_there_reaches_nothing(void **state)
{
	static uint8_t answer[ROOM];
	struct rig *r = *state;
	size_t len;
	int fd;

	r->is_dead = true;
	fd = begin(r);
	len = honest_answer(r, fd, answer);
	say(fd, answer, len);
	expect(r, IPC__LEVEL__LEVEL_NONE, "secret of its inference key");
	assert_true(r->is_judged);
	assert_null(held_find(&r->verifier.held, tpm_host_node));
	(void)close(fd);
	// Of a question before it, though it was good then.
	r->is_dead = false;
	fd = begin(r);
	len = honest_answer(r, fd, answer);
	(void)close(fd);
	UNTIL(r, r->is_over);
	assert_false(r->is_judged);
	fd = begin(r);
	say(fd, answer, len);
	expect(r, IPC__LEVEL__LEVEL_NONE, "not made for this question");
	(void)close(fd);
}

// Every byte of what the host says is the peer's.
static void
an_answer_of_another_form_is_none(void **state)
{
	static const struct {
		uint8_t bytes[8];
		size_t len;
		const char *reason;
	} cases[] = {
		{ { 0 }, 0, "closed the stream" },
		{ { 0, 0, 0 }, 3, "closed the stream" },
		{ { 0, 0, 0, 0 }, 4, "closed the stream" },
		{ { 0, 0, 0, 0, 1 }, 5, "no attester" },
		{ { 0, 0, 0, 0, 2 }, 5, "does not work now" },
		{ { 0, 0, 0, 0, 3 }, 5, "too many verifiers" },
		{ { 0, 0, 0, 0, 99 }, 5, "sent no evidence" },
		{ { 0, 1, 0, 1 }, 4, "too large" },
		{ { 0xff, 0xff, 0xff, 0xff }, 4, "too large" },
		{ { 0, 1, 0, 0, 2, 2 }, 6, "closed the stream" },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		int fd = begin(r);

		say(fd, cases[i].bytes, cases[i].len);
		(void)shutdown(fd, SHUT_WR);
		expect(r, IPC__LEVEL__LEVEL_NONE, cases[i].reason);
		assert_false(r->is_judged);
		(void)close(fd);
	}
	assert_int_equal(r->verifier.held.n, 0);
}

static void
evidence_that_is_damaged_anywhere_reaches_nothing(void **state)
{
	static uint8_t answer[ROOM];
	struct rig *r = *state;
	size_t len;
	int fd;

	// Each byte of it is evidence_test's; here that the session says so.
	for (size_t i = 0; i < 12; i++) {
		fd = begin(r);
		len = honest_answer(r, fd, answer);
		answer[4 + i * (len - 40) / 12] ^= 0x20;
		say(fd, answer, len);
		UNTIL(r, r->is_over);
		if (r->level >= IPC__LEVEL__LEVEL_HARDWARE)
			fail_msg("byte %zu: %s", i, r->reason);
		(void)close(fd);
	}
}

static void
many_questions_cost_one_operation(void **state)
{
	enum { N = EVIDENCE_BATCH_MAX };
	static uint8_t first[ROOM], other[ROOM];
	struct rig *r = *state;
	uint8_t hello[EVIDENCE_HELLO_LEN];
	ssize_t len = 0, n;
	int fds[N];

	for (size_t i = 0; i < N; i++) {
		randombytes_buf(hello, sizeof(hello));
		(void)crypto_scalarmult_base(hello + 40, hello);
		fds[i] = ask_signer(r, hello);
	}
	UNTIL(r, r->n_attested == N);
	assert_int_equal(r->n_alive, N);
	for (size_t i = 0; i < N; i++) {
		n = recv(fds[i], i == 0 ? first : other, ROOM, MSG_DONTWAIT);
		len = i == 0 ? n : len;
		assert_true(n > LIVENESS_MAC_LEN && n == len);
		// All but the last 32 bytes, which are its own.
		if (i > 0) {
			assert_memory_equal(
			    first, other, (size_t)n - LIVENESS_MAC_LEN);
			assert_memory_not_equal(first + n - LIVENESS_MAC_LEN,
			    other + n - LIVENESS_MAC_LEN, LIVENESS_MAC_LEN);
		}
		(void)close(fds[i]);
	}
}

static void
a_peer_too_many_is_told_so(void **state)
{
	enum { N = ANSWERS_WAITING_MAX };
	uint8_t hello[EVIDENCE_HELLO_LEN] = { 1 };
	struct rig *r = *state;

	// The keys are not there, so everybody waits.
	r->signer.has_keys = false;
	(void)crypto_scalarmult_base(hello + 40, hello);
	for (size_t i = 0; i < N + 1; i++)
		(void)close(ask_signer(r, hello));
	UNTIL(r, r->n_attested == 1);
	assert_int_equal(r->result, IPC__RESULT__RESULT_BUSY);
}

static void
a_host_too_many_is_not_asked(void **state)
{
	struct rig *r = *state;
	int fds[SESSIONS_MAX];

	// Hosts that say nothing.
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		fds[i] = begin(r);
		turn(r->base);
	}
	(void)close(begin(r));
	expect(r, IPC__LEVEL__LEVEL_NONE, "too many hosts");
	assert_false(r->is_judged);
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		(void)close(fds[i]);
	// They are gone, and there is room.
	r->is_over = false;
	UNTIL(r, r->is_over);
	(void)close(begin(r));
	expect(r, IPC__LEVEL__LEVEL_NONE, "closed");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_tpm_reaches_hardware_and_proves_itself_once),
		TEST(a_wrong_proof_is_no_hardware),
		TEST(an_inference_key_that_is_not_there_reaches_nothing),
		TEST(an_answer_of_another_form_is_none),
		TEST(evidence_that_is_damaged_anywhere_reaches_nothing),
		TEST(many_questions_cost_one_operation),
		TEST(a_peer_too_many_is_told_so),
		TEST(a_host_too_many_is_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
