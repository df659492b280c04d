// A changed configuration for daemons that run.
#ifndef CTL_RELOAD_H
#define CTL_RELOAD_H

#include <stdbool.h>

#include "common/ipc.h"
#include "common/log.h"
#include "ctl/run_options.h"

// Command line and file, strictly; what is wrong is logged.  Our own log stays
// as it is.  run_options_done() in any case.
MUST_CHECK int reload_read(struct run_options *ret, int argc,
    char *const argv[], enum log_level *ret_level);
// Its options and the files that they name, to proxyd; fn hears what becomes
// of it.  What is wrong is logged, fn is not called then.
MUST_CHECK int reload_hand_over(struct ipc_peer *proxyd,
    const struct run_options *, ipc_reply_fn *fn, void *arg);
// Of the arguments of fn: is it in use now?
bool reload_is_done(int status, const ProtobufCMessage *);

// `meshllm reload`: for a daemon that systemd started.  Returns the exit status
// of the program.
int command_reload(int argc, char *const argv[]);

#endif
