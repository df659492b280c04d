// Asks a backend which models it has, again and again: that is its health.
// What it answers is parsed as the word of a stranger.
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "proxyd/backend.h"
#include "proxyd/proxyd.h"
#include "proxyd/upstream.h"

enum { PROBE_TIMEOUT_S = 5 };

struct probe {
	struct reap reap;
	struct backend *backend;   // borrowed
	struct backend_conn *conn; // owned while it runs
	struct upstream up;
	struct buf body;
	int status;
	char request[BACKEND_PREFIX_MAX + BACKEND_HOST_MAX + BACKEND_KEY_MAX +
	    128];
	size_t request_len;
	bool is_reused;
};

static int
compare_models(const void *a, const void *b)
{
	return strcmp(((const struct backend_model *)a)->name,
	    ((const struct backend_model *)b)->name);
}

static bool
name_is_sane(const char *name, size_t len)
{
	if (len == 0 || len > MODEL_NAME_MAX || strlen(name) != len)
		return false;
	for (; *name != '\0'; name++)
		if ((unsigned char)*name < 0x20 || *name == 0x7f)
			return false;
	return true;
}

// Names that vLLM ("max_model_len"), llama.cpp ("meta"."n_ctx", of what one
// request can have; "n_ctx_train" is what the model could) and others give
// the size of the context.
static uint32_t
context_of(const json_t *item)
{
	const json_t *meta = json_object_get(item, "meta");
	const json_t *n = json_object_get(item, "max_model_len");
	json_int_t value;

	if (!json_is_integer(n))
		n = json_object_get(item, "context_length");
	if (!json_is_integer(n))
		n = json_object_get(meta, "n_ctx");
	if (!json_is_integer(n))
		n = json_object_get(meta, "n_ctx_train");
	value = json_integer_value(n);
	return value > 0 && value <= UINT32_MAX ? (uint32_t)value : 0;
}

static size_t
unique_models(struct backend_model *models, size_t n)
{
	size_t kept = 0;

	if (n > 1)
		qsort(models, n, sizeof(*models), compare_models);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 ||
		    strcmp(models[kept - 1].name, models[i].name) != 0)
			models[kept++] = models[i];
	return kept;
}

static size_t
take_models(
    const json_t *data, struct backend_model *models, size_t *ret_refused)
{
	size_t n = 0, i;
	json_t *item;

	json_array_foreach(data, i, item)
	{
		const json_t *id = json_object_get(item, "id");
		const char *name = json_string_value(id);
		size_t len = json_string_length(id);

		if (name == NULL || !name_is_sane(name, len) ||
		    n == BACKEND_MODELS_MAX) {
			(*ret_refused)++;
			continue;
		}
		memcpy(models[n].name, name, len + 1);
		models[n].context_length = context_of(item);
		n++;
	}
	return unique_models(models, n);
}

int
backend_models_parse(const char *json, size_t len, struct backend_model **ret,
    size_t *ret_n, size_t *ret_refused)
{
	struct backend_model *models;
	json_error_t ignored;
	json_t *root = json_loadb(json, len, 0, &ignored);
	json_t *data = json_object_get(root, "data");
	int r = -EBADMSG;

	*ret_refused = 0;
	if (json_is_array(data)) {
		models = calloc(BACKEND_MODELS_MAX, sizeof(*models));
		r = models == NULL ? -ENOMEM : 0;
	}
	if (r == 0) {
		*ret_n = take_models(data, models, ret_refused);
		*ret = models;
	}
	json_decref(root);
	return r;
}

// ---- the end of a probe

static void
probe_free(struct reap *reap)
{
	struct probe *p =
	    (struct probe *)((char *)reap - offsetof(struct probe, reap));

	sodium_memzero(p, sizeof(*p)); // it may have a key
	free(p);
}

void
backend_probe_stop(struct backend *backend)
{
	struct probe *p = backend->probe;

	if (event_initialized(&backend->timer))
		(void)event_del(&backend->timer);
	if (p == NULL)
		return;
	backend->probe = NULL;
	if (p->conn != NULL)
		backend_conn_drop(p->conn);
	upstream_done(&p->up);
	buf_release(&p->body);
	reaper_take(&backend->d->reaper, &p->reap, probe_free);
}

static bool
models_differ(
    const struct backend *backend, const struct backend_model *models, size_t n)
{
	if (n != backend->n_models)
		return true;
	for (size_t i = 0; i < n; i++)
		if (strcmp(models[i].name, backend->models[i].name) != 0 ||
		    models[i].context_length !=
			backend->models[i].context_length)
			return true;
	return false;
}

static void
probe_succeeded(struct backend *backend, struct backend_model *models, size_t n,
    size_t refused)
{
	bool is_news = !backend->is_up || models_differ(backend, models, n);

	free(backend->models);
	backend->models = models;
	backend->n_models = n;
	if (!backend->is_up)
		breaker_hope(&backend->breaker);
	backend->is_up = true;
	backend->was_probed = true;
	backend->n_slow = 0;
	backend->error[0] = '\0';
	if (!is_news)
		return;
	LOG(LOG_INFO, "backend-up", F("backend", backend->text),
	    F("models", (uint64_t)n));
	if (refused > 0)
		LOG(LOG_WARNING, "models-not-announced",
		    F("backend", backend->text), F("count", (uint64_t)refused),
		    F("reason", "name too long, not printable, or too many"));
	proxyd_tell_self(backend->d);
}

