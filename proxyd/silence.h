// A host that is silent because its model reads a long prompt, and one that
// hangs, look the same for as long as the host says nothing.  A host of our
// dialect says something: the opener asks for it in the sealed request,
//
//	X-Meshllm-Alive: SECONDS
//
// and while the host works on the request it sends, that often, a sealed chunk
// without bytes: below HTTP, so that it may come at any point of any answer.
// The head of its answer has the field too.  A host that has done one of both,
// or announces that it will, is held to it; others have --answer-seconds.
#ifndef PROXYD_SILENCE_H
#define PROXYD_SILENCE_H

#include <stdint.h>

#include "proxyd/http_head.h"

enum {
	SILENCE_S = 30, // until it is given up; default
	SILENCE_S_MIN = 3,
	SILENCE_SIGNS = 3, // that may be lost or late
	SILENCE_LOOK_MS = 1000,
	SILENCE_FIELD_MAX = 40,
	SILENCE_WANTED_MAX = 3600,
};

#define SILENCE_FIELD "X-Meshllm-Alive"

struct attempt;
struct request;

// Host: how often the opener wants a sign, in seconds; 0: not at all.
unsigned silence_wanted(const struct http_fields *);
// Host, of each request as often as it is looked at: this process runs.
void silence_note_running(struct request *);
// Host, before a request is begun: the peer that opened it has gone, or this
// node was held up (stopped, asleep) for so long that it will have.  False for
// what a client of this node asks.
bool silence_is_given_up(struct request *);

// Opener: the field of the request's head, or "".
void silence_ask(const struct attempt *, char ret[static SILENCE_FIELD_MAX]);
// The host says, or shows, that it shows signs of life.
void silence_take_head(struct attempt *, const struct http_response *);
void silence_promised(struct attempt *);
// Every SILENCE_LOOK_MS or more often.  The attempt may be over.
void silence_look(struct attempt *, uint64_t now_ms);

#endif
