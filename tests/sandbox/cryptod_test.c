// The real cryptod program under its filter, asked everything that its rules
// allow.  A call that the filter does not know ends it with SIGSYS, and the
// test with it.
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "common/process.h"
#include "cryptod/client.h"
#include "tests/sandbox/daemon.h"

enum { DEADLINE = 30000, MANY = 200, ROUNDS = 3 };

struct node {
	char dir[64], state[80];
	struct daemon daemon;
	int parent_fd; // number of the descriptor that parent owns
	struct ipc_peer *parent, *proxyd, *gossipd, *tls, *signer;
	uint8_t endpoint_id[ENDPOINT_ID_LEN];
	bool is_ready;
};

struct wanted {
	int result;
	struct cryptod_keys keys;
	uint8_t announcement[ANNOUNCEMENT_LEN];
	Ipc__Result answer;
	uint8_t ephemeral[INFERENCE_KEY_LEN];
	size_t n;
	uint8_t request_key[REQUEST_KEY_LEN];
};

static int
on_ready(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__Ready *ready = (const Ipc__Ready *)msg;
	struct node *n = ipc_peer_daemon(peer);

	(void)frame;
	assert_int_equal(ready->endpoint_id.len, ENDPOINT_ID_LEN);
	memcpy(n->endpoint_id, ready->endpoint_id.data, ENDPOINT_ID_LEN);
	n->is_ready = true;
	return 0;
}

// clang-format off
#define REPLY(t, max, desc) \
	{ IPC__TYPE__##t, .from = FROM(ROLE_CRYPTOD), .phases = IPC_SERVING, \
	    .max_body = (max), .is_reply = true, .descriptor = &(desc) }
static const struct ipc_rule rules[] = {
	{ IPC__TYPE__IPC_READY, .from = FROM(ROLE_CRYPTOD),
	    .phases = IPC_SERVING, .max_body = 128,
	    .descriptor = &ipc__ready__descriptor, .handle = on_ready },
	REPLY(IPC_KEYS_REPLY, CRYPTOD_KEYS_REPLY_MAX,
	    ipc__keys_reply__descriptor),
	REPLY(IPC_SIGN_REPLY, CRYPTOD_SIGN_REPLY_MAX,
	    ipc__sign_reply__descriptor),
	REPLY(IPC_ANNOUNCE_REPLY, CRYPTOD_ANNOUNCE_REPLY_MAX,
	    ipc__announce_reply__descriptor),
	REPLY(IPC_SEAL_REPLY, CRYPTOD_SEAL_REPLY_MAX,
	    ipc__seal_reply__descriptor),
	REPLY(IPC_OPEN_REPLY, CRYPTOD_OPEN_REPLY_MAX,
	    ipc__open_reply__descriptor),
};
// clang-format on

static struct ipc_peer *
connect_as(struct node *n, int *fd, enum ipc_role self)
{
	return daemon_peer(fd, self, ROLE_CRYPTOD, rules, N_ELEMENTS(rules), n);
}

static void
node_start(struct node *n, bool no_memfd_secret, const char *const *environment)
{
	char name[] = "meshllm-cryptod";
	char *argv[] = { name, (char[]){ "--state-dir" }, n->state, NULL };
	// The product forgets the variables of malloc before it starts.
	struct daemon_options o = { .program = environment == NULL
		    ? BUILD_DIR "/meshllm-cryptod"
		    : BUILD_DIR "/tests/malloc/meshllm-cryptod",
		.argv = argv,
		.n_channels = 4,
		.no_memfd_secret = no_memfd_secret,
		.environment = environment };

	daemon_start(&n->daemon, &o);
	n->is_ready = false;
	n->parent_fd = n->daemon.parent_fd;
	n->parent = connect_as(n, &n->daemon.parent_fd, ROLE_PARENT);
	n->proxyd = connect_as(n, &n->daemon.fds[0], ROLE_PROXYD);
	n->gossipd = connect_as(n, &n->daemon.fds[1], ROLE_GOSSIPD);
	n->tls = connect_as(n, &n->daemon.fds[2], ROLE_GOSSIPD_TLS);
	n->signer = connect_as(n, &n->daemon.fds[3], ROLE_SIGNER);
	while (!n->is_ready)
		assert_int_equal(daemon_pump(n->parent, n->parent_fd), 0);
}

