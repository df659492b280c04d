// The sealed answer (wire-v1 4.3): read by the opener, written by the host.
//
// The reader trusts nobody but the box key: lengths, the header and the end
// come from the tunnel.  It must never hand out an unauthenticated byte, hold
// more than one chunk, or take an end without its mark for a clean one.  The
// format itself cannot show chunks that were swapped, repeated or cut off in
// front of a forged end mark: HTTP framing inside has to (wire-v1 8).
#include "proxyd/sealed_v1.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <sodium.h>

enum { READ_AHEAD_MAX = 1024 * 1024 }; // that one read may bring with a chunk

const uint8_t sealed_end_mark[SEALED_END_LEN] = { 0, 0, 0, 0 };

void
sealed_answer_init(struct sealed_answer *a,
    const uint8_t host_key[static INFERENCE_KEY_LEN],
    const uint8_t request_key[static REQUEST_KEY_LEN])
{
	*a = (struct sealed_answer){ 0 };
	memcpy(a->host_key, host_key, sizeof(a->host_key));
	memcpy(a->key, request_key, sizeof(a->key));
	buf_init(&a->in, 4 + SEALED_CHUNK_MAX + READ_AHEAD_MAX);
}

static void
forget_handed(struct sealed_answer *a)
{
	buf_consume(&a->in, a->handed);
	a->handed = 0;
}

int
sealed_answer_reserve(struct sealed_answer *a, size_t n, uint8_t **ret)
{
	forget_handed(a);
	return buf_reserve(&a->in, n, ret);
}

void
sealed_answer_commit(struct sealed_answer *a, size_t n)
{
	buf_commit(&a->in, n);
}

static int
read_header(struct sealed_answer *a)
{
	const uint8_t *at = buf_data(&a->in);

	// An answer in clear text shows in its first byte.
	if (buf_len(&a->in) > 0 && at[0] != SEALED_MARK)
		return -EPROTO;
	if (buf_len(&a->in) < SEALED_ANSWER_HEADER_LEN)
		return -EAGAIN;
	if (sodium_memcmp(at + 1, a->host_key, INFERENCE_KEY_LEN) != 0)
		return -EKEYREJECTED;
	buf_consume(&a->in, SEALED_ANSWER_HEADER_LEN);
	a->has_header = true;
	return 0;
}

// The length of the next chunk, when all of the chunk is there.
static int
read_length(struct sealed_answer *a, size_t *ret)
{
	const uint8_t *at = buf_data(&a->in);
	size_t length;

	if (buf_len(&a->in) < 4)
		return -EAGAIN;
	length = (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 |
	    (size_t)at[3] << 24;
	if (length == 0) {
		a->done = true;
		return -EAGAIN;
	}
	if (length < SEALED_CHUNK_MIN || length > SEALED_CHUNK_MAX)
		return -EPROTO;
	if (length < SEALED_NONCE_LEN + SEALED_MAC_LEN)
		return -EBADMSG;
	if (buf_len(&a->in) - 4 < length)
		return -EAGAIN;
	*ret = length;
	return 0;
}

static int
open_chunk(struct sealed_answer *a, uint8_t **ret, size_t *ret_len)
{
	uint8_t *at, *text;
	size_t length, n;
	int r;

	if ((r = read_length(a, &length)) < 0)
		return r;
	at = buf_data(&a->in);
	text = at + SEALED_CHUNK_ROOM;
	n = length - SEALED_NONCE_LEN - SEALED_MAC_LEN;
	if (crypto_secretbox_open_detached(
		text, text, at + 4 + SEALED_NONCE_LEN, n, at + 4, a->key) != 0)
		return -EBADMSG;
	a->handed = 4 + length;
	a->chunks++;
	*ret = text;
	*ret_len = n;
	return 0;
}

int
sealed_answer_next(struct sealed_answer *a, uint8_t **ret, size_t *ret_len)
{
	int r = 0;

	forget_handed(a);
	if (!a->done && !a->has_header)
		r = read_header(a);
	if (!a->done && r == 0)
		r = open_chunk(a, ret, ret_len);
	if (a->done) {
		buf_release(&a->in); // what follows the end is ignored
		return -EAGAIN;
	}
	// A stream that waits for its next token holds no memory.
	if (r == -EAGAIN && buf_len(&a->in) == 0)
		buf_release(&a->in);
	return r;
}

int
sealed_answer_end(const struct sealed_answer *a)
{
	return a->done ? 0 : -EPIPE;
}

void
sealed_answer_done(struct sealed_answer *a)
{
	buf_release(&a->in);
	sodium_memzero(a->key, sizeof(a->key));
	a->handed = 0;
}

// A nonce must not repeat under one key.  The key serves this answer and the
// one request, whose nonce is 24 random bytes: 16 random bytes a stream and a
// counter are as good as 24 random bytes a chunk, without a system call.
void
sealed_writer_init(
    struct sealed_writer *w, const uint8_t request_key[static REQUEST_KEY_LEN])
{
	memcpy(w->key, request_key, sizeof(w->key));
	randombytes_buf(w->nonce, SEALED_NONCE_LEN - 8);
	memset(w->nonce + SEALED_NONCE_LEN - 8, 0, 8);
}

void
sealed_writer_header(const uint8_t host_key[static INFERENCE_KEY_LEN],
    uint8_t ret[static SEALED_ANSWER_HEADER_LEN])
{
	ret[0] = SEALED_MARK;
	memcpy(ret + 1, host_key, INFERENCE_KEY_LEN);
}

size_t
sealed_writer_seal(struct sealed_writer *w, uint8_t *block, size_t n)
{
	size_t length = SEALED_NONCE_LEN + SEALED_MAC_LEN + n;
	uint8_t *text = block + SEALED_CHUNK_ROOM;

	assert(n <= SEALED_CHUNK_PLAIN_MAX);
	for (int i = 0; i < 4; i++)
		block[i] = (uint8_t)(length >> 8 * i);
	memcpy(block + 4, w->nonce, SEALED_NONCE_LEN);
	(void)crypto_secretbox_detached(text, block + 4 + SEALED_NONCE_LEN,
	    text, n, w->nonce,
	    w->key); // cannot fail
	sodium_increment(w->nonce + SEALED_NONCE_LEN - 8, 8);
	return 4 + length;
}

void
sealed_writer_done(struct sealed_writer *w)
{
	sodium_memzero(w, sizeof(*w));
}
