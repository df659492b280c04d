// The list of models as OpenAI clients see it.
#ifndef PROXYD_MODELS_H
#define PROXYD_MODELS_H

#include "common/slice.h"
#include "proxyd/proxyd.h"
#include "proxyd/request.h"

// Answer GET /v1/models.  Peers are told of our own models only.
void models_answer_list(struct request *);
// Answer GET /v1/models/{id}; id as in the target, percent-encoded.
void models_answer_one(struct request *, struct slice id);
// All models that a backend of ours serves now; the caller frees.
struct backend_model *models_local(const struct proxyd *, size_t *ret_n);

#endif
