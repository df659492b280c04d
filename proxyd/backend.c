// The inference servers and the connections to them.  A kept-alive connection
// is watched while it is idle, so that one that the server closed is not given
// out if that can be known.
#include "proxyd/backend.h"

#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "proxyd/proxyd.h"

// ---- connections

static void
conn_free(struct reap *reap)
{
	free((char *)reap - offsetof(struct backend_conn, reap));
}

void
backend_conn_drop(struct backend_conn *conn)
{
	struct backend *backend = conn->backend;

	if (conn->is_idle) {
		TAILQ_REMOVE(&backend->idle, conn, entry);
		backend->n_idle--;
		conn->is_idle = false;
	}
	stream_close(&conn->stream);
	reaper_take(&backend->d->reaper, &conn->reap, conn_free);
}

// Bytes, an end or silence on an idle connection: it is of no more use.
static void
idle_readable(struct stream *s, void *arg)
{
	(void)s;
	backend_conn_drop(arg);
}

static void
idle_writable(struct stream *s, void *arg)
{
	(void)s;
	(void)arg;
}

static void
idle_failed(struct stream *s, void *arg, int error)
{
	(void)s;
	(void)error;
	backend_conn_drop(arg);
}

static const struct stream_ops idle_ops = { idle_readable, idle_writable,
	idle_failed };

void
backend_conn_put(struct backend_conn *conn)
{
	struct backend *backend = conn->backend;

	if (backend->n_idle >= BACKEND_IDLE_MAX || backend->d->is_stopping ||
	    backend->is_retired) {
		backend_conn_drop(conn);
		return;
	}
	conn->stream.ops = &idle_ops;
	conn->stream.arg = conn;
	conn->is_idle = true;
	TAILQ_INSERT_HEAD(&backend->idle, conn, entry);
	backend->n_idle++;
	// Stays registered with epoll: only the timer changes.
	stream_read_start(&conn->stream, backend->idle_timeout);
}

static int
conn_new(struct backend *backend, const struct stream_ops *ops, void *arg,
    struct backend_conn **ret)
{
	struct backend_conn *conn;
	const struct backend_url *url = &backend->url;
	AUTO_FD fd = -1;
	int one = 1;

	fd = socket(
	    url->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -errno;
	if (url->sa.sa_family != AF_UNIX)
		(void)setsockopt(
		    fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, &url->sa, url->len) == -1 && errno != EINPROGRESS)
		return -errno;
	if ((conn = calloc(1, sizeof(*conn))) == NULL)
		return -ENOMEM;
	conn->backend = backend;
	stream_init(&conn->stream, backend->d->base, take_fd(&fd), ops, arg);
	*ret = conn;
	return 0;
}

int
backend_conn_get(struct backend *backend, bool must_be_new,
    const struct stream_ops *ops, void *arg, struct backend_conn **ret,
    bool *ret_reused)
{
	struct backend_conn *conn = TAILQ_FIRST(&backend->idle);

	if (backend->is_retired)
		return -ENOENT;
	*ret_reused = conn != NULL && !must_be_new;
	if (!*ret_reused)
		return conn_new(backend, ops, arg, ret);
	TAILQ_REMOVE(&backend->idle, conn, entry);
	backend->n_idle--;
	conn->is_idle = false;
	conn->stream.ops = ops;
	conn->stream.arg = arg;
	*ret = conn;
	return 0;
}

// ---- the table

static void
drop_key(struct backend *backend)
{
	if (backend->key != NULL)
		sodium_memzero(backend->key, BACKEND_KEY_MAX + 1);
	free(backend->key);
	backend->key = NULL;
}

int
backend_set_key(struct backend *backend, const char *bytes, size_t n)
{
	char *key = NULL;

	if (n > 0) {
		key = calloc(1, BACKEND_KEY_MAX + 1);
		if (key == NULL)
			return -ENOMEM;
		if (backend_key_parse(bytes, n, key) < 0) {
			free(key);
			return -EINVAL;
		}
	}
	drop_key(backend);
	backend->key = key;
	return 0;
}

static int
load_key(struct backend *backend, char error[static CONFIG_ERROR_MAX])
{
	const char *path = backend->spec.key_file, *why;
	char *bytes = NULL;
	size_t n = 0;
	int r;

	r = file_read(path, FILE_SECRET, BACKEND_KEY_FILE_MAX, &bytes, &n);
	why = r == -EPERM ? "others than its owner and group can read it"
	    : r < 0	  ? strerror(-r)
			  : "is not one key";
	if (r == 0)
		r = n == 0 ? -EINVAL : backend_set_key(backend, bytes, n);
	if (bytes != NULL)
		sodium_memzero(bytes, n);
	free(bytes);
	if (r < 0)
		(void)snprintf(error, CONFIG_ERROR_MAX,
		    "--backend %.128s: key-file %.200s: %s", backend->text,
		    path, why);
	return r;
}

