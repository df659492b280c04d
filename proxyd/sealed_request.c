// The opener's sealed request (wire-v1 4.3): a body sealed where it lies, and
// its envelope, generated while it is sent.
//
// It trusts its caller with the key and the buffer.  It must never let a
// block out that holds plaintext, use a nonce twice under one key, or need a
// second buffer as large as the body.
#include "proxyd/sealed_v1.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "proxyd/b64.h"
#include "proxyd/box.h"
#include "proxyd/json_text.h"

static const char tail[] = "\"}";
enum { TAIL_LEN = sizeof(tail) - 1 };

static void
put_text(struct sealed_request *s, const char *text)
{
	size_t n = strlen(text);

	memcpy(s->head + s->head_len, text, n);
	s->head_len += n;
}

// At most 6 * MODEL_NAME_MAX + 44 bytes vary; the rest is below 100.
static void
make_head(
    struct sealed_request *s, struct slice model, const uint8_t *ephemeral_key)
{
	static_assert(SEALED_HEAD_MAX > 6 * MODEL_NAME_MAX + 44 + 100,
	    "the head of an envelope fits");

	s->head[0] = SEALED_MARK;
	s->head_len = 1;
	put_text(s, "{\"model\":\"");
	s->head_len += json_escape(s->head + s->head_len,
	    SEALED_HEAD_MAX - s->head_len, model.at, model.len);
	put_text(s, "\",\"ephemeral_public_key\":\"");
	b64_encode(s->head + s->head_len, ephemeral_key, INFERENCE_KEY_LEN);
	s->head_len += b64_encoded_len(INFERENCE_KEY_LEN);
	put_text(s, "\",\"ciphertext\":\"");
}

// Nonce, authenticator and ciphertext together: what is base64 encoded.
static size_t
box_len(const struct sealed_request *s)
{
	return sizeof(s->nonce_mac) + buf_len(s->body);
}

// An empty buffer may hold no memory at all.
static uint8_t *
body_bytes(const struct sealed_request *s)
{
	static uint8_t none;

	return buf_len(s->body) == 0 ? &none : buf_data(s->body);
}

static int
seal(struct sealed_request *s)
{
	struct box box;
	int r = box_init(&box, s->key, s->nonce_mac);

	if (r == 0) {
		box_seal(&box, body_bytes(s), buf_len(s->body));
		r = box_tag(&box, s->nonce_mac + SEALED_NONCE_LEN);
	}
	s->sealed = r == 0;
	return r;
}

int
sealed_request_init(struct sealed_request *s, struct buf *body,
    struct slice model, const uint8_t ephemeral_key[static INFERENCE_KEY_LEN],
    const uint8_t request_key[static REQUEST_KEY_LEN])
{
	size_t len = buf_len(body);

	*s = (struct sealed_request){ .body = body };
	if (model.len > MODEL_NAME_MAX || !utf8_is_valid(model.at, model.len) ||
	    (model.len > 0 && memchr(model.at, '\0', model.len) != NULL))
		return -EINVAL;
	if (len > SEALED_ENVELOPE_MAX)
		return -EMSGSIZE;
	make_head(s, model, ephemeral_key);
	s->total = s->head_len + b64_encoded_len(box_len(s)) + TAIL_LEN;
	if (s->total - 1 > SEALED_ENVELOPE_MAX)
		return -EMSGSIZE;
	memcpy(s->key, request_key, sizeof(s->key));
	randombytes_buf(s->nonce_mac, SEALED_NONCE_LEN);
	return seal(s);
}

// Bytes of the box from `at` on, one group of three or its rest.
static size_t
box_group(const struct sealed_request *s, size_t at, uint8_t ret[static 3])
{
	size_t n = 0;

	for (; n < 3 && at + n < box_len(s); n++)
		ret[n] = at + n < sizeof(s->nonce_mac)
		    ? s->nonce_mac[at + n]
		    : buf_data(s->body)[at + n - sizeof(s->nonce_mac)];
	return n;
}

// Whole groups straight from the body, as many as fit; 0: not possible here.
static size_t
encode_bulk(
    const struct sealed_request *s, size_t at, uint8_t *ret, size_t size)
{
	size_t n = size / 4 * 3;

	if (at < sizeof(s->nonce_mac))
		return 0;
	if (n > box_len(s) - at)
		n = (box_len(s) - at) / 3 * 3;
	b64_encode(ret, buf_data(s->body) + (at - sizeof(s->nonce_mac)), n);
	return n / 3 * 4;
}

// Base64 text from its offset `at` on; returns how much was written.
static size_t
encode_some(
    const struct sealed_request *s, size_t at, uint8_t *ret, size_t size)
{
	uint8_t group[3], text[4];
	size_t n = 0, skip = at % 4;

	if (skip == 0)
		n = encode_bulk(s, at / 4 * 3, ret, size);
	if (n > 0)
		return n;
	n = box_group(s, at / 4 * 3, group);
	b64_encode(text, group, n);
	n = 4 - skip < size ? 4 - skip : size;
	memcpy(ret, text + skip, n);
	return n;
}

static size_t
copy_some(uint8_t *ret, size_t size, const void *from, size_t len, size_t at)
{
	size_t n = len - at < size ? len - at : size;

	memcpy(ret, (const uint8_t *)from + at, n);
	return n;
}

size_t
sealed_request_next(struct sealed_request *s, uint8_t *ret, size_t size)
{
	size_t tail_at = s->total - TAIL_LEN, done = 0, n;

	assert(s->sealed);
	while (done < size && s->sent < s->total) {
		if (s->sent < s->head_len)
			n = copy_some(ret + done, size - done, s->head,
			    s->head_len, s->sent);
		else if (s->sent < tail_at)
			n = encode_some(
			    s, s->sent - s->head_len, ret + done, size - done);
		else
			n = copy_some(ret + done, size - done, tail, TAIL_LEN,
			    s->sent - tail_at);
		s->sent += n;
		done += n;
	}
	return done;
}

size_t
sealed_request_left(const struct sealed_request *s)
{
	return s->total - s->sent;
}

void
sealed_request_back(struct sealed_request *s, size_t n)
{
	assert(n <= s->sent);
	s->sent -= n;
}

int
sealed_request_unseal(struct sealed_request *s)
{
	struct box box;
	int r;

	assert(s->sealed);
	r = box_init(&box, s->key, s->nonce_mac);
	if (r == 0) {
		box_open(&box, body_bytes(s), buf_len(s->body));
		r = box_check(&box, s->nonce_mac + SEALED_NONCE_LEN);
	}
	sealed_request_done(s);
	return r == 0 ? 0 : -EBADMSG;
}

void
sealed_request_done(struct sealed_request *s)
{
	sodium_memzero(s->key, sizeof(s->key));
	s->sealed = false;
}
