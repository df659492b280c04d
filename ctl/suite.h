// The daemons of one node as the children of `meshllm run`.
#ifndef CTL_SUITE_H
#define CTL_SUITE_H

#include <event2/event.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/address.h"
#include "common/ipc.h"
#include "common/measure.h"
#include "common/posture.h"
#include "common/process.h"
#include "common/sizes.h"
#include "ctl/daemons.h"
#include "ctl/privilege.h"
#include "ctl/run_options.h"

enum {
	SUITE_READY_MS = 30 * 1000,   // until all daemons can serve
	SUITE_GRACE_MS = 5 * 1000,    // from STOP to SIGKILL
	SUITE_SILENT_MS = 2 * 1000,   // from a closed channel to SIGKILL
	SUITE_MEASURE_MS = 60 * 1000, // between two looks at the machine
	SUITE_USAGE_MS = 10 * 1000,   // the same, at the processes
	SUITE_API_MAX = 128,	      // "unix:" and a path, or an address
	SUITE_PROBLEM_MAX = 128,
};

struct child {
	struct suite *suite;	     // borrowed
	const struct daemon *daemon; // static
	pid_t pid;		     // 0: not started, or ended and reaped
	struct ipc_peer *peer;	     // owned; NULL: closed
	struct event *silent;	     // owned; its channel is closed, it lives
	bool is_ready;
	uint8_t image[IMAGE_HASH_LEN]; // of its program, as it says
	uint32_t protection;	       // MEASURE_*
	// Its ends while it is not started: parent's channel first.
	int fds[1 + PROCESS_CHANNELS_MAX]; // owned
	size_t n_fds;
};

struct suite {
	struct event_base *base; // borrowed
	struct child children[N_DAEMONS];
	struct privilege privilege;
	struct event *signals[4]; // owned
	struct event *deadline;	  // owned; of readiness, then of the grace
	struct event *measuring;  // owned; of the posture
	struct event *telling;	  // owned; of the processes
	struct posture posture;	  // as it was sent last
	bool is_ready, is_stopping;
	bool has_terminal;		   // whose end is our end
	const struct run_options *options; // borrowed; as it was started
	int argc;
	char *const *argv; // borrowed
	int exit_status;
	char endpoint_id[ENDPOINT_ID_HEX_LEN + 1];
	char api[SUITE_API_MAX];
	char management[ADDRESS_TEXT_MAX];
	char mesh[ADDRESS_TEXT_MAX];
	char attester[16], attester_problem[SUITE_PROBLEM_MAX]; // "": none
};

// Start all daemons and serve until they have ended.  Returns the exit
// status of the program.
// arguments: of the command, to read the configuration anew on SIGHUP.
int suite_run(const struct run_options *, int argc, char *const argv[]);

// ---- channels.c
// Make every channel of the architecture's table.  Parent's ends go to
// ret_parent.
MUST_CHECK int suite_make_channels(
    struct suite *, int ret_parent[static N_DAEMONS]);
void suite_close_channels(struct suite *);

// ---- rules.c
extern const struct ipc_rule parent_rules[];
extern const size_t parent_n_rules;

// ---- handle_ready.c
ipc_handler handle_ready;
ipc_handler handle_attester_state;
// To proxyd, if there is something to tell.
MUST_CHECK int suite_tell_attester(struct suite *);

// ---- measure.c
// Look at the machine and the daemons, tell proxyd and gossipd what is new.
void suite_measure(struct suite *);

// ---- usage.c
// Tell proxyd of the processes and what they take, and do so again later.
MUST_CHECK int suite_tell_processes(struct suite *);

// ---- reload.c
// Read the configuration again and hand over what can be used without a new
// start.
void suite_reload(struct suite *);

// ---- wait.c
enum { WAIT_TEXT_MAX = 160 };
// What a status of waitpid(2) means, for a person.
void describe_wait(int status, char ret[static WAIT_TEXT_MAX]);

// ---- suite.c
// The last daemon said that it is ready.
MUST_CHECK int suite_ready(struct suite *);
struct child *suite_child_of(struct suite *, enum ipc_role);

#endif
