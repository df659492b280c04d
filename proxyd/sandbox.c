// proxyd serves loopback, connects to the configured backends, and makes
// tunnels: no path, no other process, no memory that is ever executable.
#include "proxyd/sandbox.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

// clang-format off
const struct sandbox_rule proxyd_sandbox[] = {
	// loop
	ALLOW(epoll_wait,	"libevent: wait"),
	ALLOW(epoll_ctl,	"libevent: a descriptor is added, full or gone"),
	ALLOW(clock_gettime,	"timeouts, where the vDSO has no clock"),
	ALLOW(gettimeofday,	"libevent, where the vDSO has no clock"),
	// channels
	ALLOW(recvmsg,		"ipc_receive"),
	ALLOW(sendmsg,		"ipc, stream_try"),
	ALLOW_ARG(write, 0, STDERR_FILENO, "log_event"),
	ALLOW_ARG(read, 0, STDIN_FILENO, "service: SIGTERM, a signalfd"),
	// connections and tunnels
	ALLOW(accept4,		"on_connection"),
	ALLOW(recvfrom,		"stream_recv"),
	// No address: a connection with the first bytes (MSG_FASTOPEN).
	ALLOW_ARG(sendto, 4, 0,	"flush_out, refuse"),
	ALLOW(shutdown,		"the FIN of a request or an answer"),
	ALLOW(poll,		"stream_has_hangup"),
	ALLOW(close,		"streams, refused descriptors"),
	ALLOW_ARGS(setsockopt, 1, SOL_SOCKET, 2, SO_LINGER, "conn_reset"),
	ALLOW_ARGS(setsockopt, 1, IPPROTO_TCP, 2, TCP_NODELAY, "conn_new"),
	ALLOW_ARGS(setsockopt, 1, SOL_SOCKET, 2, SO_SNDBUF, "open_tunnel"),
	ALLOW_ARGS(getsockopt, 1, SOL_SOCKET, 2, SO_PEERCRED,
	    "party_id_of_socket"),
	ALLOW_ARGS(socketpair, 0, AF_UNIX, 1,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, "open_tunnel"),
	// backends: the addresses are those of the configuration
	ALLOW_ARGS(socket, 0, AF_INET, 1,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, "conn_new"),
	ALLOW_ARGS(socket, 0, AF_INET6, 1,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, "conn_new"),
	ALLOW_ARGS(socket, 0, AF_UNIX, 1,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, "conn_new"),
	ALLOW(connect,		"conn_new"),
	ALLOW(pread64,		"measure.c: memory and time of the daemons"),
	// request ids, nonces
	ALLOW_ARG(getrandom, 2, 0, "randombytes_buf"),
	// memory
	ALLOW(brk,		"malloc"),
	ALLOW_WITHOUT(mmap, 2, PROT_EXEC, "malloc, large buffers"),
	ALLOW(munmap,		"free, buf_release"),
	ALLOW(mremap,		"buf_reserve, realloc"),
	ALLOW(madvise,		"buf: not dumped; free"),
	ALLOW(sysinfo,		"qsort of more than 1 KiB, glibc before 2.37"),
	// end
	ALLOW(exit_group,	"exit"),
};
// clang-format on
const size_t proxyd_sandbox_len = N_ELEMENTS(proxyd_sandbox);

void
proxyd_landlock_init(struct proxyd_landlock *ret,
    const struct backends *backends, const struct option_list *later)
{
	struct backend_ports ports;
	size_t n = 0;

	for (size_t i = 0; i < backends->n; i++) {
		const struct backend_url *url = &backends->at[i].url;

		if (url->sa.sa_family == AF_INET)
			ret->ports[n++] = ntohs(url->in.sin_port);
		else if (url->sa.sa_family == AF_INET6)
			ret->ports[n++] = ntohs(url->in6.sin6_port);
	}
	// Checked where they were read.
	for (size_t i = 0; i < later->n; i++)
		if (backend_ports_parse(later->values[i], &ports) == 0)
			for (unsigned p = ports.first; p <= ports.last; p++)
				ret->ports[n++] = (uint16_t)p;
	ret->policy = (struct landlock_policy){ .connect_ports = ret->ports,
		.n_connect_ports = n };
}
