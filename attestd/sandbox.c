// No process of attestd starts another or reaches a network.  The signer
// may open its TPM again, the verifier the files of its one folder; which
// paths these are is Landlock's to say (main.c).
#include "attestd/attestd.h"

#include <sys/socket.h>

#include "attestd/examiner.h"

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
	ALLOW(gettimeofday,	"libevent, where the vDSO has no clock"),
	// memory
	ALLOW(brk,		"malloc"),
	ALLOW_WITHOUT(mmap, 2, PROT_EXEC, "malloc"),
	ALLOW(munmap,		"free"),
	ALLOW(mremap,		"realloc, a TPM is opened again"),
	// the TPM, opened again after it went away; Landlock has its path
	ALLOW(openat,		"tcti_fd_open"),
	ALLOW_ARG(socket, 0, AF_UNIX, "tcti_fd_open: a software TPM"),
	ALLOW(connect,		"tcti_fd_open: a software TPM"),
	ALLOW(writev,		"tcti_fd: a command"),
	ALLOW(read,		"tcti_fd: a response"),
	ALLOW(poll,		"tcti_fd: until the deadline"),
	ALLOW(restart_syscall,	"poll after a stop or the machine's sleep"),
	ALLOW_ARG(getrandom, 2, 0, "the software key's signatures"),
	ALLOW(getpid,		"libcrypto: has it forked since?"),
	ALLOW(time,		"libcrypto, where there is no vDSO"),
	ALLOW(futex,		"libcrypto"),
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
	ALLOW_ARG(read, 0, STDIN_FILENO, "service: SIGTERM, a signalfd"),
	ALLOW(clock_gettime,	"expiry, where the vDSO has no clock"),
	ALLOW(gettimeofday,	"libevent, where the vDSO has no clock"),
	// memory
	ALLOW(brk,		"malloc"),
	ALLOW_WITHOUT(mmap, 2, PROT_EXEC, "malloc"),
	ALLOW(munmap,		"free"),
	ALLOW(mremap,		"realloc"),
	// the trust files; Landlock has their folder
	ALLOW_ARG(read, 0, ATTESTD_WATCH_FD, "trust_watch: inotify"),
	ALLOW(newfstatat,	"trust_store_refresh; fstat of glibc 2.36"),
	ALLOW(fstat,		"trust_load, newer libc"),
	ALLOW(openat,		"trust_load, trust_save"),
	ALLOW(pread64,		"trust_load"),
	ALLOW(pwrite64,		"trust_save"),
	ALLOW(fsync,		"trust_save"),
	ALLOW(renameat,		"trust_save"),
	ALLOW_ARG(getrandom, 2, 0, "libcrypto"),
	ALLOW(getpid,		"libcrypto: has it forked since?"),
	ALLOW(time,		"libcrypto, where there is no vDSO"),
	ALLOW(futex,		"libcrypto"),
	// end
	ALLOW(exit_group,	"exit"),
};

// Reads what it is given, says what it thinks of it, and ends.
const struct sandbox_rule attestd_examiner_sandbox[ATTESTD_N_EXAMINER_SANDBOX] = {
	ALLOW_ARG(read, 0, STDIN_FILENO, "read_input"),
	ALLOW_ARG(write, 0, STDOUT_FILENO, "print"),
	ALLOW_ARG(write, 0, STDERR_FILENO, "complain"),
	ALLOW(close,		"trust_store_done"),
	ALLOW(brk,		"malloc"),
	ALLOW_WITHOUT(mmap, 2, PROT_EXEC, "malloc"),
	ALLOW(munmap,		"free"),
	ALLOW(mremap,		"realloc"),
	ALLOW(futex,		"libcrypto"),
	ALLOW(exit_group,	"exit"),
};
// clang-format on
