// GET /api/evidence/{id} of the management listener: what that node has shown,
// as an evidence file in base64, for `meshllm verify`.
#ifndef PROXYD_EVIDENCE_COPY_H
#define PROXYD_EVIDENCE_COPY_H

#include "common/slice.h"
#include "proxyd/request.h"

void evidence_copy_answer(struct request *, struct slice id);
// The request has ended; NULL: nothing.
void evidence_copy_stop(struct evidence_copy *);

#endif
