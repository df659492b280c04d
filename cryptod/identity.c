// The identity key: from its file straight into a secret page, used there.
// Trusts the state directory after its checks, and no caller with what is to
// be signed: the shape of a handshake is checked here, the announcement is
// built here.  It must never sign other bytes, nor copy the key elsewhere.
#include "cryptod/identity.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#define IDENTITY_NAME "identity"
#define SEQUENCE_NAME "sequence"

enum {
	SEQUENCE_TEXT_MAX = 24,
	SIGN_STACK_BYTES = 16 * 1024,
	HANDSHAKE_PAD_LEN = 64,
	HANDSHAKE_CONTEXT_LEN = 33,
	HANDSHAKE_HASH_AT = HANDSHAKE_PAD_LEN + HANDSHAKE_CONTEXT_LEN + 1,
};

struct identity {
	struct secret_pool *pool; // borrowed
	uint8_t *key; // slot: seed || public key, as libsodium wants it
	uint8_t endpoint_id[ENDPOINT_ID_LEN];
	uint64_t next_sequence;
	bool is_credential;
};

_Static_assert((size_t)IDENTITY_FILE_LEN == crypto_sign_SECRETKEYBYTES,
    "the file is libsodium's secret key");
_Static_assert(crypto_sign_SECRETKEYBYTES <= (size_t)SECRET_SLOT_LEN,
    "the key fits a slot");

static int
read_key(struct identity *id, struct state *state, int fd, size_t size)
{
	struct iovec into = { id->key, IDENTITY_FILE_LEN };
	ssize_t n;

	if (size != IDENTITY_FILE_LEN)
		return state_fail(state, IDENTITY_NAME, -EBADMSG,
		    "is damaged: its size is not 64 bytes");
	n = readv(fd, &into, 1);
	if (n != IDENTITY_FILE_LEN)
		return state_fail(state, IDENTITY_NAME, -EIO, "cannot be read");
	return 0;
}

// Derives the public key again: a file with a flipped bit would make a node
// that nobody, or the wrong one, knows.
static int
check_key(struct identity *id, struct state *state)
{
	uint8_t *derived = secret_take(id->pool);
	int r = 0;

	if (derived == NULL)
		return state_fail(
		    state, IDENTITY_NAME, -ENOMEM, "no secret memory is left");
	(void)crypto_sign_seed_keypair(id->endpoint_id, derived, id->key);
	sodium_stackzero(SIGN_STACK_BYTES);
	if (sodium_memcmp(derived, id->key, IDENTITY_FILE_LEN) != 0)
		r = state_fail(state, IDENTITY_NAME, -EBADMSG,
		    "is damaged: its public key is not that of its seed");
	secret_release(id->pool, derived);
	return r;
}

static int
make_key(struct identity *id, struct state *state)
{
	(void)crypto_sign_keypair(id->endpoint_id, id->key);
	sodium_stackzero(SIGN_STACK_BYTES);
	return state_write(
	    state, IDENTITY_NAME, id->key, IDENTITY_FILE_LEN, true);
}

static int
load_key(struct identity *id, struct state *state)
{
	AUTO_FD fd = -1;
	size_t size;
	int r = state_open_credential(state, IDENTITY_NAME, &fd, &size);

	id->is_credential = r == 0;
	if (r == -ENOENT)
		r = state_open(state, IDENTITY_NAME, &fd, &size);
	if (r == -ENOENT)
		return make_key(id, state);
	if (r == 0)
		r = read_key(id, state, fd, size);
	if (r == 0)
		r = check_key(id, state);
	if (r == 0)
		state_close_credential(state);
	return r;
}

static int
parse_sequence(const char *text, size_t len, uint64_t *ret)
{
	uint64_t v = 0;

	if (len < 2 || text[len - 1] != '\n')
		return -EBADMSG;
	for (size_t i = 0; i < len - 1; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EBADMSG;
		v = v * 10 + (uint64_t)(text[i] - '0');
		// Shifted it must fit 64 bits, for all starts to come.
		if (v >= UINT64_C(1) << (63 - SEQUENCE_SHIFT))
			return -EBADMSG;
	}
	*ret = v;
	return 0;
}

