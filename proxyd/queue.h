// Requests that wait because everything that could answer them has as many as
// it may have.  In turns of those who ask, limited in number and time.
#ifndef PROXYD_QUEUE_H
#define PROXYD_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"

enum {
	QUEUE_REQUESTS = 1000, // defaults
	QUEUE_SECONDS = 60,
	QUEUE_REQUESTS_MAX = 65536,
};

struct proxyd;
struct request;

void queue_init(struct proxyd *);
void queue_done(struct proxyd *);
// -ENOBUFS: it is full.
MUST_CHECK int queue_join(struct request *);
void queue_leave(struct request *);
// One waits that this one must not overtake.
bool queue_has_like(const struct request *);
// Something ended: look at the queue, soon.
void queue_wake(struct proxyd *);
// It waited too long: told so, and over.
void queue_expire(struct request *, uint64_t now_ms);

#endif