static void
probe_failed(struct backend *backend, const char *why, bool is_slow)
{
	bool first = !backend->was_probed;

	backend->was_probed = true;
	// A server that is busy may answer late; it is not down for that.
	if (is_slow && backend->is_up && ++backend->n_slow < BACKEND_SLOW_MAX)
		return;
	backend->n_slow = 0;
	backend_failed(backend, why);
	if (first)
		LOG(LOG_WARNING, "backend-down", F("backend", backend->text),
		    F("reason", why));
}

static void
end_probe(struct probe *p, const char *why, bool is_slow)
{
	struct backend *backend = p->backend;
	struct backend_model *models = NULL;
	size_t n = 0, refused = 0;

	if (why == NULL && p->status == 401)
		why = "GET /v1/models: it wants another key (401)";
	if (why == NULL && p->status != 200)
		why = "GET /v1/models: not 200";
	if (why == NULL &&
	    backend_models_parse((const char *)buf_data(&p->body),
		buf_len(&p->body), &models, &n, &refused) < 0)
		why = "GET /v1/models: no list of models";
	backend_probe_stop(backend);
	if (why == NULL)
		probe_succeeded(backend, models, n, refused);
	else
		probe_failed(backend, why, is_slow);
	backend_probe_in(
	    backend, backend->is_up ? BACKEND_PROBE_S : BACKEND_PROBE_DOWN_S);
}

// ---- its connection

static int
on_head(void *arg, const struct http_response *response)
{
	((struct probe *)arg)->status = response->status;
	return 0;
}

static int
on_body(void *arg, const uint8_t *bytes, size_t n)
{
	return buf_append(&((struct probe *)arg)->body, bytes, n);
}

static int connect_probe(struct probe *, bool must_be_new);

static void
probe_ended(struct probe *p, int error)
{
	if (p->is_reused && !p->up.any) {
		backend_conn_drop(p->conn);
		p->conn = NULL;
		if (connect_probe(p, true) == 0)
			return;
	}
	if (error == 0 && upstream_end(&p->up) == 0)
		end_probe(p, NULL, false);
	else
		end_probe(p,
		    error == 0 ? "connection closed" : strerror(-error), false);
}

static void
on_readable(struct stream *s, void *arg)
{
	static const struct upstream_ops ops = { on_head, on_body };
	struct probe *p = arg;
	uint8_t *scratch = p->backend->d->scratch;
	ssize_t n = stream_recv(s, scratch, SCRATCH_BYTES);
	size_t used = 0;

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		probe_ended(p, (int)n);
		return;
	}
	if (upstream_feed(&p->up, scratch, (size_t)n, &ops, p, &used) < 0) {
		end_probe(p, "GET /v1/models: not proper HTTP", false);
	} else if (upstream_is_complete(&p->up)) {
		if (p->up.keep_alive && used == (size_t)n) {
			backend_conn_put(p->conn);
			p->conn = NULL;
		}
		end_probe(p, NULL, false);
	}
}

static void
on_writable(struct stream *s, void *arg)
{
	// Connected, or what was kept is sent.
	(void)s;
	(void)arg;
}

static void
on_failed(struct stream *s, void *arg, int error)
{
	(void)s;
	end_probe(arg, error == -ETIMEDOUT ? "timed out" : strerror(-error),
	    error == -ETIMEDOUT);
}

static int
connect_probe(struct probe *p, bool must_be_new)
{
	static const struct stream_ops ops = { on_readable, on_writable,
		on_failed };
	static const struct timeval timeout = { PROBE_TIMEOUT_S, 0 };
	int r;

	r = backend_conn_get(
	    p->backend, must_be_new, &ops, p, &p->conn, &p->is_reused);
	if (r < 0)
		return r;
	stream_read_start(&p->conn->stream,
	    event_base_init_common_timeout(p->backend->d->base, &timeout));
	r = stream_send(&p->conn->stream, p->request, p->request_len);
	// One that was kept may have broken, which shows when it is read.
	return r == -ENOMEM || !p->is_reused ? r : 0;
}

static void
start_probe(struct backend *backend)
{
	struct probe *p = calloc(1, sizeof(*p));
	int n, r;

	if (p == NULL) {
		backend_probe_in(backend, BACKEND_PROBE_S);
		return;
	}
	p->backend = backend;
	backend->probe = p;
	upstream_init(&p->up);
	buf_init(&p->body, BACKEND_PROBE_BYTES_MAX);
	n = snprintf(p->request, sizeof(p->request),
	    "GET %s/v1/models HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n"
	    "%s%s%s\r\n",
	    backend->url.prefix, backend->url.host,
	    backend->key == NULL ? "" : "Authorization: Bearer ",
	    backend->key == NULL ? "" : backend->key,
	    backend->key == NULL ? "" : "\r\n");
	p->request_len = (size_t)n; // fits: both parts are limited
	if ((r = connect_probe(p, false)) < 0)
		end_probe(p, strerror(-r), false);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct backend *backend = arg;

	(void)fd;
	(void)what;
	if (backend->probe == NULL && !backend->d->is_stopping)
		start_probe(backend);
}

void
backend_probe_in(struct backend *backend, unsigned seconds)
{
	struct timeval tv = { .tv_sec = seconds };

	(void)evtimer_add(&backend->timer, &tv);
}

void
backend_probe_start(struct backend *backend)
{
	(void)evtimer_assign(
	    &backend->timer, backend->d->base, on_timer, backend);
	start_probe(backend);
}
