// The configuration is read again, all of it, and what proxyd can use without a
// new start is handed to it with the files that it names, since no daemon opens
// a file once it runs: by the parent on SIGHUP, or by `meshllm reload`.  What
// is wrong changes nothing.
#include "ctl/reload.h"

#include <sodium.h>
#include <string.h>

#include "common/api_keys.h"
#include "common/file.h"
#include "common/log.h"
#include "common/log_level.h"
#include "common/words.h"
#include "ctl/suite.h"
#include "proxyd/client.h"

static int
refuse(const char *what, const char *why)
{
	LOG(LOG_ERROR, "reload-refused", F("what", what), F("error", why));
	return -EINVAL;
}

static int
send_file(struct ipc_peer *proxyd, const char *path, enum file_kind kind)
{
	char *bytes;
	size_t len;
	int r;

	r = file_read(path, kind, API_KEYS_FILE_MAX, &bytes, &len);
	if (r == -EPERM)
		return refuse(path,
		    kind == FILE_SECRET
			? "others than its owner and group can read it"
			: "others than its owner can write it");
	if (r < 0)
		return refuse(path, strerrordesc_np(-r));
	r = proxyd_reload_file_send(proxyd, path, bytes, len);
	sodium_memzero(bytes, len);
	free(bytes);
	return r < 0 ? refuse(path, strerrordesc_np(-r)) : 0;
}

// The file with the key of a backend, if it has one.
static int
send_backend_key(struct ipc_peer *proxyd, const char *backend)
{
	struct words words;
	const char *path;
	int r;

	if ((r = words_parse(backend, &words)) < 0)
		return refuse(backend, strerrordesc_np(-r));
	path = words_find(&words, "key-file");
	r = path == NULL ? 0 : send_file(proxyd, path, FILE_SECRET);
	words_done(&words);
	return r;
}

int
reload_hand_over(struct ipc_peer *proxyd, const struct run_options *o,
    ipc_reply_fn *fn, void *arg)
{
	struct arguments arguments;
	int r;

	r = run_options_arguments(o, &daemons[PROXYD], &arguments);
	if (r < 0)
		return refuse("options", strerrordesc_np(-r));
	if (o->api_keys != NULL)
		r = send_file(proxyd, o->api_keys, FILE_TRUSTED);
	for (size_t i = 0; i < o->backend.n && r == 0; i++)
		r = send_backend_key(proxyd, o->backend.values[i]);
	if (r == 0) {
		r = proxyd_reload_send(
		    proxyd, arguments.argv, arguments.n, fn, arg);
		if (r < 0)
			(void)refuse("options", strerrordesc_np(-r));
	}
	arguments_done(&arguments);
	return r;
}

int
reload_read(struct run_options *ret, int argc, char *const argv[],
    enum log_level *ret_level)
{
	enum log_level before = log_get_level();
	char error[512] = "--help is for the start";
	int r;

	// What the file does not say is as at the start.
	log_set_level(LOG_INFO);
	r = run_options_read(ret, argc, argv, error, sizeof(error));
	*ret_level = log_get_level();
	log_set_level(before);
	return r == 0 ? 0 : refuse("configuration", error);
}

bool
reload_is_done(int status, const ProtobufCMessage *msg)
{
	if (status < 0)
		(void)refuse("proxyd", strerrordesc_np(-status));
	// proxyd has logged it.
	return status == 0 && ((const Ipc__ReloadReply *)msg)->error == NULL;
}

// ---- of a whole suite

struct reloading {
	struct suite *suite; // borrowed
	struct run_options options;
	enum log_level level;
};

static bool
arguments_differ(const struct arguments *a, const struct arguments *b)
{
	if (a->n != b->n)
		return true;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->argv[i], b->argv[i]) != 0)
			return true;
	return false;
}

// proxyd says it of its own options.
static void
say_what_stays(const struct suite *s, const struct run_options *o)
{
	struct run_options same_level = *o; // shares all that it points to
	struct arguments was, is;

	same_level.log_level = s->options->log_level;

	for (enum daemon_index d = 0; d < N_DAEMONS; d++) {
		if (d == PROXYD ||
		    run_options_arguments(s->options, &daemons[d], &was) < 0)
			continue;
		if (run_options_arguments(&same_level, &daemons[d], &is) == 0) {
			if (arguments_differ(&was, &is))
				LOG(LOG_WARNING, "reload-needs-restart",
				    F("daemon", daemons[d].name));
			arguments_done(&is);
		}
		arguments_done(&was);
	}
}

static void
send_level(struct suite *s, enum log_level level)
{
	log_set_level(level);
	for (enum daemon_index d = 0; d < N_DAEMONS; d++) {
		struct ipc_peer *peer = s->children[d].peer;

		// proxyd has it with its options.
		if (d == PROXYD || peer == NULL)
			continue;
		if (log_level_send(peer, level) < 0)
			LOG(LOG_WARNING, "reload-needs-restart",
			    F("daemon", daemons[d].name));
	}
}

static void
reloading_free(struct reloading *l)
{
	run_options_done(&l->options);
	free(l);
}

// proxyd first: it is the one that can still refuse.
static void
on_reloaded(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct reloading *l = arg;

	(void)frame;
	if (!l->suite->is_stopping && reload_is_done(status, msg)) {
		send_level(l->suite, l->level);
		say_what_stays(l->suite, &l->options);
	}
	reloading_free(l);
}

void
suite_reload(struct suite *s)
{
	struct ipc_peer *proxyd = s->children[PROXYD].peer;
	struct reloading *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		(void)refuse("configuration", strerrordesc_np(ENOMEM));
		return;
	}
	l->suite = s;
	if (reload_read(&l->options, s->argc, s->argv, &l->level) < 0 ||
	    proxyd == NULL ||
	    reload_hand_over(proxyd, &l->options, on_reloaded, l) < 0)
		reloading_free(l);
}