static int
read_sequence(struct state *state, uint64_t *ret)
{
	AUTO_FD fd = -1;
	char text[SEQUENCE_TEXT_MAX];
	size_t size;
	ssize_t n;
	int r = state_open(state, SEQUENCE_NAME, &fd, &size);

	if (r == -ENOENT) {
		*ret = 0;
		return 0;
	}
	if (r < 0)
		return r;
	n = read(fd, text, sizeof(text));
	if (n == -1)
		return state_fail(state, SEQUENCE_NAME, -EIO, "cannot be read");
	if (size > sizeof(text) || parse_sequence(text, (size_t)n, ret) < 0)
		return state_fail(state, SEQUENCE_NAME, -EBADMSG,
		    "is damaged: not a number in one line");
	return 0;
}

// Grows with every start even when the clock goes back, and with the clock
// even when the file was lost.
static int
next_start(struct state *state, uint64_t now_unix_ms, uint64_t *ret)
{
	char text[SEQUENCE_TEXT_MAX];
	uint64_t stored = 0, base = now_unix_ms / 1000;
	int r = read_sequence(state, &stored);

	if (r < 0)
		return r;
	if (base < stored + 1)
		base = stored + 1;
	(void)snprintf(text, sizeof(text), "%" PRIu64 "\n", base);
	r = state_write(
	    state, SEQUENCE_NAME, (const uint8_t *)text, strlen(text), false);
	if (r == 0)
		*ret = base << SEQUENCE_SHIFT;
	return r;
}

int
identity_open(struct identity **ret, struct secret_pool *pool,
    struct state *state, uint64_t now_unix_ms)
{
	struct identity *id = calloc(1, sizeof(*id));
	int r;

	if (id == NULL)
		return state_fail(
		    state, IDENTITY_NAME, -ENOMEM, "no memory is left");
	id->pool = pool;
	id->key = secret_take(pool);
	r = id->key == NULL ? state_fail(state, IDENTITY_NAME, -ENOMEM,
				  "no secret memory is left")
			    : load_key(id, state);
	if (r == 0)
		r = next_start(state, now_unix_ms, &id->next_sequence);
	if (r < 0) {
		identity_free(id);
		return r;
	}
	*ret = id;
	return 0;
}

void
identity_free(struct identity *id)
{
	if (id == NULL)
		return;
	secret_release(id->pool, id->key);
	free(id);
}

const uint8_t *
identity_endpoint_id(const struct identity *id)
{
	return id->endpoint_id;
}

bool
identity_is_credential(const struct identity *id)
{
	return id->is_credential;
}

static void
sign(const struct identity *id, const uint8_t *bytes, size_t len,
    uint8_t ret[static SIGNATURE_LEN])
{
	// Cannot fail with a key and a length of ours.
	(void)crypto_sign_detached(ret, NULL, bytes, len, id->key);
	sodium_stackzero(SIGN_STACK_BYTES);
}

static bool
is_handshake(const uint8_t *content, size_t len)
{
	static const char *const contexts[] = {
		"TLS 1.3, client CertificateVerify",
		"TLS 1.3, server CertificateVerify",
	};
	const uint8_t *context;

	if (len != HANDSHAKE_HASH_AT + 32 && len != HANDSHAKE_HASH_AT + 48)
		return false;
	for (size_t i = 0; i < HANDSHAKE_PAD_LEN; i++)
		if (content[i] != ' ')
			return false;
	context = content + HANDSHAKE_PAD_LEN;
	// The zero byte that must follow is the string's own.
	for (size_t i = 0; i < N_ELEMENTS(contexts); i++)
		if (memcmp(context, contexts[i], HANDSHAKE_CONTEXT_LEN + 1) ==
		    0)
			return true;
	return false;
}

int
identity_sign_handshake(const struct identity *id, const uint8_t *content,
    size_t len, uint8_t ret_signature[static SIGNATURE_LEN])
{
	if (!is_handshake(content, len))
		return -EPROTO;
	sign(id, content, len, ret_signature);
	return 0;
}

void
identity_announce(struct identity *id,
    const uint8_t inference_key[static INFERENCE_KEY_LEN],
    uint64_t not_before_ms, uint64_t not_after_ms,
    uint8_t ret[static ANNOUNCEMENT_LEN])
{
	struct announcement a = { .sequence = id->next_sequence++,
		.not_before_ms = not_before_ms,
		.not_after_ms = not_after_ms };
	uint8_t bytes[ANNOUNCEMENT_SIGNED_LEN], signature[SIGNATURE_LEN];

	memcpy(a.inference_key, inference_key, INFERENCE_KEY_LEN);
	announcement_to_sign(&a, id->endpoint_id, bytes);
	sign(id, bytes, sizeof(bytes), signature);
	announcement_encode(&a, signature, ret);
}