static int
backend_init(struct backend *backend, struct proxyd *d, const char *text,
    char error[static CONFIG_ERROR_MAX])
{
	static const struct timeval idle = { BACKEND_IDLE_S, 0 };

	const char *wrong = backend_spec_check(text);

	backend->d = d;
	TAILQ_INIT(&backend->idle);
	(void)snprintf(backend->error, sizeof(backend->error), "not asked yet");
	if (wrong != NULL || backend_spec_parse(text, &backend->spec) < 0) {
		(void)snprintf(error, CONFIG_ERROR_MAX, "--backend %.200s: %s",
		    text, wrong);
		return -EINVAL;
	}
	backend->text = backend->spec.text;
	backend->url = backend->spec.url;
	backend->idle_timeout = event_base_init_common_timeout(d->base, &idle);
	if (!backend->url.is_local)
		LOG(LOG_WARNING, "backend-not-local",
		    F("backend", backend->text));
	return 0;
}

int
backends_init(struct proxyd *d, const struct option_list *list,
    char error[static CONFIG_ERROR_MAX])
{
	struct backends *backends = &d->backends;
	int r = 0;

	for (size_t i = 0; i < list->n && r == 0; i++) {
		struct backend *backend = &backends->at[i];

		r = backend_init(backend, d, list->values[i], error);
		if (r == 0 && backend->spec.key_file[0] != '\0')
			r = load_key(backend, error);
		backends->n++;
	}
	return r;
}

struct backend *
backend_find(struct backends *backends, const struct backend_spec *spec)
{
	for (size_t i = 0; i < backends->n; i++) {
		struct backend *backend = &backends->at[i];

		if (strcmp(spec->text, backend->spec.text) == 0 &&
		    strcmp(spec->url.prefix, backend->url.prefix) == 0)
			return backend;
	}
	return NULL;
}

int
backend_add(struct proxyd *d, const char *text, struct backend **ret,
    char error[static CONFIG_ERROR_MAX])
{
	struct backends *backends = &d->backends;
	int r;

	if (backends->n == BACKENDS_EVER_MAX)
		return -E2BIG;
	r = backend_init(&backends->at[backends->n], d, text, error);
	if (r < 0)
		return r;
	*ret = &backends->at[backends->n++];
	return 0;
}

size_t
backends_count(const struct backends *backends)
{
	size_t n = 0;

	for (size_t i = 0; i < backends->n; i++)
		n += !backends->at[i].is_retired;
	return n;
}

void
backend_retire(struct backend *backend)
{
	struct backend_conn *conn;

	backend->is_retired = true;
	backend->is_up = backend->was_probed = false;
	(void)snprintf(backend->error, sizeof(backend->error), "taken away");
	backend_probe_stop(backend);
	while ((conn = TAILQ_FIRST(&backend->idle)) != NULL)
		backend_conn_drop(conn);
	free(backend->models);
	backend->models = NULL;
	backend->n_models = 0;
	drop_key(backend);
	LOG(LOG_INFO, "backend-down", F("backend", backend->text),
	    F("reason", (const char *)backend->error));
}

void
backends_start(struct backends *backends)
{
	for (size_t i = 0; i < backends->n; i++)
		backend_probe_start(&backends->at[i]);
}

void
backends_done(struct backends *backends)
{
	for (size_t i = 0; i < backends->n; i++) {
		struct backend *backend = &backends->at[i];
		struct backend_conn *conn;

		backend_probe_stop(backend);
		drop_key(backend);
		while ((conn = TAILQ_FIRST(&backend->idle)) != NULL)
			backend_conn_drop(conn);
		free(backend->models);
		backend->models = NULL;
		backend->n_models = 0;
	}
}

static int
by_name(const void *name, const void *model)
{
	return strcmp(name, ((const struct backend_model *)model)->name);
}

static const struct backend_model *
find_model(const struct backend *backend, const char *model)
{
	if (backend->n_models == 0)
		return NULL;
	return bsearch(model, backend->models, backend->n_models,
	    sizeof(backend->models[0]), by_name);
}

bool
backend_has_model(const struct backend *backend, const char *model)
{
	return find_model(backend, model) != NULL;
}

uint32_t
backend_context_length(const struct backend *backend, const char *model)
{
	const struct backend_model *found = find_model(backend, model);

	return found == NULL ? 0 : found->context_length;
}

void
backend_failed(struct backend *backend, const char *why)
{
	bool was_up = backend->is_up;

	if (backend->is_retired)
		return;
	(void)snprintf(backend->error, sizeof(backend->error), "%s", why);
	backend->is_up = false;
	if (was_up) {
		LOG(LOG_WARNING, "backend-down", F("backend", backend->text),
		    F("reason", (const char *)backend->error));
		proxyd_tell_self(backend->d);
	}
	if (backend->probe == NULL)
		backend_probe_in(backend, BACKEND_PROBE_DOWN_S);
}

void
backend_suspect(struct backend *backend)
{
	if (backend->probe == NULL && !backend->d->is_stopping &&
	    !backend->is_retired)
		backend_probe_in(backend, 0);
}
