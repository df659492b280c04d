// An answer from another node, through a tunnel of gossipd.  Neither gossipd
// nor the node is trusted: what leaves is sealed to the key that was chosen
// before (or plain, where policy allows it and the log says so), and what
// comes back counts only when it opens under the same key.
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "attestd/client.h"
#include "common/log.h"
#include "cryptod/client.h"
#include "gossipd/client.h"
#include "proxyd/attempt.h"
#include "proxyd/verdict.h"

enum {
	WIDE_FROM = 128 * 1024, // less is on its way at once
	WIDE_BYTES = 1024 * 1024,
};

static void on_writable(struct stream *, void *arg);

static const struct stream_ops tunnel_ops = { attempt_tunnel_readable,
	on_writable, attempt_tunnel_failed };

// ---- the request, out

static void
finish_writing(struct attempt *a)
{
	a->is_written = true;
	// FIN: the host begins only then.
	(void)shutdown(a->tunnel.fd, SHUT_WR);
}

static void
write_sealed(struct attempt *a)
{
	struct iovec iov = { .iov_base = a->d->sealed };
	ssize_t n = 0;

	while (n >= 0 &&
	    (iov.iov_len = sealed_request_next(
		 &a->out, a->d->sealed, SCRATCH_BYTES)) > 0) {
		n = stream_try(&a->tunnel, &iov, 1);
		if (n > 0)
			a->sent += (size_t)n;
		if (n == (ssize_t)iov.iov_len)
			continue;
		sealed_request_back(
		    &a->out, iov.iov_len - (n < 0 ? 0 : (size_t)n));
		// Full now: to find out by trying would cost another encoding.
		if (n >= 0)
			n = -EAGAIN;
	}
	if (n == -EAGAIN)
		stream_want_write(&a->tunnel, a->d->timeouts.answer);
	else if (n >= 0)
		finish_writing(a);
	// Other errors: the read finds out what happened.
}

static void
write_plain(struct attempt *a)
{
	struct slice body = attempt_body(a);
	size_t all = a->head_len + body.len;
	ssize_t n = 0;

	while (a->sent < all && n >= 0) {
		bool in_head = a->sent < a->head_len;
		struct iovec iov = {
			in_head ? (char *)a->head + a->sent
				: (char *)(uintptr_t)body.at +
				(a->sent - a->head_len),
			in_head ? a->head_len - a->sent : all - a->sent,
		};

		n = stream_try(&a->tunnel, &iov, 1);
		if (n > 0)
			a->sent += (size_t)n;
	}
	if (n == -EAGAIN)
		stream_want_write(&a->tunnel, a->d->timeouts.answer);
	else if (n >= 0)
		finish_writing(a);
}

static void
on_writable(struct stream *s, void *arg)
{
	struct attempt *a = arg;

	(void)s;
	if (a->is_written)
		return;
	if (a->is_sealed)
		write_sealed(a);
	else if (a->to.source == SOURCE_PLAIN)
		write_plain(a);
}

// The head goes right in front of the body, into the room left for it.
static void
put_head_before_body(struct attempt *a)
{
	struct buf *b = attempt_buf(a);

	b->start = attempt_body_at(a) - a->head_len;
	memcpy(b->base + b->start, a->head, a->head_len);
}

// ---- the tunnel

static void
on_tunnel(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__TunnelReply *reply = (const Ipc__TunnelReply *)msg;
	struct attempt *a = arg;

	(void)frame;
	a->tunnel_id = 0;
	if (status == 0 && reply->result == IPC__RESULT__RESULT_OK)
		return;
	// Only failures are told: how long to wait is the stream's to say.
	if (status == -ETIMEDOUT)
		return;
	if (status == 0 && reply->result == IPC__RESULT__RESULT_TIMEOUT)
		attempt_fail(a, 503, "host_unavailable",
		    "the host did not answer the call in time");
	else if (status == 0 && reply->result == IPC__RESULT__RESULT_REFUSED)
		attempt_fail(a, 503, "host_unavailable",
		    "the tunnel to the host was refused");
	else
		attempt_fail(
		    a, 503, "host_unavailable", "the host cannot be reached");
}

