// Neither process of attestd opens a path, a socket or another process after
// its start.  The lists are apart, because the two will not stay alike: only
// the signer will ever talk to a TPM, only the verifier will read evidence.
#include "attestd/attestd.h"

// clang-format off
const struct sandbox_rule attestd_signer_sandbox[ATTESTD_N_SIGNER_SANDBOX] = {
	// channels
	ALLOW(epoll_wait,	"libevent: wait for a request"),
	ALLOW(epoll_ctl,	"libevent: a channel is added, full or gone"),
	ALLOW(recvmsg,		"ipc_receive"),
	ALLOW(sendmsg,		"ipc_call to cryptod, ipc_reply"),
	ALLOW(close,		"dead channels, refused descriptors"),
	ALLOW_ARG(write, 0, STDERR_FILENO, "log_event"),
	ALLOW(clock_gettime,	"deadlines, where the vDSO has no clock"),
	// memory
	ALLOW(brk,		"malloc"),
	ALLOW_WITHOUT(mmap, 2, PROT_EXEC, "malloc"),
	ALLOW(munmap,		"free"),
	// end
	ALLOW(exit_group,	"exit"),
};

const struct sandbox_rule attestd_verifier_sandbox[ATTESTD_N_VERIFIER_SANDBOX] = {
	// channels
	ALLOW(epoll_wait,	"libevent: wait for a request"),
	ALLOW(epoll_ctl,	"libevent: a channel is added, full or gone"),
	ALLOW(recvmsg,		"ipc_receive"),
	ALLOW(sendmsg,		"ipc_reply"),
	ALLOW(close,		"dead channels, refused descriptors"),
	ALLOW_ARG(write, 0, STDERR_FILENO, "log_event"),
	ALLOW(clock_gettime,	"expiry, where the vDSO has no clock"),
	// memory
	ALLOW(brk,		"malloc"),
	ALLOW_WITHOUT(mmap, 2, PROT_EXEC, "malloc"),
	ALLOW(munmap,		"free"),
	// end
	ALLOW(exit_group,	"exit"),
};
// clang-format on
