// The host's side of a sealed request (wire-v1 4.3): collected, then read,
// decoded and opened where it lies.  A long one is decoded and opened while it
// comes, if it is written as our own are: the ciphertext last, no escapes.
//
// Everything in it was chosen by a stranger until the box has opened, and
// after that as well: then it is an HTTP request of a stranger.  It must never
// hold more than the limit, nor hand out a byte that was not authenticated.
#include "proxyd/sealed_v1.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "proxyd/b64.h"
#include "proxyd/box.h"
#include "proxyd/json_text.h"

enum {
	BOX_HEAD_LEN = SEALED_NONCE_LEN + SEALED_MAC_LEN,
	BEGINNING_MAX = 2 * SEALED_HEAD_MAX,
	STUCK_LEN = 64, // more than is left of plain base64
};

enum member { MODEL, EPHEMERAL_KEY, CIPHERTEXT, N_MEMBERS };
static const char *const member_names[N_MEMBERS] = {
	[MODEL] = "model",
	[EPHEMERAL_KEY] = "ephemeral_public_key",
	[CIPHERTEXT] = "ciphertext",
};

// A string inside of the text; .at is NULL while it has not been seen.
struct text {
	uint8_t *at;
	size_t len;
};

void
sealed_envelope_init(struct sealed_envelope *e, size_t max)
{
	assert(max <= SEALED_ENVELOPE_MAX);
	*e = (struct sealed_envelope){ 0 };
	// The mark, and one byte more, by which an excess shows.
	buf_init(&e->in, 1 + max + 1);
}

int
sealed_envelope_reserve(
    struct sealed_envelope *e, size_t n, uint8_t **ret, size_t *ret_size)
{
	size_t left = e->in.max - buf_len(&e->in) - e->saved;
	int r;

	if (left == 0) {
		e->stage = SEALED_STAGE_SIZE;
		return -EMSGSIZE;
	}
	n = n < left ? n : left;
	if ((r = buf_reserve(&e->in, n, ret)) < 0)
		return r;
	*ret_size = n;
	return 0;
}

void
sealed_envelope_commit(struct sealed_envelope *e, size_t n)
{
	buf_commit(&e->in, n);
}

static int
refuse(struct sealed_envelope *e, enum sealed_stage stage)
{
	e->stage = stage;
	return -EBADMSG;
}

static enum member
find_member(const uint8_t *key, size_t len)
{
	int i;

	for (i = 0; i < N_MEMBERS; i++) {
		if (len == strlen(member_names[i]) &&
		    memcmp(key, member_names[i], len) == 0)
			break;
	}
	return (enum member)i;
}

static int
read_name(struct json_text *t, enum member *ret)
{
	uint8_t *name;
	size_t len;
	int r;

	if ((r = json_text_string(t, &name, &len)) < 0)
		return r;
	*ret = find_member(name, len);
	return json_text_take(t, ':') ? 0 : -EBADMSG;
}

static int
read_value(
    struct json_text *t, enum member m, struct text found[static N_MEMBERS])
{
	if (m == N_MEMBERS)
		return json_text_skip(t, 1);
	if (found[m].at != NULL)
		return -EBADMSG;
	return json_text_string(t, &found[m].at, &found[m].len);
}

// Behind a member, to the end.
static int
read_rest(struct json_text *t, struct text found[static N_MEMBERS])
{
	enum member m;
	int r;

	while (json_text_take(t, ','))
		if ((r = read_name(t, &m)) < 0 ||
		    (r = read_value(t, m, found)) < 0)
			return r;
	if (!json_text_take(t, '}'))
		return -EBADMSG;
	json_text_skip_space(t);
	if (t->at != t->end)
		return -EBADMSG;
	for (int i = 0; i < N_MEMBERS; i++) {
		if (found[i].at == NULL)
			return -EBADMSG;
	}
	return 0;
}

static int
read_object(struct json_text *t, struct text found[static N_MEMBERS])
{
	enum member m;
	int r;

	if (!json_text_take(t, '{'))
		return -EBADMSG;
	if ((r = read_name(t, &m)) < 0 || (r = read_value(t, m, found)) < 0)
		return r;
	return read_rest(t, found);
}

