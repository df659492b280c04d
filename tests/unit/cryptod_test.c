// cryptod in one process with its peers, which ask through the stubs that
// the other daemons link.
#include "cryptod/cryptod.h"

#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "common/log.h"
#include "common/loop.h"
#include "cryptod/client.h"

enum { N_PEERS = 5, DEADLINE = 30000, ROTATE_MS = 150, ENTRIES = 64 };

struct asked {
	unsigned n;
	int result;
	struct cryptod_keys keys;
	uint8_t announcement[ANNOUNCEMENT_LEN];
	Ipc__Result answer;
	size_t n_candidates;
	uint8_t public[INFERENCE_KEY_LEN];
	uint8_t request_key[REQUEST_KEY_LEN];
	uint8_t inference_keys[CRYPTOD_CANDIDATES_MAX][INFERENCE_KEY_LEN];
};

struct fixture {
	char dir[64], state[80];
	struct event_base *base;
	struct cryptod *d;
	struct ipc_peer *peers[ROLE_MAX]; // the other ends
	unsigned n_changed[ROLE_MAX], n_closed[ROLE_MAX];
	bool is_ready;
	uint8_t endpoint_id[ENDPOINT_ID_LEN];
	struct asked asked;
};

static const enum ipc_role roles[N_PEERS] = { ROLE_PARENT, ROLE_PROXYD,
	ROLE_GOSSIPD, ROLE_GOSSIPD_TLS, ROLE_SIGNER };

struct other { // what a peer's handlers need
	struct fixture *f;
	enum ipc_role self;
};

static struct other others[ROLE_MAX];

static int
on_ready(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__Ready *ready = (const Ipc__Ready *)msg;
	struct other *o = ipc_peer_daemon(peer);

	(void)frame;
	assert_int_equal(ready->endpoint_id.len, ENDPOINT_ID_LEN);
	memcpy(o->f->endpoint_id, ready->endpoint_id.data, ENDPOINT_ID_LEN);
	o->f->is_ready = true;
	return 0;
}

static int
on_key_changed(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct other *o = ipc_peer_daemon(peer);

	(void)frame;
	(void)msg;
	o->f->n_changed[o->self]++;
	return 0;
}

static void
on_closed(struct ipc_peer *peer, int reason)
{
	struct other *o = ipc_peer_daemon(peer);

	(void)reason;
	o->f->peers[o->self] = NULL;
	o->f->n_closed[o->self]++;
}

// clang-format off
#define REPLY(t, max, desc) \
	{ IPC__TYPE__##t, .from = FROM(ROLE_CRYPTOD), .phases = IPC_SERVING, \
	    .max_body = (max), .is_reply = true, .descriptor = &(desc) }
