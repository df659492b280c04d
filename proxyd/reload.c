// Takes a changed configuration: checks all of it as at the start, then uses
// what can be used without a new start, and says what cannot.  Files come in
// messages, since proxyd opens none once it runs.  The parent, or without one
// `meshllm reload`, is believed, the configuration is not: what is wrong
// changes nothing.
#include "proxyd/reload.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "proxyd/queue.h"

struct reload_file {
	char *path; // owned
	struct buf bytes;
	bool is_complete;
};

struct reload {
	struct reload_file files[RELOAD_FILES_MAX];
	size_t n;
};

void
reload_drop(struct proxyd *d)
{
	struct reload *reload = d->reload;

	if (reload == NULL)
		return;
	for (size_t i = 0; i < reload->n; i++) {
		free(reload->files[i].path);
		buf_release(&reload->files[i].bytes);
	}
	free(reload);
	d->reload = NULL;
}

static void
free_config(struct proxyd_config *config)
{
	if (config != NULL)
		config_done(config);
	free(config);
}

void
reload_done(struct proxyd *d)
{
	reload_drop(d);
	free_config(d->reloaded);
	d->reloaded = NULL;
}

// The file that is being sent, or a new one.
static struct reload_file *
find_or_add(struct reload *reload, const char *path)
{
	struct reload_file *file;

	if (reload->n > 0 && !reload->files[reload->n - 1].is_complete) {
		file = &reload->files[reload->n - 1];
		return strcmp(file->path, path) == 0 ? file : NULL;
	}
	if (reload->n == RELOAD_FILES_MAX)
		return NULL;
	file = &reload->files[reload->n];
	if ((file->path = strdup(path)) == NULL)
		return NULL;
	buf_init(&file->bytes, API_KEYS_FILE_MAX);
	reload->n++;
	return file;
}

int
handle_reload_file(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__ReloadFile *in = (const Ipc__ReloadFile *)msg;
	struct proxyd *d = ipc_peer_daemon(peer);
	struct reload_file *file;

	(void)frame;
	if (d->reload == NULL &&
	    (d->reload = calloc(1, sizeof(*d->reload))) == NULL)
		return -ENOMEM;
	if ((file = find_or_add(d->reload, in->path)) == NULL ||
	    buf_append(&file->bytes, in->part.data, in->part.len) < 0)
		return -EBADMSG;
	file->is_complete = in->final;
	return 0;
}

static const struct reload_file *
find_file(const struct reload *reload, const char *path)
{
	for (size_t i = 0; reload != NULL && i < reload->n; i++)
		if (reload->files[i].is_complete &&
		    strcmp(reload->files[i].path, path) == 0)
			return &reload->files[i];
	return NULL;
}

// ---- what changes

static int
take_keys(struct proxyd *d, const struct proxyd_config *config,
    char error[static CONFIG_ERROR_MAX])
{
	const struct reload_file *file;
	struct access fresh = { .wants_key = false };
	char why[256] = "was not handed over";
	bool is_local = d->api.is_unix || address_is_loopback(&d->api.address);
	int r = -ENOENT;

	if (config->api_keys == NULL && is_local) {
		access_done(&d->access);
		d->access.wants_key = false;
		return 0;
	}
	if (config->api_keys == NULL) {
		(void)snprintf(error, CONFIG_ERROR_MAX,
		    "--api-keys is needed while --api is not loopback");
		return -EINVAL;
	}
	file = find_file(d->reload, config->api_keys);
	// Twice: first whether it is good, and has a key where one must be.
	if (file != NULL)
		r = access_take_keys(&fresh, (char *)buf_data(&file->bytes),
		    buf_len(&file->bytes), clock_mono_ms(), why, sizeof(why));
	if (r == 0 && !is_local && fresh.n_keys == 0) {
		(void)snprintf(
		    why, sizeof(why), "has no key, and --api is not loopback");
		r = -EINVAL;
	}
	access_done(&fresh);
	if (r == 0)
		r = access_take_keys(&d->access, (char *)buf_data(&file->bytes),
		    buf_len(&file->bytes), clock_mono_ms(), why, sizeof(why));
	if (r < 0)
		(void)snprintf(error, CONFIG_ERROR_MAX, "--api-keys %.200s: %s",
		    config->api_keys, why);
	return r;
}

static bool
is_kept_for_later(const struct option_list *list, uint16_t port)
{
	struct backend_ports ports;

	for (size_t i = 0; i < list->n; i++)
		if (backend_ports_parse(list->values[i], &ports) == 0 &&
		    port >= ports.first && port <= ports.last)
			return true;
	return false;
}