static void
drop_peers(struct node *n)
{
	ipc_peer_free(n->proxyd);
	ipc_peer_free(n->gossipd);
	ipc_peer_free(n->tls);
	ipc_peer_free(n->signer);
	ipc_peer_free(n->parent);
}

static int
node_stop(struct node *n)
{
	Ipc__Stop stop = IPC__STOP__INIT;

	assert_int_equal(
	    ipc_notify(n->parent, IPC__TYPE__IPC_STOP, &stop.base, -1), 0);
	// The channels stay open until it has ended by itself.
	for (unsigned ms = 0; ms < DEADLINE; ms += 10) {
		int status;

		if (waitpid(n->daemon.pid, &status, WNOHANG) == n->daemon.pid) {
			drop_peers(n);
			return status;
		}
		(void)usleep(10 * 1000);
	}
	fail_msg("cryptod did not stop");
	return -1;
}

static void
on_announce(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct wanted *w = arg;

	(void)frame;
	w->result = cryptod_announce_read(status, msg, w->announcement);
}

static void
on_seal(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct wanted *w = arg;
	struct cryptod_sealed sealed;

	(void)frame;
	if ((w->result = cryptod_seal_read(status, msg, &sealed)) < 0)
		return;
	w->answer = sealed.result;
	if (sealed.result != IPC__RESULT__RESULT_OK)
		return;
	memcpy(w->ephemeral, sealed.ephemeral_key, INFERENCE_KEY_LEN);
	memcpy(w->request_key, sealed.request_key, REQUEST_KEY_LEN);
}

static void
on_open(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct wanted *w = arg;
	struct cryptod_opened opened;

	(void)frame;
	if ((w->result = cryptod_open_read(status, msg, &opened)) < 0)
		return;
	w->answer = opened.result;
	w->n = opened.n_candidates;
	if (w->n > 0)
		memcpy(w->request_key, opened.candidates[0].request_key,
		    REQUEST_KEY_LEN);
}

static void
ask_seal(struct node *n, const uint8_t *recipient, struct wanted *w)
{
	Ipc__SealRequest m = IPC__SEAL_REQUEST__INIT;

	m.recipient_key.data = (uint8_t *)(uintptr_t)recipient;
	m.recipient_key.len = INFERENCE_KEY_LEN;
	assert_int_equal(
	    ipc_call_wait(n->proxyd, IPC__TYPE__IPC_SEAL_REQUEST, &m.base,
		IPC__TYPE__IPC_SEAL_REPLY, DEADLINE, on_seal, w),
	    0);
	assert_int_equal(w->result, 0);
}

static void
ask_open(struct node *n, const uint8_t *ephemeral, struct wanted *w)
{
	Ipc__OpenRequest m = IPC__OPEN_REQUEST__INIT;

	m.ephemeral_key.data = (uint8_t *)(uintptr_t)ephemeral;
	m.ephemeral_key.len = INFERENCE_KEY_LEN;
	assert_int_equal(
	    ipc_call_wait(n->proxyd, IPC__TYPE__IPC_OPEN_REQUEST, &m.base,
		IPC__TYPE__IPC_OPEN_REPLY, DEADLINE, on_open, w),
	    0);
	assert_int_equal(w->result, 0);
}

static void
check_sealing(struct node *n)
{
	uint8_t pk[32], sk[32], expected[32], zero[32] = { 0 };
	struct wanted w = { 0 };

	(void)crypto_box_keypair(pk, sk);
	ask_seal(n, pk, &w);
	assert_int_equal(w.answer, IPC__RESULT__RESULT_OK);
	assert_int_equal(crypto_box_beforenm(expected, w.ephemeral, sk), 0);
	assert_memory_equal(expected, w.request_key, sizeof(expected));
	ask_seal(n, zero, &w);
	assert_int_equal(w.answer, IPC__RESULT__RESULT_BAD_KEY);
}

