// One line for each request, and one for each refusal.  Names, sizes and
// times; never a word of what was asked or answered.
#include <string.h>

#include "common/log.h"
#include "proxyd/attempt.h"
#include "proxyd/metrics.h"
#include "proxyd/request.h"

static const char *
event_of(const struct request *req, const char *outcome)
{
	const struct attempt *a = req->attempt;

	if (strcmp(outcome, "aborted") == 0)
		return "request-aborted";
	if (strcmp(outcome, "answered") != 0)
		return "request-failed";
	if (req->is_inbound)
		return req->is_plain ? "plain-request-served"
				     : "sealed-request-served";
	if (a == NULL || a->to.source == SOURCE_LOCAL)
		return "local-request-served";
	return a->to.source == SOURCE_SEALED ? "sealed-request-sent"
					     : "plain-request-sent";
}

// The last one tried, when the attempt itself is over.
static struct log_value
peer_of(const struct request *req)
{
	const struct candidates *c = &req->candidates;
	const struct candidate *to = req->attempt != NULL ? &req->attempt->to
	    : c->next > 0				  ? &c->at[c->next - 1]
							  : NULL;

	if (req->is_inbound)
		return log_peer(req->peer_id);
	if (to == NULL || to->source == SOURCE_LOCAL)
		return log_text("local");
	return log_peer(to->peer_id);
}

// That the host reached when the request went to it.
static const char *
level_of(const struct request *req)
{
	const struct attempt *a = req->attempt;

	if (a == NULL || a->to.source == SOURCE_LOCAL)
		return "local";
	return level_name(a->level);
}

static void
log_refused(const struct request *req)
{
	if (req->is_inbound &&
	    !log_limit_pass(&req->d->peers_log, clock_mono_ms()))
		return;
	LOG(LOG_INFO, "request-refused", F("request", (const char *)req->id),
	    F("from",
		req->is_inbound ? log_peer(req->peer_id) : log_text("client")),
	    F("model", (const char *)req->model), F("status", req->status),
	    F("reason", (const char *)req->failure.message));
}

static void
log_attempt_failed(const struct request *req)
{
	const struct candidates *c = &req->candidates;
	const struct candidate *to = &c->at[c->next > 0 ? c->next - 1 : 0];

	LOG(LOG_INFO, "attempt-failed", F("request", (const char *)req->id),
	    F("peer",
		to->source == SOURCE_LOCAL ? log_text("local")
					   : log_peer(to->peer_id)),
	    F("model", (const char *)req->model),
	    F("reason", (const char *)req->failure.message));
}

void
request_log_end(const struct request *req, const char *outcome)
{
	bool is_answered = strcmp(outcome, "answered") == 0;
	const char *event = event_of(req, outcome);
	bool is_plain = strncmp(event, "plain-", 6) == 0;

	metrics_count_end(req, outcome);
	if (strcmp(outcome, "attempt-failed") == 0) {
		log_attempt_failed(req);
		return;
	}
	if (req->model[0] == '\0' && is_answered)
		return; // a list of models
	if (req->n_attempts == 0 && !is_answered &&
	    strcmp(outcome, "aborted") != 0) {
		log_refused(req);
		return;
	}
	if (!is_answered && strcmp(outcome, "aborted") != 0) {
		LOG(LOG_INFO, event, F("request", (const char *)req->id),
		    F("peer", peer_of(req)),
		    F("model", (const char *)req->model), F("outcome", outcome),
		    F("attempts", req->n_attempts),
		    F("reason", (const char *)req->failure.message),
		    F("ms", clock_mono_ms() - req->started_ms));
		return;
	}
	LOG(is_plain ? LOG_WARNING : LOG_INFO, event,
	    F("request", (const char *)req->id), F("peer", peer_of(req)),
	    F("model", (const char *)req->model), F("outcome", outcome),
	    F("chosen", req->candidates.how), F("attestation", level_of(req)),
	    F("bytes_in", (uint64_t)req->request_bytes),
	    F("bytes_out", req->answer.body_bytes), F("status", req->status),
	    F("ms", clock_mono_ms() - req->started_ms));
}