static int
decode_key(struct sealed_envelope *e, const struct text *key)
{
	size_t len;

	if (b64_decode(key->at, key->at, key->len, &len) < 0)
		return refuse(e, SEALED_STAGE_BASE64);
	if (len != sizeof(e->ephemeral_key))
		return refuse(e, SEALED_STAGE_KEY);
	memcpy(e->ephemeral_key, key->at, len);
	return 0;
}

// ---- while it comes

// The members in front of the ciphertext; t is then at its value.
static int
read_beginning(struct json_text *t, struct text found[static N_MEMBERS])
{
	enum member m;
	int r;

	if (!json_text_take(t, '{'))
		return -EBADMSG;
	while ((r = read_name(t, &m)) == 0 && m != CIPHERTEXT)
		if (read_value(t, m, found) < 0 || !json_text_take(t, ','))
			return -EBADMSG;
	json_text_skip_space(t);
	return r == 0 && t->at < t->end && *t->at == '"' ? 0 : -EBADMSG;
}

int
sealed_envelope_begin(struct sealed_envelope *e)
{
	uint8_t copy[BEGINNING_MAX]; // what is read is changed by it
	struct text found[N_MEMBERS] = { 0 };
	struct json_text t = { copy + 1, copy };
	size_t n = buf_len(&e->in);

	n = n < sizeof(copy) ? n : sizeof(copy);
	if (n == 0 || *buf_data(&e->in) != SEALED_MARK)
		return -EAGAIN;
	memcpy(copy, buf_data(&e->in), n);
	t.end += n;
	if (read_beginning(&t, found) < 0 || found[EPHEMERAL_KEY].at == NULL)
		return -EAGAIN;
	if (decode_key(e, &found[EPHEMERAL_KEY]) < 0) {
		e->stage = SEALED_STAGE_NONE; // that is for the end to say
		return -EAGAIN;
	}
	for (unsigned m = 0; m < N_MEMBERS; m++)
		e->seen |= found[m].at != NULL ? 1U << m : 0;
	e->box_at = e->text_at = (size_t)(t.at - copy);
	e->is_early = true;
	return 0;
}

static void
open_some(struct sealed_envelope *e)
{
	size_t from = e->box_at + BOX_HEAD_LEN + e->opened;

	if (!e->is_opening || e->text_at <= from)
		return;
	box_open(&e->box, buf_data(&e->in) + from, e->text_at - from);
	e->opened += e->text_at - from;
}

void
sealed_envelope_open_early(struct sealed_envelope *e,
    const uint8_t request_key[static REQUEST_KEY_LEN])
{
	if (!e->is_early || e->is_opening ||
	    e->text_at < e->box_at + BOX_HEAD_LEN ||
	    box_init(&e->box, request_key, buf_data(&e->in) + e->box_at) < 0)
		return;
	memcpy(e->box_key, request_key, REQUEST_KEY_LEN);
	e->is_opening = true;
	open_some(e);
}

// What is decoded takes the place of its text.  The rest moves up behind it,
// with a quote in front: so it stays a JSON string, which the end is read as.
void
sealed_envelope_advance(struct sealed_envelope *e)
{
	uint8_t *quote, *text;
	size_t len, used, out;

	if (!e->is_early || e->is_stuck)
		return;
	quote = buf_data(&e->in) + e->text_at;
	text = quote + 1;
	len = buf_len(&e->in) - e->text_at - 1;
	used = b64_decode_some(quote, text, len);
	out = used / 4 * 3;
	memmove(quote + out + 1, text + used, len - used);
	quote[out] = '"';
	e->text_at += out;
	e->saved += used - out;
	buf_truncate(&e->in, buf_len(&e->in) - (used - out));
	// The string's end, or an escape: what follows is for the end.
	e->is_stuck = len - used > STUCK_LEN;
	open_some(e);
}

// ---- when all is there

static int
read_text(struct sealed_envelope *e, struct text found[static N_MEMBERS])
{
	uint8_t *at = buf_data(&e->in);
	struct json_text t = { at + 1, at + buf_len(&e->in) };
	struct text *rest = &found[CIPHERTEXT];

	if (!e->is_early)
		return read_object(&t, found);
	for (unsigned m = 0; m < N_MEMBERS; m++)
		if ((e->seen & 1U << m) != 0)
			found[m].at = at; // not to come again
	t.at = at + e->text_at;
	if (json_text_string(&t, &rest->at, &rest->len) < 0)
		return -EBADMSG;
	return read_rest(&t, found);
}