static const struct ipc_rule rules[] = {
	{ IPC__TYPE__IPC_READY, .from = FROM(ROLE_CRYPTOD),
	    .phases = IPC_SERVING, .max_body = 34,
	    .descriptor = &ipc__ready__descriptor, .handle = on_ready },
	{ IPC__TYPE__IPC_KEY_CHANGED, .from = FROM(ROLE_CRYPTOD),
	    .phases = IPC_SERVING, .max_body = CRYPTOD_KEY_CHANGED_MAX,
	    .descriptor = &ipc__key_changed__descriptor,
	    .handle = on_key_changed },
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

static void
connect_one(struct fixture *f, enum ipc_role self, int fd)
{
	struct ipc_channel_config config = { .base = f->base,
		.fd = fd,
		.self = self,
		.role = ROLE_CRYPTOD,
		.rules = rules,
		.n_rules = N_ELEMENTS(rules),
		.daemon = &others[self],
		.closed = on_closed };

	others[self] = (struct other){ f, self };
	assert_int_equal(ipc_peer_new(&f->peers[self], &config), 0);
}

static void
turn(struct fixture *f)
{
	assert_int_not_equal(event_base_loop(f->base, EVLOOP_ONCE), -1);
}

static int
start(struct fixture *f, uint64_t rotate_ms)
{
	struct cryptod_config config = { .state_dir = f->state,
		.rotate_ms = rotate_ms,
		.replay_entries = ENTRIES };
	struct process_channels channels = { .n = N_PEERS - 1 };
	char error[STATE_ERROR_MAX];
	int pair[2];

	if (cryptod_new(&f->d, &config, f->base, error) < 0)
		return -1;
	for (size_t i = 0; i < N_PEERS; i++) {
		if (socketpair(
			AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
			return -1;
		if (i == 0)
			channels.parent_fd = pair[0];
		else
			channels.fds[i - 1] = pair[0];
		connect_one(f, roles[i], pair[1]);
	}
	if (cryptod_watch(f->d, &channels) < 0)
		return -1;
	while (!f->is_ready)
		turn(f);
	return 0;
}

static int
setup_any(void **state, uint64_t rotate_ms)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL || loop_new(&f->base) < 0)
		return -1;
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/cryptod_test.XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	(void)snprintf(f->state, sizeof(f->state), "%s/state", f->dir);
	*state = f;
	return start(f, rotate_ms);
}

static int
setup(void **state)
{
	return setup_any(state, 3600 * 1000);
}

static int
setup_rotating(void **state)
{
	return setup_any(state, ROTATE_MS);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char path[128];

	for (size_t i = 0; i < ROLE_MAX; i++)
		ipc_peer_free(f->peers[i]);
	cryptod_free(f->d);
	event_base_free(f->base);
	(void)snprintf(path, sizeof(path), "%s/identity", f->state);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/sequence", f->state);
	(void)unlink(path);
	(void)rmdir(f->state);
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

static void
on_keys(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct asked *a = arg;

	(void)frame;
	a->n++;
	a->result = cryptod_keys_read(status, msg, &a->keys);
}

static void
on_announce(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct asked *a = arg;

	(void)frame;
	a->n++;
	a->result = cryptod_announce_read(status, msg, a->announcement);
}

static void
on_seal(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct asked *a = arg;
	struct cryptod_sealed sealed;

	(void)frame;
	a->n++;
	a->result = cryptod_seal_read(status, msg, &sealed);
	if (a->result < 0)
		return;
	a->answer = sealed.result;
	if (sealed.result != IPC__RESULT__RESULT_OK)
		return;
	memcpy(a->public, sealed.ephemeral_key, INFERENCE_KEY_LEN);
	memcpy(a->request_key, sealed.request_key, REQUEST_KEY_LEN);
}

static void
on_open(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct asked *a = arg;
	struct cryptod_opened opened;

	(void)frame;
	a->n++;
	a->result = cryptod_open_read(status, msg, &opened);
	if (a->result < 0)
		return;
	a->answer = opened.result;
	a->n_candidates = opened.n_candidates;
	for (size_t i = 0; i < opened.n_candidates; i++)
		memcpy(a->inference_keys[i], opened.candidates[i].inference_key,
		    INFERENCE_KEY_LEN);
	if (opened.n_candidates > 0)
		memcpy(a->request_key, opened.candidates[0].request_key,
		    REQUEST_KEY_LEN);
}

static struct asked *
wait_for(struct fixture *f, int r)
{
	unsigned before = f->asked.n;

	assert_int_equal(r, 0);
	while (f->asked.n == before)
		turn(f);
	return &f->asked;
}

static struct asked *
ask_keys(struct fixture *f, enum ipc_role role)
{
	return wait_for(f,
	    cryptod_keys_send(
		f->peers[role], DEADLINE, on_keys, &f->asked, NULL));
}

static struct asked *
ask_open(struct fixture *f, const uint8_t *key)
{
	return wait_for(f,
	    cryptod_open_send(f->peers[ROLE_PROXYD], key, DEADLINE, on_open,
		&f->asked, NULL));
}

static struct asked *
ask_seal(struct fixture *f, const uint8_t *key)
{
	return wait_for(f,
	    cryptod_seal_send(f->peers[ROLE_PROXYD], key, DEADLINE, on_seal,
		&f->asked, NULL));
}

static struct asked *
ask_announce(struct fixture *f)
{
	return wait_for(f,
	    cryptod_announce_send(f->peers[ROLE_GOSSIPD], DEADLINE, on_announce,
		&f->asked, NULL));
}

static void
tells_its_keys_to_those_who_use_them(void **state)
{
	static const enum ipc_role users[] = { ROLE_PROXYD, ROLE_GOSSIPD,
		ROLE_SIGNER };
	struct fixture *f = *state;

	for (size_t i = 0; i < N_ELEMENTS(users); i++) {
		struct asked *a = ask_keys(f, users[i]);

		assert_int_equal(a->result, 0);
		assert_memory_equal(
		    a->keys.endpoint_id, f->endpoint_id, ENDPOINT_ID_LEN);
		assert_int_equal(a->keys.identity_in_secret_memory,
		    secret_pool_is_memfd(f->d->pool));
	}
}

static void
what_one_node_seals_it_opens(void **state)
{
	struct fixture *f = *state;
	struct asked *a = ask_keys(f, ROLE_PROXYD);
	uint8_t key[REQUEST_KEY_LEN], public[INFERENCE_KEY_LEN];

	a = ask_seal(f, a->keys.inference_key);
	assert_int_equal(a->answer, IPC__RESULT__RESULT_OK);
	memcpy(key, a->request_key, sizeof(key));
	memcpy(public, a->public, sizeof(public));
	a = ask_open(f, public);
	assert_int_equal(a->answer, IPC__RESULT__RESULT_OK);
	assert_int_equal(a->n_candidates, 1);
	assert_memory_equal(a->request_key, key, sizeof(key));
	a = ask_open(f, public);
	assert_int_equal(a->answer, IPC__RESULT__RESULT_REPLAYED);
	assert_int_equal(a->n_candidates, 0);
}

static void
refuses_a_key_of_small_order(void **state)
{
	struct fixture *f = *state;
	uint8_t zero[INFERENCE_KEY_LEN] = { 0 };

	assert_int_equal(
	    ask_seal(f, zero)->answer, IPC__RESULT__RESULT_BAD_KEY);
	assert_int_equal(
	    ask_open(f, zero)->answer, IPC__RESULT__RESULT_BAD_KEY);
}

static void
announces_its_key_for_as_long_as_it_is_used(void **state)
{
	struct fixture *f = *state;
	struct asked *a = ask_announce(f);
	struct announcement first, second;
	uint64_t now = clock_unix_ms();

	assert_int_equal(a->result, 0);
	assert_int_equal(announcement_open(a->announcement, ANNOUNCEMENT_LEN,
			     f->endpoint_id, &first),
	    0);
	assert_int_equal(announcement_check_time(&first, now), 0);
	assert_in_range(first.not_before_ms, now - 5000, now);
	// An hour of its own, ten minutes as the previous key.
	assert_in_range(
	    first.not_after_ms, now + 69 * 60 * 1000, now + 70 * 60 * 1000);
	a = ask_announce(f);
	assert_int_equal(announcement_open(a->announcement, ANNOUNCEMENT_LEN,
			     f->endpoint_id, &second),
	    0);
	assert_true(second.sequence > first.sequence);
	a = ask_keys(f, ROLE_GOSSIPD);
	assert_memory_equal(
	    second.inference_key, a->keys.inference_key, INFERENCE_KEY_LEN);
}

static void
rotates_its_key_and_tells_those_who_use_it(void **state)
{
	struct fixture *f = *state;
	uint8_t first[INFERENCE_KEY_LEN], pk[32], sk[32];
	struct asked *a = ask_keys(f, ROLE_PROXYD);

	memcpy(first, a->keys.inference_key, sizeof(first));
	while (f->n_changed[ROLE_PROXYD] == 0 ||
	    f->n_changed[ROLE_GOSSIPD] == 0 || f->n_changed[ROLE_SIGNER] == 0)
		turn(f);
	assert_int_equal(f->n_changed[ROLE_GOSSIPD_TLS], 0);
	assert_int_equal(f->n_changed[ROLE_PARENT], 0);
	a = ask_keys(f, ROLE_PROXYD);
	assert_memory_not_equal(first, a->keys.inference_key, sizeof(first));
	(void)crypto_box_keypair(pk, sk);
	a = ask_open(f, pk);
	assert_int_equal(a->answer, IPC__RESULT__RESULT_OK);
	assert_int_equal(a->n_candidates, 2);
}

static void
closes_the_channel_of_a_key_that_is_too_short(void **state)
{
	struct fixture *f = *state;
	Ipc__OpenRequest msg = IPC__OPEN_REQUEST__INIT;
	uint8_t key[31] = { 9 };

	msg.ephemeral_key.data = key;
	msg.ephemeral_key.len = sizeof(key);
	(void)wait_for(f,
	    ipc_call(f->peers[ROLE_PROXYD], IPC__TYPE__IPC_OPEN_REQUEST,
		&msg.base, -1, IPC__TYPE__IPC_OPEN_REPLY, DEADLINE, on_open,
		&f->asked, NULL));
	assert_int_equal(f->asked.result, -EPIPE);
	while (f->n_closed[ROLE_PROXYD] == 0)
		turn(f);
	assert_null(f->d->peers[ROLE_PROXYD]);
	assert_int_equal(ask_keys(f, ROLE_GOSSIPD)->result, 0);
}

static void
stops_when_it_is_told_to(void **state)
{
	struct fixture *f = *state;
	Ipc__Stop stop = IPC__STOP__INIT;

	assert_int_equal(ipc_notify(f->peers[ROLE_PARENT], IPC__TYPE__IPC_STOP,
			     &stop.base, -1),
	    0);
	assert_int_equal(event_base_dispatch(f->base), 0);
	assert_true(f->d->is_stopped);
}

static void
ends_without_its_parent(void **state)
{
	struct fixture *f = *state;

	ipc_peer_free(f->peers[ROLE_PARENT]);
	f->peers[ROLE_PARENT] = NULL;
	assert_int_equal(event_base_dispatch(f->base), 0);
	assert_false(f->d->is_stopped);
}

static void
a_stub_takes_no_answer_of_another_shape(void **state)
{
	Ipc__OpenReply open = IPC__OPEN_REPLY__INIT;
	Ipc__SealReply seal = IPC__SEAL_REPLY__INIT;
	Ipc__KeysReply keys = IPC__KEYS_REPLY__INIT;
	Ipc__OpenReply__Candidate c = IPC__OPEN_REPLY__CANDIDATE__INIT;
	Ipc__OpenReply__Candidate *list[3] = { &c, &c, &c };
	struct cryptod_opened opened;
	struct cryptod_sealed sealed;
	struct cryptod_keys k;
	uint8_t bytes[33] = { 0 };

	(void)state;
	open.result = IPC__RESULT__RESULT_OK;
	open.candidates = list;
	c.inference_key.data = c.request_key.data = bytes;
	c.inference_key.len = c.request_key.len = 32;
	for (open.n_candidates = 0; open.n_candidates < 4; open.n_candidates++)
		assert_int_equal(cryptod_open_read(0, &open.base, &opened),
		    open.n_candidates == 1 || open.n_candidates == 2
			? 0
			: -EBADMSG);
	open.n_candidates = 1;
	c.request_key.len = 31;
	assert_int_equal(cryptod_open_read(0, &open.base, &opened), -EBADMSG);
	c.request_key.len = 32;
	open.result = IPC__RESULT__RESULT_REPLAYED;
	assert_int_equal(cryptod_open_read(0, &open.base, &opened), -EBADMSG);
	assert_int_equal(
	    cryptod_open_read(-ETIMEDOUT, NULL, &opened), -ETIMEDOUT);

	seal.result = IPC__RESULT__RESULT_OK;
	assert_int_equal(cryptod_seal_read(0, &seal.base, &sealed), -EBADMSG);
	seal.has_ephemeral_key = seal.has_request_key = true;
	seal.ephemeral_key.data = seal.request_key.data = bytes;
	seal.ephemeral_key.len = 32;
	seal.request_key.len = 33;
	assert_int_equal(cryptod_seal_read(0, &seal.base, &sealed), -EBADMSG);
	seal.request_key.len = 32;
	assert_int_equal(cryptod_seal_read(0, &seal.base, &sealed), 0);

	keys.endpoint_id.data = keys.inference_key.data = bytes;
	keys.endpoint_id.len = 32;
	assert_int_equal(cryptod_keys_read(0, &keys.base, &k), -EBADMSG);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define ROTATING(f) cmocka_unit_test_setup_teardown(f, setup_rotating, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tells_its_keys_to_those_who_use_them),
		TEST(what_one_node_seals_it_opens),
		TEST(refuses_a_key_of_small_order),
		TEST(announces_its_key_for_as_long_as_it_is_used),
		ROTATING(rotates_its_key_and_tells_those_who_use_it),
		TEST(closes_the_channel_of_a_key_that_is_too_short),
		TEST(stops_when_it_is_told_to),
		TEST(ends_without_its_parent),
		cmocka_unit_test(a_stub_takes_no_answer_of_another_shape),
	};

	if (sodium_init() == -1 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
