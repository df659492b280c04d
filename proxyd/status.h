// GET /api/status, /healthz, /readyz and /version of the management listener.
#ifndef PROXYD_STATUS_H
#define PROXYD_STATUS_H

#include "proxyd/request.h"

void status_answer(struct request *);
// All parts of the node run.
void health_answer(struct request *);
// And where there are backends, one of them can be asked.
void ready_answer(struct request *);
void version_answer(struct request *);

#endif
