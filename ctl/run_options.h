// Options of `meshllm run`: those of all daemons and a few of its own; and
// which daemon gets which.
#ifndef CTL_RUN_OPTIONS_H
#define CTL_RUN_OPTIONS_H

#include <limits.h>

#include "common/cleanup.h"
#include "common/options.h"
#include "ctl/daemons.h"

#define DEFAULT_STATE_DIR LOCALSTATEDIR "/lib/meshllm"
#define DEFAULT_CONFIG SYSCONFDIR "/meshllm/meshllm.conf"
#define DEFAULT_MANAGEMENT "127.0.0.1:3131"

struct run_options {
	char *config, *daemon_dir, *state_dir, *log_level, *log_format;
	uint64_t rotate_seconds;
	char *attester, *ek_chain;
	struct option_list mesh, advertise, join;
	char *api, *management, *api_socket_mode, *api_socket_group, *api_keys;
	struct option_list allow_host, allow_origin;
	struct option_list backend, backend_port, only_host;
	struct option_word require_attested_hosts;
	bool allow_plaintext_peers, allow_unsigned_keys;
	uint64_t keep_alive_seconds, answer_seconds;
	uint64_t backend_requests, host_requests, peer_requests,
	    client_requests, client_connections;
	uint64_t queue_requests, queue_seconds, host_silence_seconds;
};

enum { ARGUMENTS_MAX = 4 * OPTION_LIST_MAX };

struct arguments {
	size_t n;
	char *argv[ARGUMENTS_MAX + 1]; // owned; NULL at the end
};

// Command line, then the file, then checks.  argv[0] is the command's name.
// -EINVAL or another errno with the complaint in error; 1: help was asked
// for.  run_options_done() in any case.
MUST_CHECK int run_options_read(struct run_options *ret, int argc,
    char *const argv[], char *error, size_t error_len);
void run_options_done(struct run_options *);
void run_options_help(void);
// The file only, for commands that want to know where the node listens.
// path: NULL for the usual place, where it may be missing.
MUST_CHECK int run_options_load(
    struct run_options *, const char *path, char *error, size_t error_len);

const char *run_options_state_dir(const struct run_options *);
// The verifier's folder: below state_dir if given, else where the file says.
MUST_CHECK int run_options_trust_dir(const char *state_dir, const char *file,
    char ret[static PATH_MAX], char *error, size_t error_len);
// The command line of one daemon: the keys of its section and nothing else.
MUST_CHECK int run_options_arguments(
    const struct run_options *, const struct daemon *, struct arguments *ret);
void arguments_done(struct arguments *);

#endif
