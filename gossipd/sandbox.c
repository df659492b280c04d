// What gossipd may still ask of the kernel once it serves: move datagrams and
// bytes between descriptors that it has, keep time, hold memory.  No path, no
// new network socket, no process, no memory that is executable.
#include "gossipd/gossipd.h"

#include <sys/socket.h>

// clang-format off
const struct sandbox_rule gossipd_sandbox[] = {
	// event loop
	ALLOW(epoll_wait,	"libevent"),
	ALLOW(epoll_ctl,	"libevent: tunnels come and go"),
	ALLOW(timerfd_settime,	"QUIC: waits of a few ms"),
	// datagrams
	ALLOW(sendmsg,		"QUIC with segmentation offload, channels"),
	ALLOW(recvmmsg,		"QUIC"),
	ALLOW(recvmsg,		"channels"),
	// tunnels
	ALLOW(recvfrom,		"recv from proxyd"),
	// No address: a connection with the first bytes (MSG_FASTOPEN).
	ALLOW_ARG(sendto, 4, 0,	"send to proxyd"),
	ALLOW_ARGS(socketpair, 0, AF_UNIX, 1,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				"a tunnel that a peer opens"),
	ALLOW_ARGS(setsockopt, 1, SOL_SOCKET, 2, SO_SNDBUF,
				"a large request from a peer"),
	ALLOW(shutdown,		"FIN towards proxyd"),
	ALLOW(poll,		"closed or half-closed; the signer's answer"),
	ALLOW(close,		"tunnels, refused descriptors"),
	// files that were opened at start
	ALLOW(pwrite64,		"mesh id"),
	ALLOW(ftruncate,	"mesh id"),
	ALLOW_ARG(write, 0, STDERR_FILENO, "log"),
	ALLOW_ARG(read, 0, STDIN_FILENO, "service: SIGTERM, a signalfd"),
	// memory and libc
	ALLOW(brk,		"malloc"),
	ALLOW_WITHOUT(mmap, 2, PROT_EXEC, "malloc"),
	ALLOW(munmap,		"malloc"),
	ALLOW(mremap,		"realloc of large frames"),
	ALLOW(getrandom,	"GnuTLS and connection ids"),
	ALLOW(clock_gettime,	"where the vDSO does not serve it"),
	ALLOW(gettimeofday,	"where the vDSO does not serve it"),
	ALLOW(time,		"GnuTLS, where there is no vDSO"),
	ALLOW(futex,		"GnuTLS: locks"),
	ALLOW(restart_syscall,	"after a stop by a tracer"),
	ALLOW(exit_group,	"exit"),
};
// clang-format on

const size_t gossipd_n_sandbox = N_ELEMENTS(gossipd_sandbox);

// No file system, no TCP: QUIC is UDP on a socket that is bound by now, the
// file of the mesh id is open.
const struct landlock_policy gossipd_landlock = { 0 };
