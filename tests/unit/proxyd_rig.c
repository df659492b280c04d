// The other side of every descriptor of a proxyd under test.
#include "tests/unit/proxyd_rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/address.h"
#include "common/loop.h"
#include "proxyd/client.h"
#include "proxyd/http_body.h"
#include "proxyd/http_head.h"
#include "proxyd/sealed_v1.h"

struct node
node_make(void)
{
	struct node n;

	assert_int_equal(crypto_sign_keypair(n.id, n.identity), 0);
	assert_int_equal(crypto_box_keypair(n.key, n.secret), 0);
	return n;
}

void
node_announce(const struct node *n, uint64_t sequence, int64_t from_ms,
    int64_t until_ms, uint8_t ret[static ANNOUNCEMENT_LEN])
{
	uint64_t now = clock_unix_ms();
	struct announcement a = { .sequence = sequence,
		.not_before_ms = now + (uint64_t)from_ms,
		.not_after_ms = now + (uint64_t)until_ms };
	uint8_t text[ANNOUNCEMENT_SIGNED_LEN], signature[SIGNATURE_LEN];

	memcpy(a.inference_key, n->key, INFERENCE_KEY_LEN);
	announcement_to_sign(&a, n->id, text);
	assert_int_equal(crypto_sign_detached(
			     signature, NULL, text, sizeof(text), n->identity),
	    0);
	announcement_encode(&a, signature, ret);
}

// ---- the fakes

static ProtobufCBinaryData
bytes(const uint8_t *data, size_t len)
{
	return (ProtobufCBinaryData){ len, (uint8_t *)(uintptr_t)data };
}

static int
on_ready(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__Ready *ready = (const Ipc__Ready *)msg;
	struct rig *rig = ipc_peer_daemon(peer);

	(void)frame;
	(void)snprintf(rig->api, sizeof(rig->api), "%s", ready->api_address);
	(void)snprintf(rig->management, sizeof(rig->management), "%s",
	    ready->management_address);
	rig->is_ready = true;
	return 0;
}

static int
on_keys(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct rig *rig = ipc_peer_daemon(peer);
	Ipc__KeysReply reply = IPC__KEYS_REPLY__INIT;

	(void)msg;
	reply.endpoint_id = bytes(rig->self.id, ENDPOINT_ID_LEN);
	reply.inference_key = bytes(rig->self.key, INFERENCE_KEY_LEN);
	return ipc_reply(peer, frame, IPC__TYPE__IPC_KEYS_REPLY, &reply.base);
}

static int
on_seal(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__SealRequest *request = (const Ipc__SealRequest *)msg;
	struct rig *rig = ipc_peer_daemon(peer);
	Ipc__SealReply reply = IPC__SEAL_REPLY__INIT;
	uint8_t public[32], secret[32], key[32];

	rig->n_seals++;
	memcpy(rig->sealed_to, request->recipient_key.data, INFERENCE_KEY_LEN);
	if (rig->only_key != NULL)
		assert_memory_equal(
		    rig->sealed_to, rig->only_key, INFERENCE_KEY_LEN);
	if (rig->cryptod_is_silent)
		return 0;
	(void)crypto_box_keypair(public, secret);
	reply.result =
	    crypto_box_beforenm(key, request->recipient_key.data, secret) == 0
	    ? IPC__RESULT__RESULT_OK
	    : IPC__RESULT__RESULT_BAD_KEY;
	reply.has_ephemeral_key = reply.has_request_key = true;
	reply.ephemeral_key = bytes(public, sizeof(public));
	reply.request_key = bytes(key, sizeof(key));
	return ipc_reply(peer, frame, IPC__TYPE__IPC_SEAL_REPLY, &reply.base);
}

