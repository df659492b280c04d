// One question to one host, over a descriptor that leads to it: HELLO with our
// nonce, its evidence and proof of the inference key, and if its TPM is new to
// us a secret that only this TPM opens.  Every byte that comes is hostile:
// sizes are capped before memory is taken, each answer has a deadline, the
// number of sessions is limited.  The ephemeral key lives as long as the
// session.  Whatever goes wrong, the level is the lowest.
#include "attestd/session.h"

#include <sodium.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "attestd/attestd.h"
#include "common/log.h"

enum { LENGTH_LEN = 4 };

enum session_state {
	SESSION_LENGTH,	  // waiting for the length of the evidence
	SESSION_EVIDENCE, // and for all of it, with the MAC
	SESSION_REFUSED,  // the length was zero: for the reason
	SESSION_PROOF,	  // of the TPM
};

struct session {
	TAILQ_ENTRY(session) entry;
	struct attestd *d;		   // borrowed
	uint32_t request_id;		   // of proxyd
	int fd;				   // owned
	struct event *readable, *deadline; // owned
	enum session_state state;
	uint8_t node[ENDPOINT_ID_LEN];
	uint8_t inference_key[INFERENCE_KEY_LEN];
	uint8_t binding[32];
	struct evidence_hello hello;
	uint8_t ephemeral_secret[32];
	uint8_t small[EVIDENCE_PROOF_LEN]; // all answers but the evidence
	uint8_t *evidence;		   // owned; with the MAC behind it
	size_t evidence_len;
	size_t have, want;
};

struct sessions {
	TAILQ_HEAD(, session) all;
	size_t n;
};

int
sessions_new(struct sessions **ret)
{
	struct sessions *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	TAILQ_INIT(&s->all);
	*ret = s;
	return 0;
}

static void
session_free(struct session *s)
{
	struct sessions *all = s->d->sessions;

	TAILQ_REMOVE(&all->all, s, entry);
	all->n--;
	if (s->readable != NULL)
		event_free(s->readable);
	if (s->deadline != NULL)
		event_free(s->deadline);
	close_fd(&s->fd);
	free(s->evidence);
	sodium_memzero(s, sizeof(*s));
	free(s);
}

void
sessions_free(struct sessions *all)
{
	struct session *s;

	if (all == NULL)
		return;
	while ((s = TAILQ_FIRST(&all->all)) != NULL)
		session_free(s);
	free(all);
}

// ---- the end

static void
reply(struct attestd *d, uint32_t id, bool judged, const struct verdict *v)
{
	Ipc__SessionReply out = IPC__SESSION_REPLY__INIT;
	int r = -EPIPE;

	out.judged = judged;
	out.level = (Ipc__Level)v->level;
	out.reason = (char *)(uintptr_t)v->reason;
	out.expires_ms = v->expires_ms;
	out.has_made_ms = v->made_ms != 0;
	out.made_ms = v->made_ms;
	if (d->peers[ROLE_PROXYD] != NULL)
		r = ipc_reply_to(d->peers[ROLE_PROXYD], id,
		    IPC__TYPE__IPC_SESSION_REPLY, &out.base);
	// proxyd's own deadline ends its question then.
	if (r < 0)
		LOG(LOG_WARNING, "verdict-lost", F("error", log_error(r)));
}

static void
reply_not_judged(struct attestd *d, uint32_t id, const char *why)
{
	struct verdict v = { .level = LEVEL_NONE,
		.expires_ms = clock_unix_ms() + LEVEL_VERDICT_MS };

	level_say(&v, "%s", why);
	reply(d, id, false, &v);
}

static void
give_up(struct session *s, const char *why)
{
	LOG(LOG_DEBUG, "session-failed", F("peer", log_peer(s->node)),
	    F("reason", why));
	reply_not_judged(s->d, s->request_id, why);
	session_free(s);
}

static void
finish(struct session *s, const struct verdict *v)
{
	LOG(LOG_DEBUG, "session", F("peer", log_peer(s->node)),
	    F("level", level_name(v->level)),
	    F("reason", (const char *)v->reason));
	reply(s->d, s->request_id, true, v);
	session_free(s);
}

