// Where a request could be answered, best first.
#ifndef PROXYD_CANDIDATES_H
#define PROXYD_CANDIDATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sizes.h"

struct backend;
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
};

enum { CANDIDATES_MAX = 8, CANDIDATES_REASONS_MAX = 400 };

struct candidates {
	struct candidate at[CANDIDATES_MAX];
	size_t n;
	size_t next;
	// Hosts that policy forbids: "id: reason; ".
	char refused[CANDIDATES_REASONS_MAX];
	bool any_unattested;
};

// Fill in all that may be tried now; when there is none, *ret_failure says
// why.  local_only: for requests of peers, which are never forwarded.
void candidates_find(struct proxyd *, const char *model, bool local_only,
    struct candidates *ret, struct failure *ret_failure);
// Remember that policy forbids this host.
void candidates_refuse(
    struct candidates *, const uint8_t *peer_id, const char *reason);
// What to tell a client whose hosts are all refused for lack of evidence.
void candidates_fail_unattested(
    const struct candidates *, const struct proxyd *, struct failure *ret);

#endif
