// What a host has to do for others than us, which our own count of requests
// there does not show.  A host says it to an opener of our dialect (one that
// asks for signs of life, silence.h) in the head of each sealed answer,
//
//	X-Meshllm-Load: RUNNING/LIMIT QUEUED
//
// of the model that was asked for: how many requests of others its backends
// have, how many they may have in all, and how many of others wait.  Four
// digits at most each, without leading zeros; LIMIT is not 0.  It is old news
// from the moment on at which it comes, so half of it is forgotten again and
// again.  It never reaches a client.
#ifndef PROXYD_LOAD_H
#define PROXYD_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "proxyd/http_head.h"

enum {
	LOAD_MAX = 9999,
	LOAD_TEXT_MAX = 16, // with its NUL
	LOAD_HALF_MS = 10 * 1000,
	LOAD_OLD_MS = 6 * LOAD_HALF_MS, // then all is forgotten
};

#define LOAD_FIELD "X-Meshllm-Load"

struct load {
	unsigned running, limit, queued;
};

struct load_heard {
	struct load load;  // limit 0: nothing was heard
	uint64_t heard_ms; // monotonic
};

struct attempt;
struct request;

// ---- load.c: no state

// The field, once and in its exact form; else false, and *ret is as before.
bool load_parse(const struct http_fields *, struct load *ret);
// Numbers above LOAD_MAX are written as that.
void load_write(const struct load *, char ret[static LOAD_TEXT_MAX]);
bool load_is_known(const struct load_heard *, uint64_t now_ms);
// Requests of others, as far as that is still believed.
unsigned load_of_others(const struct load_heard *, uint64_t now_ms);
// With so many requests of ours one more would have to wait there.
bool load_is_full(const struct load_heard *, unsigned own, uint64_t now_ms);

// ---- load_tell.c

// Host: the value of the field for this request's opener.  false: it gets none.
bool load_tell(const struct request *, char ret[static LOAD_TEXT_MAX]);
// Opener: remember what the head says.
void load_take_head(const struct attempt *, const struct http_response *);

#endif