// By what is held of the node, and by the trust files as the step looked at
// them.  A look in between would be one too many: of a root that is new there
// the TPM was not asked, and proxyd would be told so before this verdict, not
// after it.
static void
judge(struct session *s)
{
	struct verdict v;

	level_of_held(&s->d->trust, held_find(&s->d->held, s->node),
	    s->inference_key, clock_unix_ms(), &v);
	finish(s, &v);
}

static void
refuse_dead(struct session *s)
{
	struct verdict v = { .level = LEVEL_NONE,
		.expires_ms = clock_unix_ms() + LEVEL_VERDICT_MS };

	held_forget(&s->d->held, s->node);
	level_say(&v,
	    "the host does not show that it holds the secret of its inference "
	    "key");
	finish(s, &v);
}

// ---- steps

static void
expect(struct session *s, enum session_state state, size_t want)
{
	s->state = state;
	s->have = 0;
	s->want = want;
}

static int
start_clock(struct session *s)
{
	static const struct timeval wait = { SESSION_DEADLINE_MS / 1000, 0 };

	return event_add(s->deadline, &wait) == -1 ? -ENOMEM : 0;
}

// What we say is short: it fits, or the host is gone.
static int
say(struct session *s, const uint8_t *bytes, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len
	    ? 0
	    : -EPIPE;
}

static bool
is_live(const struct session *s, const uint8_t *hash, const uint8_t *mac)
{
	uint8_t shared[32], scratch[LIVENESS_KEY_LEN], wanted[LIVENESS_MAC_LEN];
	bool ok = crypto_scalarmult(
		      shared, s->ephemeral_secret, s->inference_key) == 0;

	if (ok)
		liveness_mac(shared, s->hello.ephemeral, s->inference_key, hash,
		    scratch, wanted);
	ok = ok && sodium_memcmp(wanted, mac, sizeof(wanted)) == 0;
	sodium_memzero(shared, sizeof(shared));
	return ok;
}

static int
ask_tpm(struct session *s, struct held *held)
{
	uint8_t wire[EVIDENCE_CREDENTIAL_LEN];
	struct tpm_credential credential;
	int r = held_make_credential(held, &credential);

	if (r < 0)
		return r;
	evidence_credential_write(&credential, wire);
	expect(s, SESSION_PROOF, EVIDENCE_PROOF_LEN);
	r = say(s, wire, sizeof(wire));
	return r < 0 ? r : start_clock(s);
}

static void
take_evidence(struct session *s)
{
	const struct evidence_question q = { .endpoint_id = s->node,
		.inference_key = s->inference_key,
		.nonce = s->hello.nonce,
		.binding = s->binding,
		.now_ms = clock_unix_ms() };
	struct held *held;

	trust_look(s->d);
	if (held_judge(&s->d->held, &s->d->trust, &q, s->evidence,
		s->evidence_len, &held) < 0)
		give_up(s, "out of memory");
	// Of evidence that is no good itself, the reason is that.
	else if (evidence_problem(&held->result) == NULL &&
	    !is_live(s, held->result.hash, s->evidence + s->evidence_len))
		refuse_dead(s);
	else if (!held_wants_credential(held) || ask_tpm(s, held) < 0)
		judge(s);
}

static void
take_proof(struct session *s)
{
	struct held *held = held_find(&s->d->held, s->node);

	trust_look(s->d);
	// Another session may have asked the same node meanwhile.
	if (held != NULL &&
	    memcmp(held->nonce, s->hello.nonce, sizeof(held->nonce)) == 0 &&
	    held_take_proof(held, s->small) < 0)
		LOG(LOG_WARNING, "credential-refused",
		    F("peer", log_peer(s->node)));
	judge(s);
}

