// One question to each host at a time, however many requests wait for its
// answer.  Neither gossipd nor the host is trusted: what counts is the
// verifier's verdict on this node, this key and this connection, which is kept
// with all three and compared when it is used.  Not a byte of the evidence
// comes here.
#include "proxyd/evidence.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "attestd/client.h"
#include "common/level_limits.h"
#include "common/log.h"
#include "gossipd/client.h"
#include "proxyd/proxyd.h"
#include "proxyd/verdict.h"

enum {
	STREAM_DEADLINE_MS = 15 * 1000,
	BACKOFFS_MAX = 5, // doublings
};

struct asking {
	TAILQ_ENTRY(asking) entry;
	struct proxyd *d; // borrowed
	uint8_t id[ENDPOINT_ID_LEN];
	uint8_t key[INFERENCE_KEY_LEN];
	uint8_t binding[GOSSIPD_BINDING_LEN];
	int fd; // owned: the verifier's end, until it is told
	TAILQ_HEAD(, evidence_waiter) waiters;
};

static struct asking *
find(struct proxyd *d, const uint8_t *id)
{
	struct asking *a;

	TAILQ_FOREACH (a, &d->askings, entry)
		if (memcmp(a->id, id, ENDPOINT_ID_LEN) == 0)
			return a;
	return NULL;
}

static void
asking_remove(struct asking *a)
{
	struct proxyd *d = a->d;

	TAILQ_REMOVE(&d->askings, a, entry);
	d->n_askings--;
}

static void
asking_free(struct asking *a)
{
	close_fd(&a->fd);
	free(a);
}

// ---- what became of it

static void
note_level(const struct peer *peer, const struct peer_session *old)
{
	const struct peer_session *s = &peer->session;

	if (old->is_known && old->level == s->level &&
	    strcmp(old->reason, s->reason) == 0)
		return;
	LOG(LOG_INFO, "peer-attested", F("peer", log_peer(peer->id)),
	    F("level", level_name(s->level)),
	    F("reason", (const char *)s->reason),
	    F("limits", level_limits(s->level)));
}

static void
store_session(const struct asking *a, struct peer *peer, bool is_judged,
    Ipc__Level level, const char *reason)
{
	struct peer_session old = peer->session, *s = &peer->session;

	*s = (struct peer_session){ .is_known = true,
		.is_judged = is_judged,
		.level = level,
		.asked_ms = clock_mono_ms() };
	if (level == IPC__LEVEL__LEVEL_NONE)
		s->n_failed = old.n_failed + 1;
	memcpy(s->inference_key, a->key, INFERENCE_KEY_LEN);
	memcpy(s->binding, a->binding, sizeof(a->binding));
	(void)snprintf(s->reason, sizeof(s->reason), "%s", reason);
	note_level(peer, &old);
}

// It is with the peer: tell those who wait for it.
static void
finish(struct asking *a)
{
	struct evidence_waiter *w;

	// Nobody joins any more; whoever asks now asks anew.
	asking_remove(a);
	while ((w = TAILQ_FIRST(&a->waiters)) != NULL) {
		TAILQ_REMOVE(&a->waiters, w, entry);
		w->asking = NULL;
		w->fn(w->arg);
	}
	asking_free(a);
}

static void
fail(struct asking *a, const char *why)
{
	struct peer *peer = peers_find(&a->d->peers, a->id);

	if (peer != NULL)
		store_session(a, peer, false, IPC__LEVEL__LEVEL_NONE, why);
	finish(a);
}

// ---- steps

static void
on_judged(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct asking *a = arg;
	struct peer *peer = peers_find(&a->d->peers, a->id);
	struct attestd_session s;

	(void)frame;
	if (attestd_session_read(status, msg, &s) < 0) {
		fail(a, "the verifier does not answer");
		return;
	}
	if (peer != NULL) {
		store_session(
		    a, peer, s.is_judged, s.verdict.level, s.verdict.reason);
		// What came before it, also of field 38, is looked at anew.
		peer->verdict.is_known = false;
		if (s.is_judged)
			verdict_store(peer, a->key, a->binding, &s.verdict);
	}
	finish(a);
}

static void
on_stream(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct asking *a = arg;
	struct proxyd *d = a->d;
	Ipc__Result result = IPC__RESULT__RESULT_UNREACHABLE;
	const uint8_t *binding = NULL;

	(void)frame;
	if (gossipd_evidence_stream_read(status, msg, &result, &binding) < 0 ||
	    binding == NULL) {
		fail(a,
		    result == IPC__RESULT__RESULT_REFUSED
			? "the host does not speak of evidence v2"
			: "the host cannot be reached for its evidence");
		return;
	}
	memcpy(a->binding, binding, sizeof(a->binding));
	if (d->verifier == NULL ||
	    attestd_session_send(d->verifier, a->id, a->key, a->binding,
		take_fd(&a->fd), on_judged, a, NULL) < 0)
		fail(a, "the verifier is not running");
}