static int
on_open(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__OpenRequest *request = (const Ipc__OpenRequest *)msg;
	struct rig *rig = ipc_peer_daemon(peer);
	Ipc__OpenReply reply = IPC__OPEN_REPLY__INIT;
	Ipc__OpenReply__Candidate one = IPC__OPEN_REPLY__CANDIDATE__INIT;
	Ipc__OpenReply__Candidate *list[1] = { &one };
	uint8_t key[32];

	rig->n_opens++;
	reply.result = rig->open_result;
	if (crypto_box_beforenm(
		key, request->ephemeral_key.data, rig->self.secret) != 0)
		reply.result = IPC__RESULT__RESULT_BAD_KEY;
	one.inference_key = bytes(rig->self.key, INFERENCE_KEY_LEN);
	one.request_key = bytes(key, sizeof(key));
	reply.candidates = list;
	reply.n_candidates = reply.result == IPC__RESULT__RESULT_OK ? 1 : 0;
	return ipc_reply(peer, frame, IPC__TYPE__IPC_OPEN_REPLY, &reply.base);
}

static int
on_tunnel(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__TunnelRequest *request = (const Ipc__TunnelRequest *)msg;
	struct rig *rig = ipc_peer_daemon(peer);
	Ipc__TunnelReply reply = IPC__TUNNEL_REPLY__INIT;

	assert_true(rig->n_tunnels < RIG_TUNNELS_MAX);
	reply.result = rig->tunnel_result;
	if (reply.result == IPC__RESULT__RESULT_OK) {
		memcpy(rig->tunnel_ids[rig->n_tunnels],
		    request->endpoint_id.data, ENDPOINT_ID_LEN);
		rig->tunnels[rig->n_tunnels++] = take_fd(&frame->fd);
	}
	return ipc_reply(peer, frame, IPC__TYPE__IPC_TUNNEL_REPLY, &reply.base);
}

static int
on_self(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__SelfUpdate *self = (const Ipc__SelfUpdate *)msg;
	struct rig *rig = ipc_peer_daemon(peer);

	(void)frame;
	rig->self_host = self->host;
	rig->n_self_models = self->n_models;
	return 0;
}

static int
on_self_models(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__SelfModels *part = (const Ipc__SelfModels *)msg;
	struct rig *rig = ipc_peer_daemon(peer);

	(void)frame;
	if (part->n_models > 0)
		(void)snprintf(rig->self_model, sizeof(rig->self_model), "%s",
		    part->models[0]->name);
	rig->n_self_updates += part->final ? 1 : 0;
	return 0;
}

static bool
is_honest(const struct rig *rig, const ProtobufCBinaryData *id)
{
	return rig->honest_id == NULL ||
	    memcmp(rig->honest_id, id->data, ENDPOINT_ID_LEN) == 0;
}

static int
on_verdict(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__VerdictRequest *request = (const Ipc__VerdictRequest *)msg;
	struct rig *rig = ipc_peer_daemon(peer);
	Ipc__VerdictReply reply = IPC__VERDICT_REPLY__INIT;

	rig->n_verdicts++;
	reply.level = is_honest(rig, &request->endpoint_id)
	    ? rig->level
	    : IPC__LEVEL__LEVEL_NONE;
	reply.reason = (char *)(uintptr_t) "the test says so";
	reply.expires_ms = clock_unix_ms() + (uint64_t)rig->verdict_ms;
	return ipc_reply(
	    peer, frame, IPC__TYPE__IPC_VERDICT_REPLY, &reply.base);
}

static int
on_evidence_stream(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct rig *rig = ipc_peer_daemon(peer);
	Ipc__EvidenceStreamReply reply = IPC__EVIDENCE_STREAM_REPLY__INIT;

	(void)msg;
	rig->n_streams++;
	reply.result = rig->stream_result;
	reply.has_binding = reply.result == IPC__RESULT__RESULT_OK;
	reply.binding = bytes(rig->binding, sizeof(rig->binding));
	return ipc_reply(
	    peer, frame, IPC__TYPE__IPC_EVIDENCE_STREAM_REPLY, &reply.base);
}

static int
on_session(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__SessionRequest *request = (const Ipc__SessionRequest *)msg;
	struct rig *rig = ipc_peer_daemon(peer);
	Ipc__SessionReply reply = IPC__SESSION_REPLY__INIT;

	rig->n_sessions++;
	memcpy(
	    rig->session_key, request->inference_key.data, INFERENCE_KEY_LEN);
	memcpy(rig->session_binding, request->binding.data,
	    sizeof(rig->session_binding));
	if (rig->is_session_silent)
		return 0;
	reply.judged = rig->is_session_judged;
	reply.level =
	    rig->is_session_judged && is_honest(rig, &request->endpoint_id)
	    ? rig->session_level
	    : IPC__LEVEL__LEVEL_NONE;
	reply.reason = (char *)(uintptr_t) "the session says so";
	reply.expires_ms = clock_unix_ms() + (uint64_t)rig->verdict_ms;
	return ipc_reply(
	    peer, frame, IPC__TYPE__IPC_SESSION_REPLY, &reply.base);
}