// The sandbox allows TCP to the ports that were configured at the start; those
// of backends that came since are among them.
static bool
may_be_reached(const struct proxyd *d, const struct backend_spec *spec)
{
	const struct backend_url *url = &spec->url, *other;

	if (url->sa.sa_family == AF_UNIX ||
	    (d->measure.bits & MEASURE_LANDLOCK) == 0)
		return true;
	for (size_t i = 0; i < d->backends.n; i++) {
		other = &d->backends.at[i].url;
		// The port is at the same place in both.
		if (other->sa.sa_family != AF_UNIX &&
		    other->in.sin_port == url->in.sin_port)
			return true;
	}
	return is_kept_for_later(
	    &d->config->backend_ports, ntohs(url->in.sin_port));
}

// -ENOENT: there is no such file; else whether it is one key.
static int
find_backend_key(const struct proxyd *d, const struct backend_spec *spec,
    const char **ret, size_t *ret_n)
{
	const struct reload_file *file = find_file(d->reload, spec->key_file);
	char key[BACKEND_KEY_MAX + 1];
	int r;

	*ret = NULL;
	*ret_n = 0;
	if (spec->key_file[0] == '\0')
		return 0;
	if (file == NULL)
		return -ENOENT;
	*ret = (const char *)buf_data(&file->bytes);
	*ret_n = buf_len(&file->bytes);
	r = backend_key_parse(*ret, *ret_n, key);
	sodium_memzero(key, sizeof(key));
	return r;
}

static int
check_backend(struct proxyd *d, const struct backend_spec *spec, size_t *n_new,
    char error[static CONFIG_ERROR_MAX])
{
	const char *key, *wrong = NULL;
	size_t key_len;

	if (find_backend_key(d, spec, &key, &key_len) < 0) {
		(void)snprintf(error, CONFIG_ERROR_MAX,
		    "--backend %.128s: key-file %.200s is not one key",
		    spec->text, spec->key_file);
		return -EINVAL;
	}
	if (backend_find(&d->backends, spec) != NULL)
		return 0;
	if (!may_be_reached(d, spec))
		wrong = "its port is none that --backend or --backend-port had "
			"at the start, and the sandbox allows no other "
			"(--backend-port keeps ports for later)";
	else if (d->backends.n + ++*n_new > BACKENDS_EVER_MAX)
		wrong = "there were too many since the start";
	if (wrong == NULL)
		return 0;
	(void)snprintf(error, CONFIG_ERROR_MAX,
	    "--backend %.128s: %s: it needs a restart of proxyd", spec->text,
	    wrong);
	return -EPERM;
}

static int
check_backends(struct proxyd *d, const struct proxyd_config *config,
    char error[static CONFIG_ERROR_MAX])
{
	struct backend_spec spec;
	size_t n_new = 0;
	int r = 0;

	for (size_t i = 0; i < config->backends.n && r == 0; i++) {
		if (backend_spec_parse(config->backends.values[i], &spec) < 0)
			return -EINVAL; // was parsed before
		r = check_backend(d, &spec, &n_new, error);
	}
	return r;
}

static bool
is_wanted(const struct backend *backend, const struct proxyd_config *config)
{
	struct backend_spec spec;

	for (size_t i = 0; i < config->backends.n; i++)
		if (backend_spec_parse(config->backends.values[i], &spec) ==
			0 &&
		    strcmp(spec.text, backend->spec.text) == 0 &&
		    strcmp(spec.url.prefix, backend->url.prefix) == 0)
			return true;
	return false;
}

static int
take_backend(
    struct proxyd *d, const char *text, char error[static CONFIG_ERROR_MAX])
{
	struct backend_spec spec;
	struct backend *backend;
	const char *key;
	size_t n;
	bool is_new;
	int r = backend_spec_parse(text, &spec);

	if (r < 0)
		return r;
	backend = backend_find(&d->backends, &spec);
	is_new = backend == NULL || backend->is_retired;
	if (backend == NULL)
		r = backend_add(d, text, &backend, error);
	if (r == 0)
		r = find_backend_key(d, &spec, &key, &n);
	if (r == 0)
		r = backend_set_key(backend, key, n);
	if (r < 0)
		return r;
	backend->spec = spec;
	backend->is_retired = false;
	if (is_new)
		backend_probe_start(backend);
	return 0;
}

// All of it was checked: what fails now is want of memory.
static int
take_backends(struct proxyd *d, const struct proxyd_config *config,
    char error[static CONFIG_ERROR_MAX])
{
	bool is_less = false;
	int r = 0;

	for (size_t i = 0; i < d->backends.n; i++)
		if (!d->backends.at[i].is_retired &&
		    !is_wanted(&d->backends.at[i], config)) {
			backend_retire(&d->backends.at[i]);
			is_less = true;
		}
	for (size_t i = 0; i < config->backends.n && r == 0; i++)
		r = take_backend(d, config->backends.values[i], error);
	if (is_less) {
		// The mesh shall know at once.
		proxyd_tell_self(d);
		queue_wake(d);
	}
	return r;
}

