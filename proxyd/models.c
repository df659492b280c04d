// Merges the models of our backends and of the hosts that policy lets us use.
// Names come from strangers: they are only ever JSON strings here.
#include "proxyd/models.h"

#include <jansson.h>
#include <string.h>

#include "common/hex.h"
#include "proxyd/access.h"

struct backend_model *
models_local(const struct proxyd *d, size_t *ret_n)
{
	struct backend_model *all;
	size_t n = 0;

	all = calloc(BACKEND_MODELS_MAX, sizeof(*all));
	for (size_t i = 0; all != NULL && i < d->backends.n; i++) {
		const struct backend *b = &d->backends.at[i];

		for (size_t k = 0;
		     b->is_up && k < b->n_models && n < BACKEND_MODELS_MAX;
		     k++) {
			bool seen = false;

			// A model of an earlier backend is listed already.
			for (size_t j = 0; j < i && !seen; j++)
				seen = d->backends.at[j].is_up &&
				    backend_has_model(
					&d->backends.at[j], b->models[k].name);
			if (!seen)
				all[n++] = b->models[k];
		}
	}
	*ret_n = n;
	return all;
}

static bool
host_may_be_used(const struct proxyd *d, const struct peer *peer, uint64_t now)
{
	const uint8_t *key;

	if (!peer->is_present || peer->role != IPC__PEER_ROLE__PEER_HOST)
		return false;
	switch (peer_key_now(peer, now, &key)) {
	case PEER_KEY_PROVEN:
		return true;
	case PEER_KEY_UNSIGNED:
		return d->config->unsigned_allowed;
	default:
		return d->config->plaintext_allowed;
	}
}

static json_t *
describe(const char *name, uint32_t context, const char *owner)
{
	json_t *model = json_pack("{s:s, s:s, s:i, s:s}", "id", name, "object",
	    "model", "created", 0, "owned_by", owner);

	if (model != NULL && context != 0)
		(void)json_object_set_new(
		    model, "context_length", json_integer(context));
	return model;
}

// By name; the first description of a name stays.  What a key may not ask for
// does not exist for it.
static void
add(const struct request *req, json_t *all, const char *name, json_t *model)
{
	bool may_ask =
	    req->key == NULL || api_key_has_model(&req->key->key, name);

	if (may_ask && json_object_get(all, name) == NULL)
		(void)json_object_set(all, name, model);
	json_decref(model);
}

static json_t *
collect(const struct request *req)
{
	const struct proxyd *d = req->d;
	bool local_only = req->is_inbound;
	uint64_t now = clock_unix_ms();
	json_t *all = json_object();
	size_t n = 0;
	struct backend_model *own = models_local(d, &n);

	for (size_t i = 0; i < n; i++)
		add(req, all, own[i].name,
		    describe(own[i].name, own[i].context_length, "local"));
	free(own);
	for (size_t i = 0; i < d->peers.n && !local_only; i++) {
		const struct peer *peer = d->peers.at[i];

		for (size_t k = 0;
		     host_may_be_used(d, peer, now) && k < peer->n_models; k++)
			add(req, all, peer->models[k].name,
			    describe(peer->models[k].name,
				peer->models[k].context_length, "mesh"));
	}
	return all;
}

static void
answer_json(struct request *req, json_t *json)
{
	struct failure failure;
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

	json_decref(json);
	if (text == NULL) {
		failure_set(&failure, 500, "internal_error", "out of memory");
		request_fail(req, &failure);
		return;
	}
	request_reply(req, 200, text, strlen(text));
	free(text);
}

void
models_answer_list(struct request *req)
{
	json_t *all = collect(req);
	json_t *list = json_array();
	const char *name;
	json_t *model;

	json_object_foreach(all, name, model)(void)
	    json_array_append(list, model);
	json_decref(all);
	answer_json(
	    req, json_pack("{s:s, s:o}", "object", "list", "data", list));
}

static int
percent_decode(struct slice in, char *ret, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		int c = (unsigned char)in.at[i];

		if (c == '%') {
			if (in.len - i < 3 || hex_any_digit(in.at[i + 1]) < 0 ||
			    hex_any_digit(in.at[i + 2]) < 0)
				return -EINVAL;
			c = hex_any_digit(in.at[i + 1]) * 16 +
			    hex_any_digit(in.at[i + 2]);
			i += 2;
		}
		if (c == 0 || n + 1 >= size)
			return -EINVAL;
		ret[n++] = (char)c;
	}
	ret[n] = '\0';
	return 0;
}

// As a request for it would be told: it does not exist, or is not ready.
static void
explain_missing(
    const struct request *req, const char *name, struct failure *ret)
{
	struct candidates_ask ask = { .model = name,
		.local_only = req->is_inbound };
	struct candidates found;
	bool may_ask =
	    req->key == NULL || api_key_has_model(&req->key->key, name);

	failure_set(ret, 404, "model_not_found",
	    "the model does not exist or no host of it is known");
	if (may_ask && name[0] != '\0')
		candidates_find(req->d, &ask, &found, ret);
}

void
models_answer_one(struct request *req, struct slice id)
{
	char name[MODEL_NAME_MAX + 1] = "";
	struct failure failure;
	json_t *all, *model = NULL;

	if (percent_decode(id, name, sizeof(name)) == 0) {
		all = collect(req);
		model = json_incref(json_object_get(all, name));
		json_decref(all);
	}
	if (model != NULL) {
		answer_json(req, model);
		return;
	}
	explain_missing(req, name, &failure);
	request_fail(req, &failure);
}
