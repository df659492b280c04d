// The inference servers of this machine: which models they have, whether they
// are up, and connections to them.
#ifndef PROXYD_BACKEND_H
#define PROXYD_BACKEND_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/address.h"
#include "common/backend_url.h"
#include "common/cleanup.h"
#include "common/sizes.h"
#include "proxyd/breaker.h"
#include "proxyd/config.h"
#include "proxyd/reap.h"
#include "proxyd/stream.h"

enum {
	BACKEND_ERROR_MAX = 128,
	BACKEND_MODELS_MAX = PEER_MODELS_MAX,
	BACKEND_IDLE_MAX = 128, // kept-alive connections without work
	BACKEND_IDLE_S = 30,
	BACKEND_PROBE_S = 10,
	BACKEND_PROBE_DOWN_S = 2,
	BACKEND_PROBE_BYTES_MAX = 1024 * 1024,
	BACKEND_SLOW_MAX = 3, // probes in a row that may time out
};

struct proxyd;
struct probe;

struct backend_model {
	char name[MODEL_NAME_MAX + 1];
	uint32_t context_length; // 0: not told
};

struct backend_conn {
	struct reap reap;
	struct stream stream;
	struct backend *backend; // borrowed
	bool is_idle;
	TAILQ_ENTRY(backend_conn) entry; // of the idle ones
};

struct backend {
	struct proxyd *d; // borrowed
	const char *text; // its URL: of spec
	struct backend_url url;
	struct backend_spec spec;
	char *key; // owned, wiped; NULL: it wants none
	// Taken away by a reload: gets no request.  Its place is never given to
	// another, as requests may still name it.
	bool is_retired;
	bool is_up;
	bool was_probed;	       // at least one probe has ended
	char error[BACKEND_ERROR_MAX]; // why it is down
	struct backend_model *models;  // owned, sorted; kept while down
	size_t n_models;
	unsigned in_flight;
	struct breaker breaker;
	unsigned n_slow;
	TAILQ_HEAD(, backend_conn) idle; // most recently used first
	size_t n_idle;
	const struct timeval *idle_timeout;
	struct event timer;  // of the next probe
	struct probe *probe; // owned; NULL: none under way
};

struct backends {
	struct backend at[BACKENDS_EVER_MAX];
	size_t n;
};

MUST_CHECK int backends_init(struct proxyd *, const struct option_list *,
    char error[static CONFIG_ERROR_MAX]);
// That of this URL and prefix, retired or not; NULL: none.
struct backend *backend_find(struct backends *, const struct backend_spec *);
// A further one, without a key and not probed yet.
MUST_CHECK int backend_add(struct proxyd *, const char *text,
    struct backend **ret, char error[static CONFIG_ERROR_MAX]);
// What runs there goes on, and nothing follows.
void backend_retire(struct backend *);
size_t backends_count(const struct backends *); // those not retired
// From now on it is asked with the key in these bytes of its file; n 0: none.
MUST_CHECK int backend_set_key(struct backend *, const char *bytes, size_t n);
void backends_start(struct backends *); // probing
void backends_done(struct backends *);
bool backend_has_model(const struct backend *, const char *model);
// 0: not told.
uint32_t backend_context_length(const struct backend *, const char *model);

// An idle connection, or a new one (maybe still connecting).
MUST_CHECK int backend_conn_get(struct backend *, bool must_be_new,
    const struct stream_ops *, void *arg, struct backend_conn **ret,
    bool *ret_reused);
// Its answer is complete, another request may follow.
void backend_conn_put(struct backend_conn *);
void backend_conn_drop(struct backend_conn *);
// A request could not reach it: down until a probe succeeds.
void backend_failed(struct backend *, const char *why);
// A request failed in a way that may mean it is down: ask now.
void backend_suspect(struct backend *);

// ---- probing (backend_probe.c)

void backend_probe_start(struct backend *);
void backend_probe_stop(struct backend *);
void backend_probe_in(struct backend *, unsigned seconds);
// {"data":[{"id":...}]} -> models, sorted; the caller frees.  -EBADMSG.
MUST_CHECK int backend_models_parse(const char *json, size_t len,
    struct backend_model **ret, size_t *ret_n, size_t *ret_refused);

#endif
