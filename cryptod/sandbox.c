// cryptod holds the keys: after its start no path, no new descriptor, no
// other process, and no memory that is ever executable.
#include "cryptod/cryptod.h"

#include <sys/mman.h>

// clang-format off
const struct sandbox_rule cryptod_sandbox[] = {
	// channels
	ALLOW(epoll_wait,	"libevent: wait for a request"),
	ALLOW(epoll_ctl,	"libevent: a channel is added, full or gone"),
	ALLOW(recvmsg,		"ipc_receive"),
	ALLOW(sendmsg,		"ipc_reply"),
	ALLOW(close,		"dead channels, refused descriptors"),
	ALLOW_ARG(write, 0, STDERR_FILENO, "log_event"),
	ALLOW_ARG(read, 0, STDIN_FILENO, "service: SIGTERM, a signalfd"),
	// keys
	ALLOW_ARG(getrandom, 2, 0, "randombytes_buf: new key pairs"),
	ALLOW(clock_gettime,	"age of keys, where the vDSO has no clock"),
	ALLOW(gettimeofday,	"libevent, where the vDSO has no clock"),
	// memory
	ALLOW(brk,		"malloc"),
	ALLOW_WITHOUT(mmap, 2, PROT_EXEC, "malloc"),
	ALLOW_WITHOUT(mprotect, 2, PROT_EXEC, "sodium_free at the end"),
	ALLOW(munmap,		"free, sodium_free"),
	ALLOW(munlock,		"sodium_free"),
	ALLOW_ARG(madvise, 2, MADV_DODUMP, "sodium_free"),
	// end
	ALLOW(exit_group,	"exit"),
};
// clang-format on
const size_t cryptod_n_sandbox = N_ELEMENTS(cryptod_sandbox);

// No file system, no TCP.
const struct landlock_policy cryptod_landlock = { 0 };
