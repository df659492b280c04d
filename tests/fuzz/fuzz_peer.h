// Peers of every role, in both phases, for the fuzz targets that go through
// a daemon's real rule table.
#ifndef TESTS_FUZZ_FUZZ_PEER_H
#define TESTS_FUZZ_FUZZ_PEER_H

#include <stddef.h>
#include <stdint.h>

#include "common/ipc.h"

struct fuzz_peers {
	// [role][0] is still in the greeting.
	struct ipc_peer *peers[ROLE_MAX][2];
	int others[ROLE_MAX][2]; // the other end: what was answered
};

struct fuzz_result {
	enum ipc_role role;
	enum ipc_phase phase;
	uint16_t type;		  // of what was sent
	int result;		  // of ipc_dispatch
	struct ipc_header answer; // type 0: none
	size_t answer_len;
	uint8_t answer_body[IPC_BODY_MAX];
};

// Aborts when it cannot.
void fuzz_peers_init(struct fuzz_peers *, enum ipc_role self,
    const struct ipc_rule *, size_t n_rules, void *daemon);
// The first bytes choose sender, phase, type and descriptor, the rest is the
// body.  Aborts when something is answered that was refused, when there are
// two answers, or when a descriptor is left open.
void fuzz_peers_send(struct fuzz_peers *, const uint8_t *data, size_t size,
    struct fuzz_result *ret);

#endif
