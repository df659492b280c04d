// Where a request could be answered, best first, and why.
#ifndef PROXYD_CANDIDATES_H
#define PROXYD_CANDIDATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sizes.h"
#include "common/slice.h"

struct backend;
struct breaker;
struct failure;
struct proxyd;

enum source {
	SOURCE_LOCAL,
	SOURCE_SEALED,
	SOURCE_PLAIN, // only with --allow-plaintext-peers
};

struct candidate {
	enum source source;
	struct backend *backend; // local; borrowed
	uint8_t peer_id[ENDPOINT_ID_LEN];
	uint8_t key[INFERENCE_KEY_LEN]; // to seal to
	uint32_t context_length;	// 0: not told
};

enum {
	CANDIDATES_MAX = 8,
	CANDIDATES_REASONS_MAX = 1024,
	CANDIDATES_ROUTE_MAX = 600,
};

struct candidates {
	struct candidate at[CANDIDATES_MAX];
	size_t n;
	size_t next;
	// All that could be tried have as many requests as they may have.
	bool is_full;
	const char *how; // the first was chosen; static
	// Hosts that policy forbids: "id: reason; ".
	char refused[CANDIDATES_REASONS_MAX];
	bool is_refused_full;
	bool any_unattested; // for want of a key, evidence or encryption
	bool any_unlisted;   // not of --only-host
	// When asked for: each source and what spoke for or against it.
	char route[CANDIDATES_ROUTE_MAX];
};

struct candidates_ask {
	const char *model;
	bool local_only; // of a peer, never forwarded
	bool explain;
	bool has_session;  // the body says where the session was
	struct slice body; // JSON, or NULL at
};

// Fill in all that may be tried now; when there is none, *ret_failure says
// why.
void candidates_find(struct proxyd *, const struct candidates_ask *,
    struct candidates *ret, struct failure *ret_failure);
// Remember that policy forbids this host.
void candidates_refuse(
    struct candidates *, const uint8_t *peer_id, const char *reason);
// What to tell a client whose hosts are all refused for lack of evidence.
void candidates_fail_unattested(
    const struct candidates *, const struct proxyd *, struct failure *ret);
// The request was longer than the last one's context: leave out those to
// come that are no larger.  true: one is left.
bool candidates_want_larger(struct candidates *);

// The memory of failures of a source; NULL: the peer is forgotten.
struct breaker *candidate_breaker(struct proxyd *, const struct candidate *);
// Requests there now, and how many there may be.
unsigned *candidate_in_flight(struct proxyd *, const struct candidate *);
unsigned candidate_limit(const struct proxyd *, const struct candidate *);
// "local", or the short id of the host, for a log or a header.
void candidate_name(
    const struct candidate *, char ret[static 2 * ENDPOINT_ID_SHORT_LEN + 1]);

#endif