// A large request is on its way with fewer turns of ours and gossipd's.
static void
widen(const struct attempt *a)
{
	size_t n = a->is_sealed ? sealed_request_left(&a->out)
				: a->head_len + attempt_body(a).len;
	int size = WIDE_BYTES;

	// The kernel clips it to what the administrator allows.
	if (n > WIDE_FROM)
		(void)setsockopt(
		    a->tunnel.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

// The descriptor goes to gossipd with the request in it, or its beginning: one
// wake-up for all of it.
static int
open_tunnel(struct attempt *a)
{
	AUTO_FD theirs = -1;
	int pair[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		pair) == -1)
		return -errno;
	theirs = pair[1];
	stream_init(&a->tunnel, a->d->base, pair[0], &tunnel_ops, a);
	widen(a);
	on_writable(&a->tunnel, a);
	r = gossipd_tunnel_send(a->d->gossipd, a->to.peer_id, take_fd(&theirs),
	    (unsigned)a->d->config->answer_seconds * 1000, on_tunnel, a,
	    &a->tunnel_id);
	if (r == 0)
		stream_read_start(&a->tunnel, a->d->timeouts.answer);
	return r;
}

static int
send_sealed(
    struct attempt *a, const uint8_t *ephemeral_key, const uint8_t *request_key)
{
	struct request *req = a->req;
	int r;

	put_head_before_body(a);
	r = sealed_request_init(&a->out, attempt_buf(a),
	    (struct slice){ req->model, strlen(req->model) }, ephemeral_key,
	    request_key);
	if (r < 0)
		return r == -EMSGSIZE ? r : -EKEYREJECTED;
	a->is_sealed = true;
	sealed_answer_init(&a->in, a->to.key, request_key);
	return a->d->gossipd == NULL ? -EPIPE : open_tunnel(a);
}

static void
fail_to_go(struct failure *ret, int error)
{
	switch (error) {
	case -EMSGSIZE:
		failure_set(ret, 413, "cannot_seal",
		    "the request is too large to be sealed");
		return;
	case -EKEYREJECTED:
		failure_set(ret, 503, "cannot_seal",
		    "the request could not be encrypted");
		break;
	default:
		failure_set(ret, 503, "node_not_ready",
		    error == -EPIPE ? "a part of this node is not running"
				    : "too many requests are under way");
	}
	ret->retry_after_s = RETRY_AFTER_S;
}

static void
on_sealed(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct attempt *a = arg;
	struct cryptod_sealed keys;
	struct failure failure;
	int r = cryptod_seal_read(status, msg, &keys);

	(void)frame;
	a->seal_id = 0;
	if (r < 0 || keys.result != IPC__RESULT__RESULT_OK)
		r = -EKEYREJECTED;
	else
		r = send_sealed(a, keys.ephemeral_key, keys.request_key);
	if (r == 0)
		return;
	fail_to_go(&failure, r);
	request_attempt_failed(a->req, &failure);
}

// With a key that is there, or when cryptod has made one.
static int
go_sealed(struct attempt *a)
{
	struct proxyd *d = a->d;
	uint8_t ephemeral_key[INFERENCE_KEY_LEN], request_key[REQUEST_KEY_LEN];
	int r;

	if (!ready_keys_take(d, a->to.key, ephemeral_key, request_key))
		return cryptod_seal_send(d->cryptod, a->to.key, ASK_DEADLINE_MS,
		    on_sealed, a, &a->seal_id);
	r = send_sealed(a, ephemeral_key, request_key);
	sodium_memzero(request_key, sizeof(request_key));
	return r;
}

static void
note_level(struct attempt *a)
{
	const struct peer *peer = peers_find(&a->d->peers, a->to.peer_id);

	if (peer != NULL)
		a->level = peer_level_now(peer, a->to.key, clock_unix_ms());
}

static int
go(struct attempt *a)
{
	struct proxyd *d = a->d;
	int r;

	if (d->gossipd == NULL || d->cryptod == NULL)
		return -EPIPE;
	if ((r = attempt_head(a, "", "mesh", false)) < 0)
		return r;
	if (a->to.source == SOURCE_SEALED) {
		note_level(a);
		if ((r = go_sealed(a)) < 0)
			return r;
		d->counters.sealed_sent++;
		verdict_refresh(d, a->to.peer_id);
		return 0;
	}
	if ((r = open_tunnel(a)) < 0)
		return r;
	d->counters.plain_sent++;
	LOG(LOG_WARNING, "plain-request-going-out",
	    F("request", (const char *)a->req->id),
	    F("peer", log_peer(a->to.peer_id)),
	    F("model", (const char *)a->req->model));
	return 0;
}

// ---- evidence

static void
refuse_unattested(struct attempt *a, const char *reason)
{
	struct request *req = a->req;
	struct failure failure;

	candidates_refuse(&req->candidates, a->to.peer_id, reason);
	candidates_fail_unattested(&req->candidates, a->d, &failure);
	request_attempt_failed(req, &failure);
}

static bool
is_attested(const struct attempt *a, const struct peer *peer)
{
	return peer != NULL &&
	    peer_level_now(peer, a->to.key, clock_unix_ms()) >=
	    a->d->config->required_level;
}

static void
go_or_fail(struct attempt *a)
{
	struct failure failure;
	int r;

	if ((r = go(a)) < 0) {
		fail_to_go(&failure, r);
		request_attempt_failed(a->req, &failure);
	}
}

enum { WHY_MAX = 2 * PEER_REASON_MAX + 2 };

// Why evidence is not enough: what the verifier says of what there is, and
// what the host did when it was asked for more.
static const char *
why_not(
    const struct attempt *a, const struct peer *peer, char text[static WHY_MAX])
{
	const struct peer_verdict *v;
	const struct peer_session *s;
	bool was_asked;

	if (peer == NULL)
		return "it is gone";
	v = peer_verdict_now(peer, a->to.key, clock_unix_ms());
	s = &peer->session;
	was_asked = s->is_known &&
	    memcmp(s->inference_key, a->to.key, INFERENCE_KEY_LEN) == 0;
	if (v == NULL)
		return was_asked ? s->reason
				 : "its key or its connection changed "
				   "meanwhile";
	if (!was_asked || s->level > IPC__LEVEL__LEVEL_NONE)
		return v->reason;
	if (v->level == IPC__LEVEL__LEVEL_NONE)
		return s->reason;
	(void)snprintf(text, WHY_MAX, "%s; %s", v->reason, s->reason);
	return text;
}

// The host was asked for evidence v2: is it enough?
static void
on_evidence(void *arg)
{
	struct attempt *a = arg;
	const struct peer *peer = peers_find(&a->d->peers, a->to.peer_id);
	char text[WHY_MAX];

	if (is_attested(a, peer))
		go_or_fail(a);
	else
		refuse_unattested(a, why_not(a, peer, text));
}

// true: it is being asked.
static bool
ask_host(struct attempt *a, const struct peer *peer)
{
	uint64_t age;

	if (peer == NULL || peer->dialect != IPC__DIALECT__DIALECT_MESHLLM)
		return false;
	// Its last answer was not enough, and it is no older than that.
	if (evidence_was_asked(peer, a->to.key, &age) &&
	    age < EVIDENCE_AGAIN_MS)
		return false;
	a->evidence.fn = on_evidence;
	a->evidence.arg = a;
	return evidence_ask(a->d, peer, &a->evidence) == 0;
}

static void
on_verdict(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct attempt *a = arg;
	struct attestd_verdict verdict;
	struct peer *peer = peers_find(&a->d->peers, a->to.peer_id);
	int r = attestd_verdict_read(status, msg, &verdict);
	char text[WHY_MAX];

	(void)frame;
	a->verdict_id = 0;
	if (r < 0) {
		refuse_unattested(a, "the verifier does not answer");
		return;
	}
	if (peer != NULL)
		verdict_store(peer, a->to.key,
		    a->has_binding ? a->binding : NULL, &verdict);
	if (is_attested(a, peer))
		go_or_fail(a);
	else if (!ask_host(a, peer))
		refuse_unattested(a, why_not(a, peer, text));
}

static int
ask_verdict(struct attempt *a, const struct peer *peer)
{
	struct attestd_evidence evidence = { 0 };

	if (a->d->verifier == NULL)
		return -EPIPE;
	a->has_binding = peer != NULL && peer->has_binding;
	if (a->has_binding)
		memcpy(a->binding, peer->binding, sizeof(a->binding));
	if (peer != NULL)
		evidence = (struct attestd_evidence){ peer->evidence,
			peer->evidence_len };
	return attestd_verdict_send(a->d->verifier, a->to.peer_id, a->to.key,
	    &evidence, a->has_binding ? a->binding : NULL, ASK_DEADLINE_MS,
	    on_verdict, a, &a->verdict_id);
}

// What is known is enough, or the verifier knows, or the host is asked.
int
attempt_tunnel_start(struct attempt *a, struct failure *ret_failure)
{
	struct proxyd *d = a->d;
	const struct peer *peer = peers_find(&d->peers, a->to.peer_id);
	int r;

	if (!d->config->is_attested_required || is_attested(a, peer)) {
		if ((r = go(a)) < 0)
			fail_to_go(ret_failure, r);
		return r;
	}
	if ((r = ask_verdict(a, peer)) == 0)
		return 0;
	candidates_refuse(
	    &a->req->candidates, a->to.peer_id, "the verifier is not running");
	candidates_fail_unattested(&a->req->candidates, d, ret_failure);
	return r;
}

void
attempt_tunnel_stop(struct attempt *a)
{
	struct proxyd *d = a->d;

	evidence_forget(&a->evidence);
	if (a->verdict_id != 0 && d->verifier != NULL)
		ipc_cancel(d->verifier, a->verdict_id);
	if (a->seal_id != 0 && d->cryptod != NULL)
		ipc_cancel(d->cryptod, a->seal_id);
	attempt_tunnel_forget_call(a);
	stream_close(&a->tunnel);
	if (a->is_sealed) {
		// For another host; useless once the body was given back.
		if (!a->req->is_ended && buf_len(a->out.body) > 0)
			(void)!sealed_request_unseal(&a->out);
		sealed_request_done(&a->out);
		sealed_answer_done(&a->in);
		// Not while others of a burst wait for theirs.
		ready_keys_ask(d, a->to.key);
	}
}
