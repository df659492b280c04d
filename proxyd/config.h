// What proxyd was told to do: its command line and its section of the file.
#ifndef PROXYD_CONFIG_H
#define PROXYD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/address.h"
#include "common/cleanup.h"
#include "common/node_options.h"
#include "proto/ipc.pb-c.h"
#include "proxyd/listen.h"

enum {
	CONFIG_ERROR_MAX = 512,
	CONFIG_BACKENDS_MAX = 16,
	BACKENDS_EVER_MAX = 4 * CONFIG_BACKENDS_MAX, // those taken away too
};

// What may change while requests are under way.
struct proxyd_limits {
	uint64_t keep_alive_seconds, host_silence_seconds;
	uint64_t backend_requests, host_requests, peer_requests,
	    client_requests;
	uint64_t client_connections;
	uint64_t queue_requests, queue_seconds;
};

struct proxyd_config {
	// As given.
	char *config;
	char *doors;
	char *state_dir; // of all daemons, in the file; proxyd keeps none
	char *log_level, *log_format;
	char *api;
	char *management;
	char *api_socket_mode, *api_socket_group;
	char *api_keys;
	struct option_list allow_hosts, allow_origins;
	struct option_list backends;
	struct option_list backend_ports; // of backends that may come later
	struct option_list only_hosts;	  // endpoint ids; none: all
	struct option_word require_attested;
	bool allow_plaintext_peers;
	bool allow_unsigned_keys;
	uint64_t answer_seconds;
	struct proxyd_limits limits;
	// What follows from it.
	struct listen_at api_at, management_at;
	bool is_attested_required;
	Ipc__Level required_level;
	bool plaintext_allowed; // never with is_attested_required
	bool unsigned_allowed;
};

// 1: --help was asked for and given.  -EINVAL: error says why.
MUST_CHECK int config_read(struct proxyd_config *ret, int argc,
    char *const argv[], char error[static CONFIG_ERROR_MAX]);
// The same for a process that opens no file any more.
MUST_CHECK int config_read_again(struct proxyd_config *ret, int argc,
    char *const argv[], char error[static CONFIG_ERROR_MAX]);
void config_done(struct proxyd_config *);

const char *level_name(Ipc__Level);
// -EINVAL: no level of that name can be asked for.
MUST_CHECK int level_parse(const char *name, Ipc__Level *ret);

#endif