// clang-format off
#define TAKE(type_, descriptor_, fds, handler) \
	{ .type = (type_), .from = FROM(ROLE_PROXYD), \
	    .phases = IPC_SERVING, .max_body = IPC_BODY_MAX, .n_fds = (fds), \
	    .descriptor = &(descriptor_), .handle = (handler) }

static const struct ipc_rule rules[] = {
	TAKE(IPC__TYPE__IPC_READY, ipc__ready__descriptor, 0, on_ready),
	TAKE(IPC__TYPE__IPC_KEYS_REQUEST, ipc__keys_request__descriptor, 0,
	    on_keys),
	TAKE(IPC__TYPE__IPC_SEAL_REQUEST, ipc__seal_request__descriptor, 0,
	    on_seal),
	TAKE(IPC__TYPE__IPC_OPEN_REQUEST, ipc__open_request__descriptor, 0,
	    on_open),
	TAKE(IPC__TYPE__IPC_TUNNEL_REQUEST, ipc__tunnel_request__descriptor, 1,
	    on_tunnel),
	TAKE(IPC__TYPE__IPC_SELF_UPDATE, ipc__self_update__descriptor, 0,
	    on_self),
	TAKE(IPC__TYPE__IPC_SELF_MODELS, ipc__self_models__descriptor, 0,
	    on_self_models),
	TAKE(IPC__TYPE__IPC_VERDICT_REQUEST, ipc__verdict_request__descriptor,
	    0, on_verdict),
	TAKE(IPC__TYPE__IPC_EVIDENCE_STREAM_REQUEST,
	    ipc__evidence_stream_request__descriptor, 1, on_evidence_stream),
	TAKE(IPC__TYPE__IPC_SESSION_REQUEST, ipc__session_request__descriptor,
	    1, on_session),
};
// clang-format on

static void
on_closed(struct ipc_peer *peer, int reason)
{
	struct rig *rig = ipc_peer_daemon(peer);
	struct ipc_peer **all[] = { &rig->parent, &rig->cryptod, &rig->gossipd,
		&rig->verifier };

	(void)reason;
	for (size_t i = 0; i < N_ELEMENTS(all); i++)
		if (*all[i] == peer)
			*all[i] = NULL;
}

// ---- the process

static void
open_peer(struct rig *rig, int fd, enum ipc_role self, struct ipc_peer **ret)
{
	struct ipc_channel_config config = { .base = rig->base,
		.fd = fd,
		.self = self,
		.role = ROLE_PROXYD,
		.rules = rules,
		.n_rules = N_ELEMENTS(rules),
		.daemon = rig,
		.closed = on_closed };

	assert_int_equal(ipc_peer_new(ret, &config), 0);
}

static void
exec_proxyd(const int *fds, const char *const *args)
{
	char *argv[24] = { (char *)(uintptr_t)PROXYD_PROGRAM,
		(char *)(uintptr_t) "--api=127.0.0.1:0",
		(char *)(uintptr_t) "--management=127.0.0.1:0" };
	size_t n = 3;

	for (; *args != NULL && n < 23; args++)
		argv[n++] = (char *)(uintptr_t)*args;
	// First out of the way, then to their places.
	for (int i = 0; i < 4; i++)
		if (dup2(fds[i], 100 + i) == -1)
			_exit(126);
	for (int i = 0; i < 4; i++)
		if (dup2(100 + i, PROCESS_PARENT_FD + i) == -1)
			_exit(126);
	(void)execv(PROXYD_PROGRAM, argv);
	_exit(127);
}

