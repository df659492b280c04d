// The counts, and their text for Prometheus (exposition format 0.0.4).  Names
// of models, prompts and clients do not appear; the names of API keys, the
// short ids of peers and the addresses of backends do, escaped.
#include "proxyd/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "proxyd/attempt.h"
#include "proxyd/measure.h"
#include "proxyd/request.h"
#include "proxyd/usage.h"

static const char *const routes[METRICS_ROUTES] = {
	[METRICS_LOCAL] = "local",
	[METRICS_SEALED] = "sealed",
	[METRICS_PLAIN] = "plain",
	[METRICS_SERVED] = "served",
	[METRICS_SERVED_PLAIN] = "served_plain",
	[METRICS_NONE] = "none",
};

static const char *const outcomes[METRICS_OUTCOMES] = {
	[METRICS_ANSWERED] = "answered",
	[METRICS_FAILED] = "failed",
	[METRICS_ABORTED] = "aborted",
	[METRICS_REFUSED] = "refused",
};

// Microseconds; as the text has them, and as they are compared.
struct bucket {
	const char *le;
	uint64_t us;
};

// clang-format off
static const struct bucket first_byte_buckets[METRICS_BUCKETS] = {
	{ "0.005", 5000 }, { "0.01", 10000 }, { "0.025", 25000 },
	{ "0.05", 50000 }, { "0.1", 100000 }, { "0.25", 250000 },
	{ "0.5", 500000 }, { "1", 1000000 }, { "2.5", 2500000 },
	{ "5", 5000000 }, { "10", 10000000 }, { "20", 20000000 },
	{ "40", 40000000 }, { "80", 80000000 }, { "160", 160000000 },
	{ "320", 320000000 },
};
static const struct bucket gap_buckets[METRICS_BUCKETS] = {
	{ "0.005", 5000 }, { "0.01", 10000 }, { "0.015", 15000 },
	{ "0.02", 20000 }, { "0.025", 25000 }, { "0.03", 30000 },
	{ "0.04", 40000 }, { "0.05", 50000 }, { "0.075", 75000 },
	{ "0.1", 100000 }, { "0.15", 150000 }, { "0.25", 250000 },
	{ "0.5", 500000 }, { "1", 1000000 }, { "2.5", 2500000 },
	{ "10", 10000000 },
};
// clang-format on

// ---- counting

static void
observe(struct metrics_histogram *h, const struct bucket *buckets, uint64_t us)
{
	size_t i = 0;

	while (i < METRICS_BUCKETS && us > buckets[i].us)
		i++;
	h->count[i]++;
	h->sum_us += us;
}

static void
count_reason(struct metrics_reason *list, const char *name)
{
	// Reasons are string constants; beyond the list they share its end.
	for (size_t i = 0; i < METRICS_REASONS_MAX; i++) {
		if (list[i].name == NULL)
			list[i].name =
			    i + 1 < METRICS_REASONS_MAX ? name : "other";
		if (strcmp(list[i].name, name) == 0 ||
		    i + 1 == METRICS_REASONS_MAX) {
			list[i].n++;
			return;
		}
	}
}

static enum metrics_route
route_of(const struct request *req)
{
	const struct candidates *c = &req->candidates;
	const struct candidate *to = req->attempt != NULL ? &req->attempt->to
	    : c->next > 0				  ? &c->at[c->next - 1]
							  : NULL;

	if (req->is_inbound)
		return req->is_plain ? METRICS_SERVED_PLAIN : METRICS_SERVED;
	if (to == NULL)
		return METRICS_NONE;
	switch (to->source) {
	case SOURCE_LOCAL:
		return METRICS_LOCAL;
	case SOURCE_SEALED:
		return METRICS_SEALED;
	default:
		return METRICS_PLAIN;
	}
}