static void
check_opening(struct node *n)
{
	uint8_t pk[32], sk[32], expected[32], zero[32] = { 0 };
	struct wanted w = { 0 };

	assert_int_equal(cryptod_keys_wait(n->proxyd, DEADLINE, &w.keys), 0);
	(void)crypto_box_keypair(pk, sk);
	ask_open(n, pk, &w);
	assert_int_equal(w.answer, IPC__RESULT__RESULT_OK);
	assert_int_equal(w.n, 1);
	assert_int_equal(
	    crypto_box_beforenm(expected, w.keys.inference_key, sk), 0);
	assert_memory_equal(expected, w.request_key, sizeof(expected));
	ask_open(n, pk, &w);
	assert_int_equal(w.answer, IPC__RESULT__RESULT_REPLAYED);
	assert_int_equal(w.n, 0);
	ask_open(n, zero, &w);
	assert_int_equal(w.answer, IPC__RESULT__RESULT_BAD_KEY);
}

static void
check_announcing(struct node *n)
{
	Ipc__AnnounceRequest m = IPC__ANNOUNCE_REQUEST__INIT;
	struct announcement a;
	struct wanted w = { 0 };

	assert_int_equal(
	    ipc_call_wait(n->gossipd, IPC__TYPE__IPC_ANNOUNCE_REQUEST, &m.base,
		IPC__TYPE__IPC_ANNOUNCE_REPLY, DEADLINE, on_announce, &w),
	    0);
	assert_int_equal(w.result, 0);
	assert_int_equal(cryptod_keys_wait(n->gossipd, DEADLINE, &w.keys), 0);
	assert_memory_equal(
	    w.keys.endpoint_id, n->endpoint_id, ENDPOINT_ID_LEN);
	assert_int_equal(announcement_open(w.announcement, ANNOUNCEMENT_LEN,
			     n->endpoint_id, &a),
	    0);
	assert_memory_equal(
	    a.inference_key, w.keys.inference_key, INFERENCE_KEY_LEN);
	assert_int_equal(announcement_check_time(&a, clock_unix_ms()), 0);
}

static size_t
handshake(uint8_t ret[static 146])
{
	memset(ret, ' ', 64);
	memcpy(ret + 64, "TLS 1.3, server CertificateVerify", 34);
	randombytes_buf(ret + 98, 48);
	return 146;
}

static void
check_signing(struct node *n)
{
	uint8_t content[146], signature[SIGNATURE_LEN];
	size_t len = handshake(content);

	assert_int_equal(cryptod_sign(n->tls, content, len, signature), 0);
	assert_int_equal(crypto_sign_verify_detached(
			     signature, content, len, n->endpoint_id),
	    0);
	len = handshake(content) - 16;
	assert_int_equal(cryptod_sign(n->tls, content, len, signature), 0);
	assert_int_equal(crypto_sign_verify_detached(
			     signature, content, len, n->endpoint_id),
	    0);
}

static void
check_everything(struct node *n)
{
	struct cryptod_keys keys;

	for (size_t i = 0; i < ROUNDS; i++) {
		check_signing(n);
		check_announcing(n);
		for (size_t k = 0; k < MANY; k++) {
			check_sealing(n);
			check_opening(n);
		}
	}
	assert_int_equal(cryptod_keys_wait(n->signer, DEADLINE, &keys), 0);
}

