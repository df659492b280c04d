// A peer asks for our evidence, on a stream of its own type
// (docs/wire-evidence.md): two messages of fixed size come in, what is in them
// goes to the signer as fields, the signer's bytes go back.  The peer is
// hostile: it may ask one thing at a time and not often, because each question
// can cost an operation of a slow TPM; nothing that it sends is kept beyond
// the two messages.  This file must never look into the evidence.
#include "gossipd/gossipd.h"

#include <string.h>
#include <sys/socket.h>

#include "attestd/client.h"
#include "common/log.h"

enum {
	ASK_DEADLINE_MS = 8 * 1000, // the signer
	QUESTIONS_MAX = 8,	    // of one peer at once
	QUESTION_EVERY_MS = 10 * 1000,
};

enum state {
	EVIDENCE_HELLO,	     // the peer's first message comes
	EVIDENCE_ASKED,	     // the signer works
	EVIDENCE_CREDENTIAL, // the peer's second message, or its end
	EVIDENCE_ACTIVATING, // the signer works again
};

// As the verifier reads them: attestd/session.h.
enum refusal { NO_ATTESTER = 1, ATTESTER_FAILS = 2, BUSY = 3 };

struct evidence_stream {
	struct gstream base;
	enum state state;
	uint8_t in[ATTESTD_CREDENTIAL_LEN];
	size_t have;
	uint8_t hash[ATTESTD_HASH_LEN];
	int fd;		 // owned: the signer's answer comes here
	uint32_t asking; // 0: nothing is asked
};

static void
evidence_free(struct evidence_stream *e)
{
	struct link *link = e->base.link;
	struct gossipd *d = link->daemon;

	gstream_set_deadline(&e->base, 0);
	if (e->asking != 0 && d->signer != NULL)
		ipc_cancel(d->signer, e->asking);
	if (e->base.stream != NULL)
		quic_stream_set_data(e->base.stream, NULL);
	close_fd(&e->fd);
	link->n_evidence--;
	d->n_evidence--;
	mesh_drop_link_if_unused(link);
	free(e);
}

static void
evidence_refuse(struct evidence_stream *e, const char *reason)
{
	struct quic_stream *stream = e->base.stream;

	control_log_refusal(e->base.link, EVIDENCE_STREAM_TYPE, reason);
	evidence_free(e);
	quic_stream_abort(stream);
}

// Our last bytes to the peer.
static void
evidence_end(struct evidence_stream *e, const uint8_t *bytes, size_t len)
{
	struct quic_stream *stream = e->base.stream;
	int r = len == 0 ? 0 : quic_stream_write(stream, bytes, len);

	evidence_free(e);
	if (r == 0)
		quic_stream_finish(stream);
	else
		quic_stream_abort(stream);
}

static void
tell_why_not(struct evidence_stream *e, enum refusal why)
{
	const uint8_t none[5] = { 0, 0, 0, 0, (uint8_t)why };

	evidence_end(e, none, sizeof(none));
}

// ---- the signer's answers

// All of it is there when the signer has replied.
static int
pass_answer(struct evidence_stream *e)
{
	size_t have = 0;
	uint8_t *bytes = malloc(ATTESTD_ANSWER_MAX);
	ssize_t n = 1;
	int r;

	if (bytes == NULL)
		return -ENOMEM;
	while (n > 0 && have < ATTESTD_ANSWER_MAX) {
		n = recv(e->fd, bytes + have, ATTESTD_ANSWER_MAX - have,
		    MSG_DONTWAIT);
		have += n > 0 ? (size_t)n : 0;
	}
	r = have == 0 ? -EPIPE : quic_stream_write(e->base.stream, bytes, have);
	free(bytes);
	return r;
}

static void
on_attested(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct evidence_stream *e = arg;
	Ipc__Result result = IPC__RESULT__RESULT_FAILED;

	(void)frame;
	e->asking = 0;
	if (attestd_attest_read(status, msg, &result, e->hash) < 0)
		result = IPC__RESULT__RESULT_FAILED;
	if (result != IPC__RESULT__RESULT_OK) {
		tell_why_not(e,
		    result == IPC__RESULT__RESULT_NO_ATTESTER ? NO_ATTESTER
			: result == IPC__RESULT__RESULT_BUSY  ? BUSY
							      : ATTESTER_FAILS);
		return;
	}
	if (pass_answer(e) < 0) {
		evidence_refuse(e, "answer not sent");
		return;
	}
	close_fd(&e->fd);
	e->state = EVIDENCE_CREDENTIAL;
	e->have = 0;
	gstream_set_deadline(&e->base, clock_mono_ms() + CONTROL_DEADLINE_MS);
}

static void
on_activated(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct evidence_stream *e = arg;
	Ipc__Result result = IPC__RESULT__RESULT_FAILED;
	uint8_t proof[ATTESTD_PROOF_LEN];

	(void)frame;
	e->asking = 0;
	if (attestd_activate_read(status, msg, &result, proof) == 0 &&
	    result == IPC__RESULT__RESULT_OK)
		evidence_end(e, proof, sizeof(proof));
	else
		evidence_refuse(e, "the TPM does not open the credential");
}

