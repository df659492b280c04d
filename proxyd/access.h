// Who may ask on the listeners: API keys with their limits, names in Host,
// origins of web pages.
#ifndef PROXYD_ACCESS_H
#define PROXYD_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api_keys.h"
#include "common/cleanup.h"
#include "common/options.h"
#include "common/slice.h"
#include "proxyd/http_head.h"

// One key and what is done with it.  It outlives the table while a request
// holds it.
struct access_key {
	struct api_key key;
	unsigned refs;
	unsigned in_flight;
	uint64_t level; // of its bucket, in ACCESS_TOKEN-ths of a request
	uint64_t level_ms;
	uint64_t requests; // admitted
	uint64_t refused;  // over a limit
};

struct access {
	bool wants_key; // an API key file is configured
	struct access_key **keys;
	size_t n_keys;
	const struct option_list *hosts;   // borrowed from the configuration
	const struct option_list *origins; // borrowed
};

// Read the keys of a file.  A key that was there before keeps its counts.  On
// failure nothing changes, and error says why.
MUST_CHECK int access_load_keys(
    struct access *, const char *path, char *error, size_t error_len);
MUST_CHECK int access_take_keys(struct access *, const char *text, size_t len,
    uint64_t now_ms, char *error, size_t error_len);
void access_done(struct access *);

// The key that the request presents, or NULL.  Takes the same time for every
// key; what is compared is hashes.
struct access_key *access_find_key(
    const struct access *, const struct http_fields *);
struct access_key *access_key_take(struct access_key *); // may be NULL
void access_key_put(struct access_key *);		 // may be NULL
// One more request with this key.  -EBUSY: too many in flight.  -EAGAIN: too
// many in this time; *ret_wait_s says when to try again.
MUST_CHECK int access_key_begin(
    struct access_key *, uint64_t now_ms, unsigned *ret_wait_s);
void access_key_end(struct access_key *);

bool access_has_host(const struct access *, const char *host);
// The configured text of that origin, or NULL.
const char *access_find_origin(const struct access *, struct slice origin);

#endif