static void
take_length(struct session *s)
{
	size_t len = (size_t)s->small[0] << 24 | (size_t)s->small[1] << 16 |
	    (size_t)s->small[2] << 8 | s->small[3];

	if (len == 0) {
		expect(s, SESSION_REFUSED, 1);
		return;
	}
	if (len > EVIDENCE_V2_MAX) {
		give_up(s, "the evidence is too large");
		return;
	}
	s->evidence_len = len;
	s->evidence = malloc(len + LIVENESS_MAC_LEN);
	if (s->evidence == NULL)
		give_up(s, "out of memory");
	else
		expect(s, SESSION_EVIDENCE, len + LIVENESS_MAC_LEN);
}

static void
take_refusal(struct session *s)
{
	switch (s->small[0]) {
	case SESSION_NO_ATTESTER:
		give_up(s, "nothing vouches for the host: it has no attester");
		return;
	case SESSION_ATTESTER_FAILS:
		give_up(s, "what vouches for the host does not work now");
		return;
	case SESSION_BUSY:
		give_up(s, "the host answers too many verifiers now");
		return;
	default:
		give_up(s, "the host sent no evidence");
	}
}

static void
take(struct session *s)
{
	switch (s->state) {
	case SESSION_LENGTH:
		take_length(s);
		break;
	case SESSION_EVIDENCE:
		take_evidence(s);
		break;
	case SESSION_REFUSED:
		take_refusal(s);
		break;
	case SESSION_PROOF:
		take_proof(s);
		break;
	}
}

// Nothing more comes.  Evidence without a proof still is evidence.
static void
cut_off(struct session *s, const char *why)
{
	if (s->state == SESSION_PROOF)
		judge(s);
	else
		give_up(s, why);
}

// One read in one turn of the loop: a host that sends much waits like others.
static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	uint8_t *into = s->state == SESSION_EVIDENCE ? s->evidence : s->small;
	struct iovec iov = { into + s->have, s->want - s->have };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

	(void)what;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		cut_off(s, "the host closed the stream without evidence");
		return;
	}
	s->have += (size_t)n;
	if (s->have == s->want)
		take(s);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	cut_off(arg, "the host did not answer in time");
}

// ---- the beginning

static int
start(struct session *s)
{
	struct event_base *base = s->d->base;
	uint8_t hello[EVIDENCE_HELLO_LEN];

	randombytes_buf(s->hello.nonce, sizeof(s->hello.nonce));
	(void)crypto_box_keypair(s->hello.ephemeral, s->ephemeral_secret);
	evidence_hello_write(&s->hello, hello);
	s->readable =
	    event_new(base, s->fd, EV_READ | EV_PERSIST, on_readable, s);
	s->deadline = evtimer_new(base, on_deadline, s);
	expect(s, SESSION_LENGTH, LENGTH_LEN);
	if (s->readable == NULL || s->deadline == NULL ||
	    event_add(s->readable, NULL) == -1 || start_clock(s) < 0)
		return -ENOMEM;
	return say(s, hello, sizeof(hello));
}

int
handle_session(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__SessionRequest *in = (const Ipc__SessionRequest *)msg;
	struct attestd *d = ipc_peer_daemon(peer);
	struct session *s = NULL;

	if (in->endpoint_id.len != ENDPOINT_ID_LEN ||
	    in->inference_key.len != INFERENCE_KEY_LEN ||
	    in->binding.len != sizeof(s->binding))
		return -EPROTO;
	if (d->sessions == NULL || d->sessions->n >= SESSIONS_MAX ||
	    (s = calloc(1, sizeof(*s))) == NULL) {
		reply_not_judged(d, frame->header.request_id,
		    "too many hosts are being verified");
		return 0;
	}
	s->d = d;
	s->request_id = frame->header.request_id;
	s->fd = take_fd(&frame->fd);
	memcpy(s->node, in->endpoint_id.data, sizeof(s->node));
	memcpy(
	    s->inference_key, in->inference_key.data, sizeof(s->inference_key));
	memcpy(s->binding, in->binding.data, sizeof(s->binding));
	TAILQ_INSERT_TAIL(&d->sessions->all, s, entry);
	d->sessions->n++;
	if (start(s) < 0)
		give_up(s, "the stream to the host is closed");
	return 0;
}
