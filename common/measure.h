// What a daemon can say of itself, read back before its sandbox closes.
#ifndef COMMON_MEASURE_H
#define COMMON_MEASURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/ipc.h"
#include "proto/ipc.pb-c.h"

enum { IMAGE_HASH_LEN = 32 };

enum measure_bits {
	MEASURE_NOT_DUMPABLE = 1,
	MEASURE_GUARDED = 2,
	MEASURE_SECCOMP = 4, // when it says that it is ready
	MEASURE_LANDLOCK = 8,
	MEASURE_SECRET_MEMORY = 16, // cryptod: the identity is in it
	MEASURE_NO_NETWORK = 32,    // no interface but loopback is in reach
	MEASURE_LOCKED = 64,	    // proxyd: its memory
	MEASURE_ALL = 127,
};

struct measure {
	uint8_t image[IMAGE_HASH_LEN]; // SHA-256 of the program that runs
	uint32_t bits;
	bool is_known; // false: nothing was measured, nothing is sent
	int stat_fd;   // measure_keep_usage(), or -1
};

// The image through /proc/self/exe: of what runs, not of what its path leads
// to now.  It covers the program, not the libraries.  Call it when dumps are
// off and before Landlock.
MUST_CHECK int measure_self(struct measure *ret);
// For main: measure, or end the process.
void measure_self_or_die(struct measure *ret, bool is_guarded);
// Without a parent: open what tells its memory and time, for proxyd to read.
void measure_keep_usage_or_die(struct measure *);
// Put it into the message that the parent gets; borrows the measure.
void measure_put(struct measure *, Ipc__Ready *);

enum { MEASURED_NAME_MAX = 16, MEASURED_PROBLEM_MAX = 128 };

// What one daemon said of itself, as proxyd and gossipd keep it.
struct measured {
	enum ipc_role role;
	bool is_known;
	uint8_t image[IMAGE_HASH_LEN];
	uint32_t bits;
	uint32_t pid;
	int stat_fd; // its /proc/PID/stat, when it is known
	// Of the signer: what vouches for the node, and what it suffers from.
	char attester[MEASURED_NAME_MAX], problem[MEASURED_PROBLEM_MAX];
};
enum { // of the message
	MEASURED_BODY_MAX = 52 + MEASURED_NAME_MAX + MEASURED_PROBLEM_MAX,
};
struct measured measured_of(
    const struct measure *, enum ipc_role self, pid_t own_pid);
// Without a parent: to proxyd, or the signer's to gossipd.  Its descriptor is
// lent.
MUST_CHECK int measured_send(struct ipc_peer *, const struct measured *);
// -EBADMSG: it is not about this role, or out of shape.
MUST_CHECK int measured_read(
    const Ipc__Measured *, enum ipc_role role, struct measured *ret);
// The same, with the descriptor of the frame; what was there before is given
// up.
MUST_CHECK int measured_take(struct ipc_frame *, const Ipc__Measured *,
    enum ipc_role role, struct measured *ret);

#endif
