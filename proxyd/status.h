// GET /api/status and /healthz of the management listener.
#ifndef PROXYD_STATUS_H
#define PROXYD_STATUS_H

#include "proxyd/request.h"

void status_answer(struct request *);
void health_answer(struct request *);

#endif
