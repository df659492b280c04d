// What other daemons ask of cryptod.  Linked by them, not by cryptod.
//
// A question that is sent is answered through an ipc_reply_fn; the function
// of the same name with _read checks the answer's lengths and gives it a
// shape.  The caller's own rule table needs the answer's rule, with the size
// below as its max_body.
#ifndef CRYPTOD_CLIENT_H
#define CRYPTOD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/announcement.h"
#include "common/cleanup.h"
#include "common/ipc.h"
#include "common/liveness.h"
#include "common/sizes.h"

enum {
	CRYPTOD_KEYS_REPLY_MAX = 70, // bytes of each answer
	CRYPTOD_SIGN_REPLY_MAX = 66,
	CRYPTOD_ANNOUNCE_REPLY_MAX = 123,
	CRYPTOD_SEAL_REPLY_MAX = 70,
	CRYPTOD_OPEN_REPLY_MAX = 142,
	CRYPTOD_KEY_CHANGED_MAX = 0,
	CRYPTOD_LIVENESS_REPLY_MAX = 36,

	CRYPTOD_CANDIDATES_MAX = 2,
	CRYPTOD_SIGN_DEADLINE_MS = 2000,
};

struct cryptod_keys {
	uint8_t endpoint_id[ENDPOINT_ID_LEN];
	uint8_t inference_key[INFERENCE_KEY_LEN];
	bool identity_in_secret_memory; // memfd_secret(2)
};

// Pointers into the answer: copy before the callback returns.
struct cryptod_sealed {
	Ipc__Result result;	      // RESULT_OK or RESULT_BAD_KEY
	const uint8_t *ephemeral_key; // INFERENCE_KEY_LEN; NULL unless OK
	const uint8_t *request_key;   // REQUEST_KEY_LEN; secret
};

struct cryptod_candidate {
	const uint8_t *inference_key; // INFERENCE_KEY_LEN
	const uint8_t *request_key;   // REQUEST_KEY_LEN; secret
};

struct cryptod_opened {
	Ipc__Result result;  // RESULT_OK, _BAD_KEY, _REPLAYED, _BUSY
	size_t n_candidates; // 0 unless OK
	struct cryptod_candidate candidates[CRYPTOD_CANDIDATES_MAX];
};

// All _send: 0, or what ipc_call() says; ret_id may be NULL.
// All _read: 0, status if it is an error, or -EBADMSG.

MUST_CHECK int cryptod_keys_send(struct ipc_peer *, unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id);
MUST_CHECK int cryptod_keys_read(
    int status, const ProtobufCMessage *msg, struct cryptod_keys *ret);

MUST_CHECK int cryptod_announce_send(struct ipc_peer *, unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id);
MUST_CHECK int cryptod_announce_read(int status, const ProtobufCMessage *msg,
    uint8_t ret[static ANNOUNCEMENT_LEN]);

// An ephemeral key for one request to this inference key.
MUST_CHECK int cryptod_seal_send(struct ipc_peer *,
    const uint8_t recipient_key[static INFERENCE_KEY_LEN], unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id);
MUST_CHECK int cryptod_seal_read(
    int status, const ProtobufCMessage *msg, struct cryptod_sealed *ret);

// The keys of a request that came with this ephemeral key; each only once.
MUST_CHECK int cryptod_open_send(struct ipc_peer *,
    const uint8_t ephemeral_key[static INFERENCE_KEY_LEN], unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id);
MUST_CHECK int cryptod_open_read(
    int status, const ProtobufCMessage *msg, struct cryptod_opened *ret);

// The signer: a MAC that shows a peer that the secret of this inference key is
// here.  -ENOKEY: it is not, or the peer's ephemeral key is no good.
MUST_CHECK int cryptod_liveness_send(struct ipc_peer *,
    const uint8_t inference_key[static INFERENCE_KEY_LEN],
    const uint8_t ephemeral_key[static INFERENCE_KEY_LEN],
    const uint8_t hash[static LIVENESS_HASH_LEN], unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg, uint32_t *ret_id);
MUST_CHECK int cryptod_liveness_read(int status, const ProtobufCMessage *msg,
    uint8_t ret[static LIVENESS_MAC_LEN]);

// Blocks; peer is the channel without a loop (config.base NULL).  Signs
// nothing but a TLS 1.3 CertificateVerify; -EPIPE once cryptod is gone.
MUST_CHECK int cryptod_sign_wait(struct ipc_peer *, const uint8_t *content,
    size_t len, unsigned deadline_ms,
    uint8_t ret_signature[static SIGNATURE_LEN]);
// The same as a quic_sign_fn: arg is the peer.
int cryptod_sign(void *arg, const uint8_t *content, size_t len,
    uint8_t ret_signature[static SIGNATURE_LEN]);
// Blocks like sign_wait.
MUST_CHECK int cryptod_keys_wait(
    struct ipc_peer *, unsigned deadline_ms, struct cryptod_keys *ret);

#endif