static bool
texts_differ(const char *a, const char *b)
{
	return (a == NULL) != (b == NULL) || (a != NULL && strcmp(a, b) != 0);
}

static bool
lists_differ(const struct option_list *a, const struct option_list *b)
{
	if (a->n != b->n)
		return true;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->values[i], b->values[i]) != 0)
			return true;
	return false;
}

static void
say_needs_restart(bool differs, const char *option)
{
	if (differs)
		LOG(LOG_WARNING, "reload-needs-restart", F("option", option));
}

// Compared with how we were started, for that is what they still are.
static void
say_what_stays(const struct proxyd_config *was, const struct proxyd_config *is)
{
	say_needs_restart(texts_differ(was->api, is->api), "api");
	say_needs_restart(
	    texts_differ(was->api_socket_mode, is->api_socket_mode),
	    "api-socket-mode");
	say_needs_restart(
	    texts_differ(was->api_socket_group, is->api_socket_group),
	    "api-socket-group");
	say_needs_restart(
	    texts_differ(was->management, is->management), "management");
	say_needs_restart(lists_differ(&was->backend_ports, &is->backend_ports),
	    "backend-port");
	say_needs_restart(
	    lists_differ(&was->only_hosts, &is->only_hosts), "only-host");
	say_needs_restart(
	    was->answer_seconds != is->answer_seconds, "answer-seconds");
	say_needs_restart(was->plaintext_allowed != is->plaintext_allowed,
	    "allow-plaintext-peers");
	say_needs_restart(was->unsigned_allowed != is->unsigned_allowed,
	    "allow-unsigned-keys");
	say_needs_restart(
	    was->is_attested_required != is->is_attested_required ||
		was->required_level != is->required_level,
	    "require-attested-hosts");
}

// Whatever the level is.
static void
say_reloaded(const struct proxyd *d, const struct proxyd_config *config)
{
	enum log_level level = log_get_level();

	log_set_level(LOG_INFO);
	LOG(LOG_INFO, "reloaded", F("keys", (uint64_t)d->access.n_keys),
	    F("hosts", (uint64_t)config->allow_hosts.n),
	    F("origins", (uint64_t)config->allow_origins.n),
	    F("log_level", log_level_name(level)));
	log_set_level(level);
}

static int
apply(struct proxyd *d, struct proxyd_config *config,
    char error[static CONFIG_ERROR_MAX])
{
	int r = check_backends(d, config, error);

	if (r == 0)
		r = take_keys(d, config, error);
	if (r == 0)
		r = take_backends(d, config, error);
	if (r < 0)
		return r;
	if (config->log_level == NULL)
		log_set_level(LOG_INFO);
	d->access.hosts = &config->allow_hosts;
	d->access.origins = &config->allow_origins;
	d->limits = config->limits;
	queue_wake(d);
	free_config(d->reloaded);
	d->reloaded = config;
	say_what_stays(d->config, config);
	say_reloaded(d, config);
	service_level_changed(d->service);
	return 0;
}

static int
read_config(const Ipc__Reload *in, struct proxyd_config *ret,
    char error[static CONFIG_ERROR_MAX])
{
	char *argv[RELOAD_ARGUMENTS_MAX + 1];

	(void)snprintf(error, CONFIG_ERROR_MAX, "too many options");
	if (in->n_arguments == 0 || in->n_arguments > RELOAD_ARGUMENTS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < in->n_arguments; i++)
		argv[i] = in->arguments[i];
	argv[in->n_arguments] = NULL;
	return config_read_again(ret, (int)in->n_arguments, argv, error);
}

int
handle_reload(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct proxyd *d = ipc_peer_daemon(peer);
	struct proxyd_config *config = calloc(1, sizeof(*config));
	Ipc__ReloadReply reply = IPC__RELOAD_REPLY__INIT;
	enum log_level level = log_get_level();
	char error[CONFIG_ERROR_MAX] = "out of memory";
	int r = -ENOMEM;

	if (config != NULL)
		r = read_config((const Ipc__Reload *)msg, config, error);
	if (r == 0)
		r = apply(d, config, error);
	if (r < 0) {
		log_set_level(level);
		LOG(LOG_ERROR, "reload-refused",
		    F("error", (const char *)error));
		free_config(config);
		reply.error = error;
	}
	reload_drop(d);
	// Who has left does not want to know.
	(void)!ipc_reply(peer, frame, IPC__TYPE__IPC_RELOAD_REPLY, &reply.base);
	return 0;
}