static void
serves_all_requests_under_its_filter(void **state)
{
	struct node *n = *state;
	struct cryptod_keys keys;
	int status;

	node_start(n, false, NULL);
	check_everything(n);
	assert_int_equal(cryptod_keys_wait(n->signer, DEADLINE, &keys), 0);
	status = node_stop(n);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
serves_without_memfd_secret_and_says_so(void **state)
{
	struct node *n = *state;
	struct cryptod_keys keys;

	node_start(n, true, NULL);
	check_everything(n);
	assert_int_equal(cryptod_keys_wait(n->signer, DEADLINE, &keys), 0);
	assert_false(keys.identity_in_secret_memory);
	assert_int_equal(node_stop(n), 0);
}

static void
serves_with_other_malloc_settings(void **state)
{
	static const char *const settings[][2] = {
		{ "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=1", NULL },
		{ "GLIBC_TUNABLES=glibc.malloc.top_pad=1:"
		  "glibc.malloc.trim_threshold=1",
		    NULL },
		{ "GLIBC_TUNABLES=glibc.malloc.check=3:"
		  "glibc.malloc.perturb=85:glibc.malloc.tcache_count=0",
		    NULL },
		{ "EVENT_NOEPOLL=1", NULL },
	};
	struct node *n = *state;

	for (size_t i = 0; i < N_ELEMENTS(settings); i++) {
		node_start(n, i % 2 == 1, settings[i]);
		check_everything(n);
		assert_int_equal(node_stop(n), 0);
	}
}

static void
closes_the_channel_of_who_asks_for_another_signature(void **state)
{
	struct node *n = *state;
	uint8_t content[146], signature[SIGNATURE_LEN];
	size_t len = handshake(content);

	node_start(n, false, NULL);
	content[70] ^= 1;
	assert_int_not_equal(cryptod_sign(n->tls, content, len, signature), 0);
	content[70] ^= 1;
	assert_int_not_equal(cryptod_sign(n->tls, content, len, signature), 0);
	// The others are served.
	check_sealing(n);
	check_announcing(n);
	assert_int_equal(node_stop(n), 0);
}

static void
closes_the_channel_of_who_asks_what_is_not_his(void **state)
{
	struct node *n = *state;
	uint8_t content[146], signature[SIGNATURE_LEN];
	size_t len = handshake(content);

	node_start(n, false, NULL);
	assert_int_not_equal(
	    cryptod_sign(n->gossipd, content, len, signature), 0);
	assert_int_not_equal(
	    cryptod_sign(n->proxyd, content, len, signature), 0);
	check_signing(n);
	assert_int_equal(node_stop(n), 0);
}

static void
ends_when_the_parent_is_gone(void **state)
{
	struct node *n = *state;
	int status;

	node_start(n, false, NULL);
	drop_peers(n);
	status = daemon_wait(&n->daemon);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

static void
keeps_its_identity_over_a_restart_and_grows_its_sequence(void **state)
{
	struct node *n = *state;
	uint8_t first[ENDPOINT_ID_LEN];

	node_start(n, false, NULL);
	memcpy(first, n->endpoint_id, sizeof(first));
	assert_int_equal(node_stop(n), 0);
	node_start(n, false, NULL);
	assert_memory_equal(first, n->endpoint_id, sizeof(first));
	assert_int_equal(node_stop(n), 0);
}

static void
does_not_start_on_a_damaged_identity(void **state)
{
	struct node *n = *state;
	char program[] = BUILD_DIR "/meshllm-cryptod", path[128];
	char *argv[] = { program, (char[]){ "--state-dir" }, n->state, NULL };
	struct daemon_options o = {
		.program = program, .argv = argv, .n_channels = 4
	};
	int status;

	node_start(n, false, NULL);
	assert_int_equal(node_stop(n), 0);
	(void)snprintf(path, sizeof(path), "%s/identity", n->state);
	assert_int_equal(chmod(path, 0644), 0);
	daemon_start(&n->daemon, &o);
	status = daemon_wait(&n->daemon);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

static int
setup(void **state)
{
	struct node *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return -1;
	(void)snprintf(n->dir, sizeof(n->dir), "/tmp/cryptod_test.XXXXXX");
	if (mkdtemp(n->dir) == NULL)
		return -1;
	(void)snprintf(n->state, sizeof(n->state), "%s/state", n->dir);
	*state = n;
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "identity", "sequence" };
	struct node *n = *state;
	char path[128];

	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", n->state, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(n->state);
	(void)rmdir(n->dir);
	free(n);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(serves_all_requests_under_its_filter),
		TEST(serves_without_memfd_secret_and_says_so),
		TEST(serves_with_other_malloc_settings),
		TEST(closes_the_channel_of_who_asks_for_another_signature),
		TEST(closes_the_channel_of_who_asks_what_is_not_his),
		TEST(ends_when_the_parent_is_gone),
		TEST(keeps_its_identity_over_a_restart_and_grows_its_sequence),
		TEST(does_not_start_on_a_damaged_identity),
	};

	if (sodium_init() == -1 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
