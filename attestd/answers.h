// The signer's answers to peers that ask for evidence v2.
#ifndef ATTESTD_ANSWERS_H
#define ATTESTD_ANSWERS_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attestd/evidence_make.h"
#include "common/cleanup.h"
#include "common/ipc.h"

struct attestd;

enum {
	ANSWERS_WAITING_MAX = 256, // peers; one more is told that we are busy
	ANSWERS_ACTIVATIONS_MAX = 16,
	// A TPM does one thing at a time, and slowly: not more than four things
	// a second are asked of it, whoever asks.
	ANSWERS_GAP_MS = 250,
	ANSWERS_LIVENESS_DEADLINE_MS = 2000,
};

struct asked {
	struct attestd *d; // borrowed
	uint32_t request_id;
	int fd; // owned; -1: done
	struct evidence_waiter waiter;
	uint8_t ephemeral[32];
	uint8_t hash[EVIDENCE_HASH_LEN];
};

struct activation {
	uint32_t request_id;
	uint8_t hash[EVIDENCE_HASH_LEN];
	struct tpm_credential credential;
};

struct answers {
	struct event *timer; // owned
	struct asked waiting[ANSWERS_WAITING_MAX];
	size_t n_waiting;
	// Those whose evidence is made, until cryptod has answered for each.
	struct asked batch[EVIDENCE_BATCH_MAX];
	size_t n_batch, n_open;
	uint8_t bytes[EVIDENCE_V2_MAX]; // for all of the batch
	size_t len;
	struct activation activations[ANSWERS_ACTIVATIONS_MAX];
	size_t n_activations;
	bool was_activation; // the last turn
	uint64_t next_ms;    // monotonic; not before
};

MUST_CHECK int answers_new(struct attestd *, struct answers **ret);
void answers_free(struct answers *);
// The keys are there: those who wait for them are served.
void answers_go_on(struct attestd *);

ipc_handler handle_attest;
ipc_handler handle_activate;

#endif