void
metrics_count_end(const struct request *req, const char *outcome)
{
	struct metrics *m = &req->d->metrics;
	enum metrics_route route = route_of(req);
	enum metrics_outcome how = METRICS_FAILED;

	// A try that was not the last; answers of our own, as of the status.
	if (strcmp(outcome, "attempt-failed") == 0)
		return;
	if (strcmp(outcome, "answered") == 0)
		how = METRICS_ANSWERED;
	else if (strcmp(outcome, "aborted") == 0)
		how = METRICS_ABORTED;
	else if (req->n_attempts == 0)
		how = METRICS_REFUSED;
	if (how == METRICS_ANSWERED && req->model[0] == '\0')
		return;
	if (how == METRICS_FAILED || how == METRICS_REFUSED)
		count_reason(m->errors, outcome);
	m->ended[route][how]++;
	if (req->usage != NULL) {
		m->prompt_tokens[route] += req->usage->prompt;
		m->completion_tokens[route] += req->usage->completion;
	}
}

void
metrics_count_dropped(struct proxyd *d, const char *reason)
{
	count_reason(d->metrics.dropped, reason);
}

void
metrics_count_limited(struct proxyd *d, const char *limit)
{
	count_reason(d->metrics.limited, limit);
}

// The time that the loop has read already: it ticks every few milliseconds, and
// is free.
static uint64_t
loop_time_us(const struct proxyd *d)
{
	struct timeval tv = { 0, 0 };

	(void)event_base_gettimeofday_cached(d->base, &tv);
	return (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
}

void
metrics_count_sent(struct request *req)
{
	struct metrics *m = &req->d->metrics;
	uint64_t now = loop_time_us(req->d);

	if (req->sent_us == 0)
		observe(&m->first_byte, first_byte_buckets,
		    (clock_mono_ms() - req->started_ms) * 1000);
	else if (req->answer.is_event_stream && now >= req->sent_us)
		observe(&m->gap, gap_buckets, now - req->sent_us);
	req->sent_us = now;
}

// ---- text

static void
put_type(FILE *f, const char *name, const char *type, const char *help)
{
	(void)fprintf(f, "# HELP meshllm_%s %s\n# TYPE meshllm_%s %s\n", name,
	    help, name, type);
}

static void
put_one(FILE *f, const char *name, const char *type, const char *help,
    uint64_t value)
{
	put_type(f, name, type, help);
	(void)fprintf(f, "meshllm_%s %" PRIu64 "\n", name, value);
}

// A label's value: \, " and line ends are escaped, other control bytes are
// not there (names were checked where they came in).
static void
put_label(FILE *f, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			(void)fputc('\\', f);
		if (*text == '\n')
			(void)fputs("\\n", f);
		else
			(void)fputc(*text, f);
	}
}

static void
put_labelled(FILE *f, const char *name, const char *label, const char *value,
    uint64_t number)
{
	(void)fprintf(f, "meshllm_%s{%s=\"", name, label);
	put_label(f, value);
	(void)fprintf(f, "\"} %" PRIu64 "\n", number);
}

static void
put_reasons(FILE *f, const char *name, const char *label,
    const struct metrics_reason *list)
{
	for (size_t i = 0; i < METRICS_REASONS_MAX && list[i].name != NULL; i++)
		put_labelled(f, name, label, list[i].name, list[i].n);
}

static void
put_requests(FILE *f, const struct metrics *m)
{
	put_type(f, "requests_total", "counter",
	    "Requests that have ended, by their way and outcome.");
	for (size_t r = 0; r < METRICS_ROUTES; r++)
		for (size_t o = 0; o < METRICS_OUTCOMES; o++)
			(void)fprintf(f,
			    "meshllm_requests_total{route=\"%s\",outcome=\"%s\""
			    "} %" PRIu64 "\n",
			    routes[r], outcomes[o], m->ended[r][o]);
	put_type(f, "tokens_total", "counter",
	    "Tokens as the answers say, where they say it.");
	for (size_t r = 0; r < METRICS_NONE; r++)
		(void)fprintf(f,
		    "meshllm_tokens_total{route=\"%s\",kind=\"prompt\"} "
		    "%" PRIu64 "\n"
		    "meshllm_tokens_total{route=\"%s\",kind=\"completion\"} "
		    "%" PRIu64 "\n",
		    routes[r], m->prompt_tokens[r], routes[r],
		    m->completion_tokens[r]);
	put_type(f, "errors_total", "counter",
	    "Requests refused or failed, by the code that the client got.");
	put_reasons(f, "errors_total", "code", m->errors);
	put_type(f, "limited_total", "counter",
	    "Requests and connections refused or ended, by limit.");
	put_reasons(f, "limited_total", "limit", m->limited);
	put_type(f, "peer_requests_dropped_total", "counter",
	    "What peers sent and got no answer to, by reason.");
	put_reasons(f, "peer_requests_dropped_total", "reason", m->dropped);
}

