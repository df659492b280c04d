// A stranger's sealed request: collected up to the FIN and opened with a key
// that cryptod gives out once.  Until it is open nothing of it is believed, and
// what does not open is dropped without a word.
#include <sodium.h>
#include <string.h>

#include "common/log.h"
#include "proxyd/inbound_state.h"

enum {
	ENVELOPE_READ_BYTES = 256 * 1024,
	EARLY_FROM = 64 * 1024, // shorter ones are there before their keys
};

void
inbound_drop_envelope(struct inbound *in)
{
	sealed_envelope_done(&in->envelope);
	sodium_memzero(&in->keys, sizeof(in->keys));
	proxyd_unhold(in->d, &in->held);
}

// A body with a length lies in one piece where it was opened: it stays there.
static int
take_opened_body(struct inbound *in, uint8_t *body, size_t n)
{
	uint64_t length = in->body.left;
	bool is_whole = in->body.framing == HTTP_BODY_LENGTH && n >= length;
	int r;

	if (!is_whole || length == 0) {
		r = inbound_feed_body(in, body, n);
	} else {
		proxyd_unhold(in->d, &in->held);
		r = request_adopt_body(
		    in->req, &in->envelope.in, body, (size_t)length);
	}
	if (r < 0)
		return r;
	if (is_whole || http_body_is_done(&in->body))
		return 0;
	inbound_refuse(in, 400, "bad_request", "the body ends too early");
	return -EBADMSG;
}

static void
take_opened(struct inbound *in, uint8_t *text, size_t n)
{
	size_t scanned = 0, len = 0;
	int r = http_head_find(text, n, &scanned, &len);

	if (r < 0) {
		inbound_refuse(in, 400, "bad_request",
		    "what was sealed is not an HTTP request");
		return;
	}
	if (inbound_take_head(in, text, len) < 0 ||
	    take_opened_body(in, text + len, n - len) < 0)
		return;
	inbound_drop_envelope(in);
	request_start(in->req);
}

static void
open_with_keys(struct inbound *in)
{
	struct inbound_keys keys = in->keys;
	uint8_t *text = NULL;
	size_t i, n = 0;

	in->keys.n = 0;
	sodium_memzero(&in->keys, sizeof(in->keys));
	for (i = 0; i < keys.n; i++)
		if (sealed_envelope_open(&in->envelope,
			keys.candidates[i].request_key, &text, &n) == 0)
			break;
	if (i == keys.n) {
		inbound_drop(in, "sealed to another key, or damaged");
	} else if (inbound_begin(in, ENDPOINT_NONE) == 0) {
		answer_seal(&in->req->answer, keys.candidates[i].inference_key,
		    keys.candidates[i].request_key);
		take_opened(in, text, n);
	}
	sodium_memzero(&keys, sizeof(keys));
}

static void
keep_keys(struct inbound *in, const struct cryptod_opened *opened)
{
	in->keys.n = opened->n_candidates;
	for (size_t i = 0; i < opened->n_candidates; i++) {
		const struct cryptod_candidate *c = &opened->candidates[i];

		memcpy(in->keys.candidates[i].inference_key, c->inference_key,
		    INFERENCE_KEY_LEN);
		memcpy(in->keys.candidates[i].request_key, c->request_key,
		    REQUEST_KEY_LEN);
	}
}

static void
on_opened(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	static const char *const reasons[] = {
		[IPC__RESULT__RESULT_BAD_KEY] = "ephemeral key is unusable",
		[IPC__RESULT__RESULT_REPLAYED] = "replay: key seen before",
		[IPC__RESULT__RESULT_BUSY] = "replay memory is full",
	};
	struct inbound *in = arg;
	struct cryptod_opened keys;

	(void)frame;
	in->open_id = 0;
	if (cryptod_open_read(status, msg, &keys) < 0) {
		inbound_drop(in, "cryptod does not answer");
		return;
	}
	if (keys.result != IPC__RESULT__RESULT_OK) {
		inbound_drop(in,
		    (size_t)keys.result < N_ELEMENTS(reasons)
			? reasons[keys.result]
			: "refused by cryptod");
		return;
	}
	keep_keys(in, &keys);
	if (in->state != INBOUND_ENVELOPE)
		open_with_keys(in);
	else if (in->keys.n > 0) // the first is the current one
		sealed_envelope_open_early(
		    &in->envelope, in->keys.candidates[0].request_key);
}

static int
ask_for_keys(struct inbound *in)
{
	if (in->d->cryptod != NULL &&
	    cryptod_open_send(in->d->cryptod, in->envelope.ephemeral_key,
		ASK_DEADLINE_MS, on_opened, in, &in->open_id) == 0)
		return 0;
	inbound_drop(in, "cryptod is not running");
	return -EPIPE;
}

void
inbound_envelope_complete(struct inbound *in)
{
	const char *stage;

	if (sealed_envelope_parse(&in->envelope) < 0) {
		stage = sealed_stage_name(in->envelope.stage);
		LOG(LOG_DEBUG, "envelope-damaged",
		    F("from", log_peer(in->peer_id)), F("stage", stage));
		inbound_drop(in, "the sealed envelope is malformed");
		return;
	}
	in->state = INBOUND_OPENING;
	if (in->keys.n > 0)
		open_with_keys(in);
	else if (in->open_id == 0)
		(void)!ask_for_keys(in);
}

static int
hold_envelope(struct inbound *in)
{
	if (proxyd_hold(in->d, &in->held, in->envelope.in.size) == 0)
		return 0;
	inbound_drop(in, "too many bytes are held already");
	return -ENOBUFS;
}

void
inbound_begin_sealed(struct inbound *in, const uint8_t *bytes, size_t n)
{
	uint8_t *at;
	size_t room;

	in->is_sealed = true;
	in->state = INBOUND_ENVELOPE;
	sealed_envelope_init(&in->envelope, SEALED_ENVELOPE_MAX);
	if (sealed_envelope_reserve(&in->envelope, n, &at, &room) < 0 ||
	    room < n) {
		inbound_drop(in, "out of memory");
		return;
	}
	memcpy(at, bytes, n);
	sealed_envelope_commit(&in->envelope, n);
	if (hold_envelope(in) == 0)
		stream_read_start(&in->stream, in->d->timeouts.body);
}

// A long request costs more time to decode and open than to ask for its key.
static int
work_ahead(struct inbound *in)
{
	struct sealed_envelope *e = &in->envelope;

	if (buf_len(&e->in) < EARLY_FROM)
		return 0;
	if (!in->was_begun) {
		in->was_begun = true;
		if (sealed_envelope_begin(e) == 0 && ask_for_keys(in) < 0)
			return -ECANCELED;
	}
	sealed_envelope_advance(e);
	return 0;
}

// Straight into the envelope's buffer, no copy.
ssize_t
inbound_read_envelope(struct inbound *in)
{
	// A small first read: most requests are a few KiB.
	size_t want = buf_len(&in->envelope.in) < SCRATCH_BYTES
	    ? SCRATCH_BYTES / 4
	    : ENVELOPE_READ_BYTES;
	uint8_t *at;
	size_t room;
	ssize_t n;

	if (sealed_envelope_reserve(&in->envelope, want, &at, &room) < 0) {
		inbound_drop(in, "the sealed envelope is too large");
		return -ECANCELED;
	}
	n = stream_recv(&in->stream, at, room);
	if (n > 0) {
		sealed_envelope_commit(&in->envelope, (size_t)n);
		if (hold_envelope(in) < 0 || work_ahead(in) < 0)
			return -ECANCELED;
	}
	return n;
}
