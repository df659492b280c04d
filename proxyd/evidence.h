// Asks hosts for evidence v2: the stream is gossipd's, the bytes are between
// the host and the verifier, the verdict is kept beside the peer.
#ifndef PROXYD_EVIDENCE_H
#define PROXYD_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/cleanup.h"
#include "common/sizes.h"

struct asking; // of one host
struct peer;
struct proxyd;

enum {
	EVIDENCE_ASKING_MAX = 128,    // hosts at once; the verifier takes 200
	EVIDENCE_BACKGROUND_MAX = 64, // the others are for requests that wait
	EVIDENCE_RENEW_MS = 300 * 1000,
	EVIDENCE_LOWER_MS = 60 * 1000, // below hardware: it may be repaired
	EVIDENCE_RETRY_MS = 30 * 1000, // after a failure
	EVIDENCE_NEWS_MS = 2 * 1000,   // not faster, whatever changes
	EVIDENCE_AGAIN_MS = 10 * 1000, // nor because a request needs it
};

TAILQ_HEAD(askings, asking);

// Somebody who waits; fn is called once, from the loop.
struct evidence_waiter {
	TAILQ_ENTRY(evidence_waiter) entry;
	struct asking *asking; // NULL: waits for nothing
	void (*fn)(void *arg);
	void *arg;
};

// Ask this host about its proven key, or join those who wait already.  waiter
// may be NULL.  -EAGAIN: too many; -EPIPE: a part of this node is not there.
MUST_CHECK int evidence_ask(
    struct proxyd *, const struct peer *, struct evidence_waiter *);
void evidence_forget(struct evidence_waiter *);
// Ask in the background if it is time.
void evidence_refresh(struct proxyd *, struct peer *);
// Since when the host's last answer about this key is known; false: it was not
// asked about it, on this connection.
bool evidence_was_asked(
    const struct peer *, const uint8_t *key, uint64_t *ret_ms);
// Another verifier is there, which has seen nothing yet.
void evidence_start_over(struct proxyd *);
void evidence_done(struct proxyd *);

#endif
