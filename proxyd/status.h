// GET /api/status, /healthz, /readyz and /version of the management listener.
#ifndef PROXYD_STATUS_H
#define PROXYD_STATUS_H

#include <jansson.h>

#include "proxyd/request.h"

void status_answer(struct request *);
// One part of it, without what changes all the time; the caller's.
json_t *status_part(const struct proxyd *, enum events_part);
// All parts of the node run.
void health_answer(struct request *);
// And where there are backends, one of them can be asked.
void ready_answer(struct request *);
void version_answer(struct request *);

#endif
