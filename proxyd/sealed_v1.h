// The sealed form of a tunnelled request and its answer, format 1
// (wire-v1 4.3), both roles.  No I/O: the caller moves the bytes.
//
//   opener:  struct sealed_request writes, struct sealed_answer reads
//   host:    struct sealed_envelope reads, struct sealed_writer writes
//
// The stream type byte 0x04 is not part of it; the first byte is SEALED_MARK.
// Keys are wiped by each _done().
#ifndef PROXYD_SEALED_V1_H
#define PROXYD_SEALED_V1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/sizes.h"
#include "common/slice.h"
#include "proxyd/box.h"

enum {
	SEALED_MARK = 0xe1,
	SEALED_NONCE_LEN = 24,
	SEALED_MAC_LEN = 16,
	SEALED_ENVELOPE_MAX = 96 * 1024 * 1024, // after the mark
	SEALED_ANSWER_HEADER_LEN = 1 + INFERENCE_KEY_LEN,
	SEALED_CHUNK_MIN = 24,		     // of L; below is refused unread
	SEALED_CHUNK_MAX = 16 * 1024 * 1024, // of L
	// L, nonce and authenticator, in front of the bytes of a chunk
	SEALED_CHUNK_ROOM = 4 + SEALED_NONCE_LEN + SEALED_MAC_LEN,
	SEALED_CHUNK_PLAIN_MAX = 65536, // what we put in one
	SEALED_END_LEN = 4,
	SEALED_HEAD_MAX = 1024, // of the envelope, up to the ciphertext
};

// ---- opener: the request

struct sealed_request {
	struct buf *body; // borrowed: plaintext, while sealed ciphertext
	uint8_t key[REQUEST_KEY_LEN];
	uint8_t nonce_mac[SEALED_NONCE_LEN + SEALED_MAC_LEN];
	uint8_t head[SEALED_HEAD_MAX]; // mark and JSON before the ciphertext
	size_t head_len;
	size_t total; // bytes of the whole wire form
	size_t sent;  // of these handed out
	bool sealed;
};

// Seal body in place under a random nonce.  The caller must not touch body
// until _unseal or _done.  -EINVAL: the model is no UTF-8, too long or
// holds a NUL.  -EMSGSIZE: the envelope would exceed SEALED_ENVELOPE_MAX.
MUST_CHECK int sealed_request_init(struct sealed_request *, struct buf *body,
    struct slice model, const uint8_t ephemeral_key[static INFERENCE_KEY_LEN],
    const uint8_t request_key[static REQUEST_KEY_LEN]);
// The next bytes of the wire form, as many as fit; 0: all were handed out
// (then shutdown(SHUT_WR): the host begins only then).
size_t sealed_request_next(struct sealed_request *, uint8_t *ret, size_t size);
// Bytes not handed out yet.
size_t sealed_request_left(const struct sealed_request *);
// Not handed over after all: put n bytes back (a short send).
void sealed_request_back(struct sealed_request *, size_t n);
// Bring the plaintext back into body for another host; ends this sealing and
// wipes its key.  -EBADMSG: body was changed meanwhile.
MUST_CHECK int sealed_request_unseal(struct sealed_request *);
// Wipe the key; body stays sealed.  Also right after _unseal, or when zeroed.
void sealed_request_done(struct sealed_request *);

// ---- opener: the answer

struct sealed_answer {
	uint8_t host_key[INFERENCE_KEY_LEN];
	uint8_t key[REQUEST_KEY_LEN];
	struct buf in;
	size_t handed; // plaintext at the front of `in` the caller has seen
	size_t chunks;
	bool has_header;
	bool done;
};

// host_key: the proven key that the request was sealed to.
void sealed_answer_init(struct sealed_answer *,
    const uint8_t host_key[static INFERENCE_KEY_LEN],
    const uint8_t request_key[static REQUEST_KEY_LEN]);
// Room to read the next n bytes of the tunnel into, then how many came.
// Ends the slice of the last _next().  -ENOMEM, -EMSGSIZE.
MUST_CHECK int sealed_answer_reserve(
    struct sealed_answer *, size_t n, uint8_t **ret);
void sealed_answer_commit(struct sealed_answer *, size_t n);
// The next opened chunk (len may be 0), valid until the next call.
//  -EAGAIN  read more; when `done` is set nothing more will come
//  -EPROTO  first byte is no mark, or a length outside of the limits
//  -EKEYREJECTED  the header names another key
//  -EBADMSG  authentication failed
// Errors are final; what was handed out before stays valid.
MUST_CHECK int sealed_answer_next(
    struct sealed_answer *, uint8_t **ret, size_t *ret_len);