void
rig_start(struct rig *rig, const char *const *args)
{
	int pairs[4][2], ends[4];
	struct node self = node_make();

	memset(rig, 0, sizeof(*rig));
	rig->self = self;
	rig->verdict_ms = 60 * 1000;
	rig->stream_result = IPC__RESULT__RESULT_REFUSED;
	assert_int_equal(loop_new(&rig->base), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(
		    socketpair(AF_UNIX,
			SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
			pairs[i]),
		    0);
		ends[i] = pairs[i][1];
	}
	rig->pid = fork();
	assert_true(rig->pid >= 0);
	if (rig->pid == 0)
		exec_proxyd(ends, args);
	for (int i = 0; i < 4; i++)
		(void)close(ends[i]);
	open_peer(rig, pairs[0][0], ROLE_PARENT, &rig->parent);
	open_peer(rig, pairs[1][0], ROLE_CRYPTOD, &rig->cryptod);
	open_peer(rig, pairs[2][0], ROLE_GOSSIPD, &rig->gossipd);
	open_peer(rig, pairs[3][0], ROLE_VERIFIER, &rig->verifier);
	RIG_UNTIL(rig, rig->is_ready);
}

void
rig_turn(struct rig *rig)
{
	struct timespec ms = { .tv_nsec = 500 * 1000 };

	(void)event_base_loop(rig->base, EVLOOP_NONBLOCK);
	if (!rig->has_ended &&
	    waitpid(rig->pid, &rig->status, WNOHANG) == rig->pid)
		rig->has_ended = true;
	(void)nanosleep(&ms, NULL);
}

void
rig_run_ms(struct rig *rig, unsigned ms)
{
	uint64_t until = clock_mono_ms() + ms;

	while (clock_mono_ms() < until)
		rig_turn(rig);
}

void
rig_stop(struct rig *rig)
{
	Ipc__Stop stop = IPC__STOP__INIT;

	assert_false(rig->has_ended);
	assert_int_equal(
	    ipc_notify(rig->parent, IPC__TYPE__IPC_STOP, &stop.base, -1), 0);
	RIG_UNTIL(rig, rig->has_ended);
	assert_true(WIFEXITED(rig->status));
	assert_int_equal(WEXITSTATUS(rig->status), 0);
	for (size_t i = rig->n_taken; i < rig->n_tunnels; i++)
		(void)close(rig->tunnels[i]);
	ipc_peer_free(rig->parent);
	ipc_peer_free(rig->cryptod);
	ipc_peer_free(rig->gossipd);
	ipc_peer_free(rig->verifier);
	event_base_free(rig->base);
}

void
rig_tell_peer(struct rig *rig, const struct node *node, enum peer_form form,
    const char *model)
{
	struct proxyd_model models[1] = { { model, 0 } };
	struct proxyd_peer_update update = { .endpoint_id = node->id,
		.role = IPC__PEER_ROLE__PEER_HOST,
		.dialect = IPC__DIALECT__DIALECT_MESHLLM,
		.connected = true,
		.direct = true,
		.models = models,
		.n_models = model == NULL ? 0 : 1 };
	uint8_t announcement[ANNOUNCEMENT_LEN];

	node_announce(node, 1, -1000, 60 * 1000, announcement);
	if (form == PEER_FORGED)
		announcement[ANNOUNCEMENT_LEN - 1] ^= 1;
	if (!sodium_is_zero(rig->binding, sizeof(rig->binding)))
		update.binding = rig->binding;
	if (form == PEER_SIGNED || form == PEER_FORGED)
		update.announcement = announcement;
	if (form == PEER_UNSIGNED || form == PEER_FORGED)
		update.unsigned_key = node->key;
	assert_int_equal(proxyd_peer_update_send(rig->gossipd, &update), 0);
	rig_run_ms(rig, 20);
}

int
rig_take_tunnel(struct rig *rig)
{
	RIG_UNTIL(rig, rig->n_tunnels > rig->n_taken);
	return rig->tunnels[rig->n_taken++];
}

void
rig_hand_tunnel(struct rig *rig, const uint8_t *peer_id, int fd)
{
	assert_int_equal(proxyd_tunnel_inbound_send(rig->gossipd, peer_id,
			     clock_boot_ms() - rig->late_ms, fd),
	    0);
}

int
rig_open_tunnel(struct rig *rig, const uint8_t *peer_id)
{
	int pair[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	rig_hand_tunnel(rig, peer_id, pair[1]);
	return pair[0];
}