static void
put_histogram(FILE *f, const char *name, const char *help,
    const struct metrics_histogram *h, const struct bucket *buckets)
{
	uint64_t n = 0;

	put_type(f, name, "histogram", help);
	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		n += h->count[i];
		(void)fprintf(f, "meshllm_%s_bucket{le=\"%s\"} %" PRIu64 "\n",
		    name, buckets[i].le, n);
	}
	n += h->count[METRICS_BUCKETS];
	(void)fprintf(f,
	    "meshllm_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n"
	    "meshllm_%s_sum %" PRIu64 ".%06" PRIu64 "\n"
	    "meshllm_%s_count %" PRIu64 "\n",
	    name, n, name, h->sum_us / 1000000, h->sum_us % 1000000, name, n);
}

static void
put_counters(FILE *f, const struct proxyd *d)
{
	const struct counters *c = &d->counters;

	put_one(f, "retries_total", "counter",
	    "Tries that failed before the first byte, with another after them.",
	    c->retries);
	put_one(f, "plaintext_refused_total", "counter",
	    "Requests of peers without encryption that were refused.",
	    c->plain_refused);
	put_one(f, "connections_total", "counter",
	    "Connections to the listeners.", c->connections);
	put_one(f, "connections", "gauge", "The same, now.", d->n_conns);
	put_one(f, "connections_displaced_total", "counter",
	    "Idle connections that were closed to make room for others.",
	    c->displaced);
	put_one(f, "tunnels_in_total", "counter", "Tunnels that peers opened.",
	    c->tunnels_in);
	put_one(f, "tunnels_in", "gauge", "The same, now.", d->n_inbounds);
	put_one(f, "requests_in_progress", "gauge",
	    "Requests that are being answered, this one included.",
	    d->n_requests);
	put_one(f, "queued_total", "counter",
	    "Requests that had to wait for their turn.", c->queued);
	put_one(f, "queued", "gauge", "The same, now.", d->n_queued);
	put_one(f, "held_bytes", "gauge",
	    "Bytes of requests and envelopes that are held.", d->held_bytes);
}

static void
put_backends(FILE *f, const struct proxyd *d)
{
	put_type(f, "backend_up", "gauge", "1: it answers with its models.");
	for (size_t i = 0; i < d->backends.n; i++)
		if (!d->backends.at[i].is_retired)
			put_labelled(f, "backend_up", "backend",
			    d->backends.at[i].text, d->backends.at[i].is_up);
	put_type(f, "backend_requests", "gauge", "Requests there now.");
	for (size_t i = 0; i < d->backends.n; i++)
		if (!d->backends.at[i].is_retired ||
		    d->backends.at[i].in_flight > 0)
			put_labelled(f, "backend_requests", "backend",
			    d->backends.at[i].text,
			    d->backends.at[i].in_flight);
}

static void
put_keys(FILE *f, const struct access *a)
{
	put_type(f, "api_key_requests_total", "counter",
	    "Requests that were admitted with this API key.");
	for (size_t i = 0; i < a->n_keys; i++)
		put_labelled(f, "api_key_requests_total", "key",
		    a->keys[i]->key.name, a->keys[i]->requests);
	put_type(f, "api_key_refused_total", "counter",
	    "Requests over a limit of this API key.");
	for (size_t i = 0; i < a->n_keys; i++)
		put_labelled(f, "api_key_refused_total", "key",
		    a->keys[i]->key.name, a->keys[i]->refused);
}

