// A host's side of load.h, and the opener's memory.  What a host tells is how
// many requests there are, never whose: those of the opener itself are left
// out, as it knows them better and adds its own count.
#include <string.h>

#include "proxyd/attempt.h"
#include "proxyd/load.h"
#include "proxyd/peers.h"
#include "proxyd/proxyd.h"
#include "proxyd/request.h"

static bool
is_of(const struct request *other, const uint8_t *peer_id)
{
	return other->is_inbound &&
	    memcmp(other->peer_id, peer_id, ENDPOINT_ID_LEN) == 0;
}

static bool
serves(const struct backend *backend, const char *model)
{
	return backend->is_up && backend_has_model(backend, model);
}

static unsigned
queued_of_others(const struct request *req)
{
	const struct request *other;
	unsigned n = 0;

	TAILQ_FOREACH (other, &req->d->queue, queue_entry)
		if (strcmp(other->model, req->model) == 0 &&
		    !is_of(other, req->peer_id))
			n++;
	return n;
}

bool
load_tell(const struct request *req, char ret[static LOAD_TEXT_MAX])
{
	struct load load = { .running = 0 };
	const struct proxyd *d = req->d;
	unsigned own = 0;

	if (!req->is_inbound || req->is_plain || req->alive_s == 0 ||
	    req->model[0] == '\0')
		return false;
	for (size_t i = 0; i < d->backends.n; i++) {
		const struct backend *backend = &d->backends.at[i];
		struct candidate to = { .source = SOURCE_LOCAL,
			.backend = &req->d->backends.at[i] };

		if (!serves(backend, req->model))
			continue;
		load.running += backend->in_flight;
		load.limit += candidate_limit(d, &to);
		if (req->party != NULL)
			own += req->party->running[i];
	}
	if (load.limit == 0)
		return false;
	load.running = load.running > own ? load.running - own : 0;
	load.queued = queued_of_others(req);
	load_write(&load, ret);
	return true;
}

void
load_take_head(const struct attempt *a, const struct http_response *response)
{
	struct load load;
	struct peer *host;

	if (a->to.source != SOURCE_SEALED ||
	    !load_parse(&response->fields, &load) ||
	    (host = peers_find(&a->d->peers, a->to.peer_id)) == NULL)
		return;
	peer_hear_load(host, a->req->model, &load, clock_mono_ms());
}