// ---- the peer's messages

static void
ask_signer(struct evidence_stream *e)
{
	static const char magic[8] = "mshlev2h";
	static const uint8_t zeros[8];
	struct gossipd *d = e->base.link->daemon;
	struct quic_conn *conn = quic_stream_conn(e->base.stream);
	uint8_t binding[ATTESTD_BINDING_LEN];
	struct attestd_attest ask = { e->in + 8, e->in + 40, binding };
	int pair[2];

	if (memcmp(e->in, magic, 8) != 0 || memcmp(e->in + 72, zeros, 8) != 0) {
		evidence_refuse(e, "not a question for evidence");
		return;
	}
	if (d->signer == NULL || quic_conn_exporter(conn, binding) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		pair) == -1) {
		tell_why_not(e, ATTESTER_FAILS);
		return;
	}
	e->fd = pair[0];
	e->state = EVIDENCE_ASKED;
	gstream_set_deadline(&e->base, clock_mono_ms() + CONTROL_DEADLINE_MS);
	if (attestd_attest_send(d->signer, &ask, pair[1], ASK_DEADLINE_MS,
		on_attested, e, &e->asking) < 0)
		tell_why_not(e, ATTESTER_FAILS);
}

static void
ask_activation(struct evidence_stream *e)
{
	struct gossipd *d = e->base.link->daemon;

	e->state = EVIDENCE_ACTIVATING;
	gstream_set_deadline(&e->base, clock_mono_ms() + CONTROL_DEADLINE_MS);
	if (d->signer == NULL ||
	    attestd_activate_send(d->signer, e->hash, e->in, ASK_DEADLINE_MS,
		on_activated, e, &e->asking) < 0)
		evidence_refuse(e, "the signer is not there");
}

static size_t
wanted(const struct evidence_stream *e)
{
	return e->state == EVIDENCE_HELLO     ? ATTESTD_HELLO_LEN
	    : e->state == EVIDENCE_CREDENTIAL ? (size_t)ATTESTD_CREDENTIAL_LEN
					      : 0;
}

void
evidence_data(struct gstream *g, const uint8_t *data, size_t len, bool fin)
{
	struct evidence_stream *e = (struct evidence_stream *)g;
	size_t want = wanted(e);

	if (len > want - (want == 0 ? 0 : e->have)) {
		evidence_refuse(e, "more than was asked for");
		return;
	}
	if (len != 0)
		memcpy(e->in + e->have, data, len);
	e->have += len;
	if (want != 0 && e->have == want) {
		if (e->state == EVIDENCE_HELLO)
			ask_signer(e);
		else
			ask_activation(e);
	} else if (fin && e->state == EVIDENCE_CREDENTIAL && e->have == 0) {
		evidence_end(e, NULL, 0); // it knows our TPM
	} else if (fin && want != 0) {
		evidence_refuse(e, "ends within a message");
	}
}

void
evidence_closed(struct gstream *g)
{
	g->stream = NULL;
	evidence_free((struct evidence_stream *)g);
}

void
evidence_expired(struct gstream *g)
{
	evidence_refuse((struct evidence_stream *)g, "timeout");
}

// May it ask once more?
static bool
take_question(struct link *link)
{
	uint64_t now = clock_mono_ms();
	uint64_t full = (uint64_t)QUESTIONS_MAX * QUESTION_EVERY_MS;

	// Each question takes its time from a store that fills by itself.
	if (link->evidence_until_ms < now)
		link->evidence_until_ms = now;
	if (link->evidence_until_ms + QUESTION_EVERY_MS > now + full)
		return false;
	link->evidence_until_ms += QUESTION_EVERY_MS;
	return true;
}

int
evidence_accept(struct link *link, struct quic_stream *stream,
    const uint8_t *first, size_t len, bool fin)
{
	struct gossipd *d = link->daemon;
	struct evidence_stream *e;
	bool may_ask = link->n_evidence == 0 &&
	    d->n_evidence < EVIDENCE_STREAMS_MAX && take_question(link);

	if (link->n_evidence >= EVIDENCE_PER_PEER_MAX)
		return -ENOBUFS;
	if ((e = calloc(1, sizeof(*e))) == NULL)
		return -ENOMEM;
	e->base.kind = GSTREAM_EVIDENCE;
	e->base.link = link;
	e->base.stream = stream;
	e->fd = -1;
	link->n_evidence++;
	d->n_evidence++;
	quic_stream_set_data(stream, e);
	gstream_set_deadline(&e->base, clock_mono_ms() + CONTROL_DEADLINE_MS);
	if (may_ask)
		evidence_data(&e->base, first, len, fin);
	else
		tell_why_not(e, BUSY);
	return 0;
}
