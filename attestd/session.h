// The verifier's side of evidence v2: one question to one host.
#ifndef ATTESTD_SESSION_H
#define ATTESTD_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "attestd/evidence.h"
#include "common/ipc.h"
#include "common/liveness.h"

struct attestd;
struct sessions;

enum {
	SESSIONS_MAX = 200,
	SESSION_DEADLINE_MS = 5000, // for each of the host's two answers
};

// The host's reason for an empty answer.
enum session_refusal {
	SESSION_NO_ATTESTER = 1,
	SESSION_ATTESTER_FAILS = 2,
	SESSION_BUSY = 3,
};

MUST_CHECK int sessions_new(struct sessions **ret);
// Ends all; nobody is answered any more.
void sessions_free(struct sessions *);

ipc_handler handle_session;

#endif