static int
run(struct asking *a)
{
	struct proxyd *d = a->d;
	int pair[2];

	if (d->gossipd == NULL || d->verifier == NULL)
		return -EPIPE;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		pair) == -1)
		return -errno;
	a->fd = pair[0];
	return gossipd_evidence_stream_send(
	    d->gossipd, a->id, pair[1], STREAM_DEADLINE_MS, on_stream, a, NULL);
}

static int
start(struct proxyd *d, const struct peer *peer, const uint8_t *key,
    struct asking **ret)
{
	struct asking *a;
	int r;

	if (d->n_askings >= EVIDENCE_ASKING_MAX)
		return -EAGAIN;
	if ((a = calloc(1, sizeof(*a))) == NULL)
		return -ENOMEM;
	a->d = d;
	a->fd = -1;
	memcpy(a->id, peer->id, sizeof(a->id));
	memcpy(a->key, key, sizeof(a->key));
	TAILQ_INIT(&a->waiters);
	TAILQ_INSERT_TAIL(&d->askings, a, entry);
	d->n_askings++;
	if ((r = run(a)) < 0) {
		asking_remove(a);
		asking_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

int
evidence_ask(
    struct proxyd *d, const struct peer *peer, struct evidence_waiter *w)
{
	struct asking *a = find(d, peer->id);
	const uint8_t *key = NULL;
	int r = 0;

	if (peer_key_now(peer, clock_unix_ms(), &key) != PEER_KEY_PROVEN)
		return -ENOKEY;
	if (a == NULL && (r = start(d, peer, key, &a)) < 0)
		return r;
	if (w == NULL)
		return 0;
	w->asking = a;
	TAILQ_INSERT_TAIL(&a->waiters, w, entry);
	return 0;
}

void
evidence_forget(struct evidence_waiter *w)
{
	if (w->asking != NULL)
		TAILQ_REMOVE(&w->asking->waiters, w, entry);
	w->asking = NULL;
}

// ---- in the background

bool
evidence_was_asked(
    const struct peer *peer, const uint8_t *key, uint64_t *ret_ms)
{
	const struct peer_session *s = &peer->session;

	if (!s->is_known ||
	    memcmp(s->inference_key, key, INFERENCE_KEY_LEN) != 0 ||
	    // What failed before there was a connection has none.
	    (s->is_judged &&
		(!peer->has_binding ||
		    memcmp(s->binding, peer->binding, PEER_BINDING_LEN) != 0)))
		return false;
	*ret_ms = clock_mono_ms() - s->asked_ms;
	return true;
}

// The less often the longer it fails; a request asks all the same.
static uint64_t
retry_ms(const struct peer_session *s)
{
	unsigned n = s->n_failed == 0 ? 0 : s->n_failed - 1;

	return (uint64_t)EVIDENCE_RETRY_MS
	    << (n < BACKOFFS_MAX ? n : BACKOFFS_MAX);
}

static bool
is_due(const struct peer *peer, const uint8_t *key)
{
	const struct peer_session *s = &peer->session;
	uint64_t age;

	if (!evidence_was_asked(peer, key, &age))
		return !s->is_known ||
		    clock_mono_ms() - s->asked_ms >= EVIDENCE_NEWS_MS;
	if (s->level == IPC__LEVEL__LEVEL_NONE)
		return age >= retry_ms(s);
	return age >= (s->level < IPC__LEVEL__LEVEL_HARDWARE
			      ? EVIDENCE_LOWER_MS
			      : EVIDENCE_RENEW_MS);
}

void
evidence_refresh(struct proxyd *d, struct peer *peer)
{
	const uint8_t *key = NULL;

	// Only hosts get prompts; only one that is there is asked.
	if (!peer->is_present || !peer->connected || !peer->has_binding ||
	    peer->role != IPC__PEER_ROLE__PEER_HOST ||
	    peer->dialect != IPC__DIALECT__DIALECT_MESHLLM ||
	    peer_key_now(peer, clock_unix_ms(), &key) != PEER_KEY_PROVEN ||
	    !is_due(peer, key))
		return;
	// Hosts that hold out on us must leave room for those that a request
	// needs.
	if (d->n_askings >= EVIDENCE_BACKGROUND_MAX)
		return;
	// A part is missing: the next update tries again.
	(void)!evidence_ask(d, peer, NULL);
}

void
evidence_start_over(struct proxyd *d)
{
	for (size_t i = 0; i < d->peers.n; i++)
		d->peers.at[i]->session.is_known = false;
	verdicts_void(d, NULL);
}

void
evidence_done(struct proxyd *d)
{
	struct asking *a;

	while ((a = TAILQ_FIRST(&d->askings)) != NULL) {
		struct evidence_waiter *w;

		while ((w = TAILQ_FIRST(&a->waiters)) != NULL)
			evidence_forget(w);
		asking_remove(a);
		asking_free(a);
	}
}
