// XSalsa20-Poly1305, the box of crypto_secretbox and crypto_box_afternm, in
// pieces of any length.
//
//	box_init(); box_seal() for each piece; box_tag()
//	box_init(); box_open() for each piece; box_check()
#ifndef PROXYD_BOX_H
#define PROXYD_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/sizes.h"

enum {
	BOX_NONCE_LEN = 24,
	BOX_TAG_LEN = 16,
	SALSA_BLOCK_LEN = 64,
	SALSA_KEY_LEN = 32,
	SALSA_NONCE_LEN = 8,
};

struct evp_mac_ctx_st; // libcrypto's

struct box {
	uint8_t key[SALSA_KEY_LEN]; // of this nonce
	uint8_t nonce[SALSA_NONCE_LEN];
	uint8_t block[SALSA_BLOCK_LEN]; // of the key stream, partly used
	uint64_t at;			// in the key stream
	struct evp_mac_ctx_st *mac;	// owned
	bool is_broken;			// libcrypto failed: there is no tag
};

// What needs a file or much memory.  Before the sandbox; -ENOMEM.
MUST_CHECK int box_prepare(void);
// -ENOMEM.  Ends with one of _tag(), _check() or _done(), which wipe it.
MUST_CHECK int box_init(struct box *, const uint8_t key[static REQUEST_KEY_LEN],
    const uint8_t nonce[static BOX_NONCE_LEN]);
void box_seal(struct box *, uint8_t *bytes, size_t n);
// -EIO
MUST_CHECK int box_tag(struct box *, uint8_t ret[static BOX_TAG_LEN]);
// Nothing of what came out may be looked at before box_check() was 0.
void box_open(struct box *, uint8_t *bytes, size_t n);
// -EBADMSG
MUST_CHECK int box_check(struct box *, const uint8_t tag[static BOX_TAG_LEN]);
// Also after _tag() and _check(), and when zeroed.
void box_done(struct box *);

#endif