// The tunnel ended: 0 after the end mark, -EPIPE otherwise (cut off).
MUST_CHECK int sealed_answer_end(const struct sealed_answer *);
void sealed_answer_done(struct sealed_answer *);

// ---- host: the request

// Where an envelope was refused, for the log.
enum sealed_stage {
	SEALED_STAGE_NONE,
	SEALED_STAGE_MARK,
	SEALED_STAGE_SIZE,
	SEALED_STAGE_JSON,
	SEALED_STAGE_BASE64,
	SEALED_STAGE_KEY,
	SEALED_STAGE_DECRYPT,
};

struct sealed_envelope {
	struct buf in; // the text; from _parse() on its ciphertext
	enum sealed_stage stage;
	uint8_t ephemeral_key[INFERENCE_KEY_LEN];
	uint8_t *ciphertext; // into `in`: nonce, authenticator, bytes
	size_t ciphertext_len;
	bool parsed;
	// While it comes, after sealed_envelope_begin():
	bool is_early, is_stuck;
	unsigned seen;	// members, by their bits
	size_t box_at;	// in `in`: the ciphertext, decoded up to ...
	size_t text_at; // ... here, where the rest of the string begins
	size_t saved;	// bytes by which the text is shorter now
	bool is_opening;
	struct box box;
	uint8_t box_key[REQUEST_KEY_LEN];
	size_t opened; // of the box
};

// max: of the text after the mark, at most SEALED_ENVELOPE_MAX.
void sealed_envelope_init(struct sealed_envelope *, size_t max);
// Room for the next n bytes (the mark comes first), then how many came.
// -EMSGSIZE: over the limit, refuse.  n is cut to what may still come, so
// look at *ret_size.
MUST_CHECK int sealed_envelope_reserve(
    struct sealed_envelope *, size_t n, uint8_t **ret, size_t *ret_size);
void sealed_envelope_commit(struct sealed_envelope *, size_t n);
// The text so far, of which the first is enough to know the ephemeral key:
// work on the rest while it comes.  -EAGAIN: it is not written as ours is;
// nothing is lost but the time.
MUST_CHECK int sealed_envelope_begin(struct sealed_envelope *);
// With the key that is the most likely one; what it gives is not handed out
// before all was authenticated.
void sealed_envelope_open_early(struct sealed_envelope *,
    const uint8_t request_key[static REQUEST_KEY_LEN]);
// More has come: decode it, and open it when there is a key.
void sealed_envelope_advance(struct sealed_envelope *);
// The opener finished its side: read the text, in place.  -EBADMSG, with the
// stage set.  The ephemeral key may be of small order: cryptod refuses it;
// sealed_envelope_key_is_zero() sees the plain case without asking.
MUST_CHECK int sealed_envelope_parse(struct sealed_envelope *);
bool sealed_envelope_key_is_zero(const struct sealed_envelope *);
// Open in place; valid until _done.  -EBADMSG: not for this key; nothing was
// changed, so that the previous key can be tried.
MUST_CHECK int sealed_envelope_open(struct sealed_envelope *,
    const uint8_t request_key[static REQUEST_KEY_LEN], uint8_t **ret,
    size_t *ret_len);
const char *sealed_stage_name(enum sealed_stage);
void sealed_envelope_done(struct sealed_envelope *);

// ---- host: the answer

struct sealed_writer {
	uint8_t key[REQUEST_KEY_LEN];
	uint8_t nonce[SEALED_NONCE_LEN]; // random[16] || counter[8] LE
};

void sealed_writer_init(
    struct sealed_writer *, const uint8_t request_key[static REQUEST_KEY_LEN]);
void sealed_writer_header(const uint8_t host_key[static INFERENCE_KEY_LEN],
    uint8_t ret[static SEALED_ANSWER_HEADER_LEN]);
// block: SEALED_CHUNK_ROOM free bytes, then n (1 to SEALED_CHUNK_PLAIN_MAX)
// of plaintext, read there straight from the backend.  Sealed in place;
// returns how many bytes of block to send: SEALED_CHUNK_ROOM + n.
size_t sealed_writer_seal(struct sealed_writer *, uint8_t *block, size_t n);
// After a complete answer only; without it the opener sees a truncation.
extern const uint8_t sealed_end_mark[SEALED_END_LEN];
void sealed_writer_done(struct sealed_writer *);

#endif