int
sealed_envelope_parse(struct sealed_envelope *e)
{
	struct text found[N_MEMBERS] = { 0 }, *box = &found[CIPHERTEXT];
	size_t before = 0, len;
	uint8_t *to;
	int r;

	assert(!e->parsed);
	if (buf_len(&e->in) + e->saved == e->in.max)
		return refuse(e, SEALED_STAGE_SIZE);
	if (buf_len(&e->in) == 0 || *buf_data(&e->in) != SEALED_MARK)
		return refuse(e, SEALED_STAGE_MARK);
	if (read_text(e, found) < 0)
		return refuse(e, SEALED_STAGE_JSON);
	to = box->at;
	if (e->is_early) {
		before = e->text_at - e->box_at;
		to = buf_data(&e->in) + e->text_at;
	} else if ((r = decode_key(e, &found[EPHEMERAL_KEY])) < 0) {
		return r;
	}
	if (b64_decode(to, box->at, box->len, &len) < 0)
		return refuse(e, SEALED_STAGE_BASE64);
	e->ciphertext = to - before;
	e->ciphertext_len = before + len;
	e->parsed = true;
	return 0;
}

bool
sealed_envelope_key_is_zero(const struct sealed_envelope *e)
{
	return sodium_is_zero(e->ephemeral_key, sizeof(e->ephemeral_key)) != 0;
}

// Back to what came.
static void
close_again(struct sealed_envelope *e, uint8_t *bytes, size_t n,
    const uint8_t key[static REQUEST_KEY_LEN])
{
	struct box box;

	if (box_init(&box, key, e->ciphertext) < 0)
		return; // then no other key opens it
	box_seal(&box, bytes, n);
	box_done(&box);
}

static void
stop_early(struct sealed_envelope *e)
{
	box_done(&e->box);
	sodium_memzero(e->box_key, sizeof(e->box_key));
	e->is_opening = false;
	e->opened = 0;
}

// In one pass, of which a part may be behind us.
static int
open_box(struct sealed_envelope *e, uint8_t *bytes, size_t n,
    const uint8_t key[static REQUEST_KEY_LEN])
{
	int r;

	if (e->is_opening &&
	    sodium_memcmp(e->box_key, key, sizeof(e->box_key)) != 0) {
		close_again(e, bytes, e->opened, e->box_key);
		stop_early(e);
	}
	if (!e->is_opening && box_init(&e->box, key, e->ciphertext) < 0)
		return -ENOMEM;
	box_open(&e->box, bytes + e->opened, n - e->opened);
	r = box_check(&e->box, e->ciphertext + SEALED_NONCE_LEN);
	stop_early(e);
	if (r < 0)
		close_again(e, bytes, n, key);
	return r;
}

int
sealed_envelope_open(struct sealed_envelope *e,
    const uint8_t request_key[static REQUEST_KEY_LEN], uint8_t **ret,
    size_t *ret_len)
{
	uint8_t *box;
	size_t len;

	assert(e->parsed);
	if (e->ciphertext_len < BOX_HEAD_LEN)
		return refuse(e, SEALED_STAGE_DECRYPT);
	box = e->ciphertext + BOX_HEAD_LEN;
	len = e->ciphertext_len - BOX_HEAD_LEN;
	if (open_box(e, box, len, request_key) < 0)
		return refuse(e, SEALED_STAGE_DECRYPT);
	e->stage = SEALED_STAGE_NONE;
	e->parsed = false; // not to be opened twice
	*ret = box;
	*ret_len = len;
	return 0;
}

const char *
sealed_stage_name(enum sealed_stage stage)
{
	static const char *const names[] = {
		[SEALED_STAGE_NONE] = "none",
		[SEALED_STAGE_MARK] = "mark",
		[SEALED_STAGE_SIZE] = "size",
		[SEALED_STAGE_JSON] = "json",
		[SEALED_STAGE_BASE64] = "base64",
		[SEALED_STAGE_KEY] = "key",
		[SEALED_STAGE_DECRYPT] = "decrypt",
	};

	return names[stage];
}

void
sealed_envelope_done(struct sealed_envelope *e)
{
	stop_early(e);
	buf_release(&e->in);
	e->is_early = false;
	e->ciphertext = NULL;
	e->ciphertext_len = 0;
	e->parsed = false;
}