static void
put_peers(FILE *f, const struct proxyd *d)
{
	static const char *const encryption[] = {
		[PEER_KEY_NONE] = "plain",
		[PEER_KEY_UNSIGNED] = "unsigned-key",
		[PEER_KEY_PROVEN] = "sealed",
	};
	uint64_t now = clock_unix_ms(), n[3] = { 0 }, connected = 0, hosts = 0;
	const uint8_t *key;

	for (size_t i = 0; i < d->peers.n; i++) {
		const struct peer *p = d->peers.at[i];

		if (!p->is_present)
			continue;
		n[peer_key_now(p, now, &key)]++;
		connected += p->connected;
		hosts += p->role == IPC__PEER_ROLE__PEER_HOST;
	}
	put_type(f, "peers", "gauge", "Nodes that are known, by encryption.");
	for (size_t i = 0; i < N_ELEMENTS(n); i++)
		put_labelled(f, "peers", "encryption", encryption[i], n[i]);
	put_one(f, "peers_connected", "gauge", "Nodes with a connection to us.",
	    connected);
	put_one(f, "hosts", "gauge", "Nodes that serve models.", hosts);
}

// Only where there is a verdict, on evidence that counts.
static void
put_evidence(FILE *f, const struct proxyd *d)
{
	uint64_t now = clock_unix_ms();

	put_type(f, "evidence_age_seconds", "gauge",
	    "Since the evidence of this node was made.");
	for (size_t i = 0; i < d->peers.n; i++) {
		const struct peer *p = d->peers.at[i];
		const struct peer_verdict *v = &p->verdict;
		char id[2 * ENDPOINT_ID_SHORT_LEN + 1];

		if (!p->is_present || !v->is_known || v->made_ms == 0 ||
		    v->made_ms > now)
			continue;
		hex_endpoint_id_short(p->id, id);
		(void)fprintf(f,
		    "meshllm_evidence_age_seconds{peer=\"%s\",level=\"%s\"} "
		    "%" PRIu64 "\n",
		    id, level_name(peer_level_now(p, v->inference_key, now)),
		    (now - v->made_ms) / 1000);
	}
}

static void
put_processes(FILE *f, const struct self *self)
{
	put_type(f, "process_resident_bytes", "gauge",
	    "Memory of each process, as the kernel says.");
	for (size_t i = 0; i < self->n_processes; i++)
		if (self->processes[i].rss_bytes != 0)
			put_labelled(f, "process_resident_bytes", "process",
			    self->processes[i].name,
			    self->processes[i].rss_bytes);
	put_type(f, "process_cpu_milliseconds_total", "counter",
	    "CPU time of each process.");
	for (size_t i = 0; i < self->n_processes; i++)
		if (self->processes[i].rss_bytes != 0)
			put_labelled(f, "process_cpu_milliseconds_total",
			    "process", self->processes[i].name,
			    self->processes[i].cpu_ms);
}

static void
put_all(FILE *f, const struct proxyd *d)
{
	const struct metrics *m = &d->metrics;

	put_type(f, "build_info", "gauge", "Always 1.");
	put_labelled(f, "build_info", "version", PACKAGE_VERSION, 1);
	put_requests(f, m);
	put_histogram(f, "time_to_first_byte_seconds",
	    "From the head of a request to the first byte of an answer.",
	    &m->first_byte, first_byte_buckets);
	put_histogram(f, "time_between_tokens_seconds",
	    "Between two sends of a stream, in the loop's ticks of some ms.",
	    &m->gap, gap_buckets);
	put_counters(f, d);
	put_backends(f, d);
	put_keys(f, &d->access);
	put_peers(f, d);
	put_evidence(f, d);
	put_processes(f, &d->self);
}

void
metrics_answer(struct request *req)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct failure failure;
	bool is_whole = false;

	if (f != NULL) {
		measure_refresh(req->d);
		put_all(f, req->d);
		is_whole = ferror(f) == 0;
		is_whole = fclose(f) == 0 && is_whole;
	}
	if (is_whole) {
		request_reply_as(
		    req, "text/plain; version=0.0.4; charset=utf-8", text, len);
	} else {
		failure_set(&failure, 500, "internal_error", "out of memory");
		request_fail(req, &failure);
	}
	free(text);
}
