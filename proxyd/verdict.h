// What the verifier says about a peer's key, remembered beside the peer.
#ifndef PROXYD_VERDICT_H
#define PROXYD_VERDICT_H

#include "attestd/client.h"
#include "proxyd/proxyd.h"

// binding: of the connection that it is about, or NULL.
void verdict_store(struct peer *, const uint8_t key[static INFERENCE_KEY_LEN],
    const uint8_t *binding, const struct attestd_verdict *);
// Ask, if there is a key and what is known has expired; for the status
// and the response headers.  Nobody waits for it.
void verdict_refresh(struct proxyd *, const uint8_t *peer_id);
// What the verifier said about this peer, NULL: about any, holds no more.
void verdicts_void(struct proxyd *, const uint8_t *peer_id);

#endif
