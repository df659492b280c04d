// The host's side of a sealed request (wire-v1 4.3): collected, then read,
// decoded and opened where it lies.
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
	size_t left = e->in.max - buf_len(&e->in);
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
read_member(struct json_text *t, struct text found[static N_MEMBERS])
{
	enum member m;
	uint8_t *key;
	size_t len;
	int r;

	if ((r = json_text_string(t, &key, &len)) < 0)
		return r;
	m = find_member(key, len);
	if (!json_text_take(t, ':'))
		return -EBADMSG;
	if (m == N_MEMBERS)
		return json_text_skip(t, 1);
	if (found[m].at != NULL)
		return -EBADMSG;
	return json_text_string(t, &found[m].at, &found[m].len);
}

static int
read_object(struct json_text *t, struct text found[static N_MEMBERS])
{
	int r;

	if (!json_text_take(t, '{'))
		return -EBADMSG;
	if (!json_text_take(t, '}')) {
		do {
			if ((r = read_member(t, found)) < 0)
				return r;
		} while (json_text_take(t, ','));
		if (!json_text_take(t, '}'))
			return -EBADMSG;
	}
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

int
sealed_envelope_parse(struct sealed_envelope *e)
{
	struct text found[N_MEMBERS] = { 0 };
	struct json_text t;
	int r;

	assert(!e->parsed);
	if (buf_len(&e->in) == e->in.max)
		return refuse(e, SEALED_STAGE_SIZE);
	if (buf_len(&e->in) == 0 || *buf_data(&e->in) != SEALED_MARK)
		return refuse(e, SEALED_STAGE_MARK);
	t.at = buf_data(&e->in) + 1;
	t.end = buf_data(&e->in) + buf_len(&e->in);
	if (read_object(&t, found) < 0)
		return refuse(e, SEALED_STAGE_JSON);
	if ((r = decode_key(e, &found[EPHEMERAL_KEY])) < 0)
		return r;
	e->ciphertext = found[CIPHERTEXT].at;
	if (b64_decode(e->ciphertext, e->ciphertext, found[CIPHERTEXT].len,
		&e->ciphertext_len) < 0)
		return refuse(e, SEALED_STAGE_BASE64);
	e->parsed = true;
	return 0;
}

bool
sealed_envelope_key_is_zero(const struct sealed_envelope *e)
{
	return sodium_is_zero(e->ephemeral_key, sizeof(e->ephemeral_key)) != 0;
}

// In one pass; for a key that is not the right one the way back as well.
static int
open_box(uint8_t *bytes, size_t n, const uint8_t *nonce_mac, const uint8_t *key)
{
	struct box box;

	if (box_init(&box, key, nonce_mac) < 0)
		return -ENOMEM;
	box_open(&box, bytes, n);
	if (box_check(&box, nonce_mac + SEALED_NONCE_LEN) == 0)
		return 0;
	if (box_init(&box, key, nonce_mac) < 0)
		return -ENOMEM;
	box_seal(&box, bytes, n);
	box_done(&box);
	return -EBADMSG;
}

int
sealed_envelope_open(struct sealed_envelope *e,
    const uint8_t request_key[static REQUEST_KEY_LEN], uint8_t **ret,
    size_t *ret_len)
{
	uint8_t *box;
	size_t len;

	assert(e->parsed);
	if (e->ciphertext_len < SEALED_NONCE_LEN + SEALED_MAC_LEN)
		return refuse(e, SEALED_STAGE_DECRYPT);
	box = e->ciphertext + SEALED_NONCE_LEN + SEALED_MAC_LEN;
	len = e->ciphertext_len - SEALED_NONCE_LEN - SEALED_MAC_LEN;
	if (open_box(box, len, e->ciphertext, request_key) < 0)
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
	buf_release(&e->in);
	e->ciphertext = NULL;
	e->ciphertext_len = 0;
	e->parsed = false;
}
