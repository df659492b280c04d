// The sandbox lists of gossipd and proxyd: what kills, what does not, and
// that the compiled filters are those that were reviewed.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <cmocka.h>

#include "gossipd/gossipd.h"
#include "proxyd/sandbox.h"
#include "tests/sandbox/sandbox_check.h"

#define ARG(p) ((long)(intptr_t)(p))
#define QUIET (SOCK_CLOEXEC | SOCK_NONBLOCK)
#define MAP_OURS (MAP_PRIVATE | MAP_ANONYMOUS)

struct list {
	const char *name;
	const struct sandbox_rule *rules;
	size_t n;
};

static struct list
get_list(size_t i)
{
	if (i == 0)
		return (struct list){ "gossipd", gossipd_sandbox,
			gossipd_n_sandbox };
	return (struct list){ "proxyd", proxyd_sandbox, proxyd_sandbox_len };
}

enum { N_LISTS = 2, PAGE = 4096 };

static void
lists_are_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_LISTS; i++)
		sandbox_check_list(get_list(i).rules, get_list(i).n);
}

static void
every_other_call_kills(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_LISTS; i++)
		sandbox_check_all_calls(get_list(i).rules, get_list(i).n);
}

static void
another_abi_kills(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_LISTS; i++)
		sandbox_check_other_abi(get_list(i).rules, get_list(i).n);
}

// By name, and with arguments that would work.
static void
reaching_out_kills(void **state)
{
	static char path[] = "/dev/null", empty[] = "";
	static char *const argv[] = { path, NULL };
	static struct sockaddr_in somewhere = { .sin_family = AF_INET };
	const struct sandbox_call calls[] = {
		{ "openat", SYS_openat, { AT_FDCWD, ARG(path), O_RDONLY } },
		{ "openat2", SYS_openat2, { AT_FDCWD, ARG(path) } },
		{ "open", SYS_open, { ARG(path), O_RDONLY } },
		{ "unlink", SYS_unlink, { ARG(path) } },
		{ "socket udp", SYS_socket, { AF_INET, SOCK_DGRAM } },
		{ "socket raw", SYS_socket, { AF_INET, SOCK_RAW } },
		{ "socket packet", SYS_socket, { AF_PACKET, SOCK_RAW } },
		{ "socket netlink", SYS_socket, { AF_NETLINK, SOCK_RAW } },
		{ "socket vsock", SYS_socket, { AF_VSOCK, SOCK_STREAM } },
		{ "socket alg", SYS_socket, { AF_ALG, SOCK_SEQPACKET } },
		{ "socket inherited", SYS_socket, { AF_INET, SOCK_STREAM } },
		{ "socketpair dgram", SYS_socketpair,
		    { AF_UNIX, SOCK_DGRAM | QUIET } },
		{ "bind", SYS_bind, { 0 } },
		{ "listen", SYS_listen, { 0, 1 } },
		{ "sendto with an address", SYS_sendto,
		    { 0, ARG(empty), 1, MSG_FASTOPEN, ARG(&somewhere),
			sizeof(somewhere) } },
		{ "write to a channel", SYS_write, { 3, ARG(empty), 1 } },
		{ "execve", SYS_execve, { ARG(path), ARG(argv) } },
		{ "execveat", SYS_execveat, { 0, ARG(empty), ARG(argv) } },
		{ "clone", SYS_clone, { SIGCHLD } },
		{ "clone3", SYS_clone3, { 0 } },
		{ "fork", SYS_fork, { 0 } },
		{ "kill", SYS_kill, { 1, 0 } },
		{ "tgkill", SYS_tgkill, { 1, 1, 0 } },
		{ "ptrace", SYS_ptrace, { 0 } },
		{ "process_vm_readv", SYS_process_vm_readv, { 1 } },
		{ "pidfd_getfd", SYS_pidfd_getfd, { 0 } },
		{ "prctl dumpable", SYS_prctl, { 4, 1 } },
		{ "prlimit", SYS_prlimit64, { 0 } },
		{ "setuid", SYS_setuid, { 0 } },
		{ "unshare", SYS_unshare, { 0 } },
		{ "ioctl", SYS_ioctl, { 0 } },
		{ "fcntl", SYS_fcntl, { 0 } },
		{ "keyctl", SYS_keyctl, { 0 } },
		{ "io_uring", SYS_io_uring_setup, { 1 } },
		{ "userfaultfd", SYS_userfaultfd, { 0 } },
		{ "memfd_create", SYS_memfd_create, { ARG(empty), 0 } },
		{ "executable mmap", SYS_mmap,
		    { 0, PAGE, PROT_READ | PROT_EXEC, MAP_OURS, -1, 0 } },
		{ "executable mprotect", SYS_mprotect,
		    { ARG(path), PAGE, PROT_EXEC } },
		{ "setsockopt attach filter", SYS_setsockopt,
		    { 0, SOL_SOCKET, SO_ATTACH_FILTER } },
		{ "getsockopt of the attached filter", SYS_getsockopt,
		    { 0, SOL_SOCKET, SO_GET_FILTER } },
	};

	(void)state;
	for (size_t i = 0; i < N_LISTS; i++)
		sandbox_check_killed(
		    get_list(i).rules, get_list(i).n, calls, N_ELEMENTS(calls));
}

// gossipd has its one socket; proxyd makes connections to backends.
static void
gossipd_makes_no_socket(void **state)
{
	const struct sandbox_call calls[] = {
		{ "socket tcp", SYS_socket, { AF_INET, SOCK_STREAM | QUIET } },
		{ "socket tcp6", SYS_socket,
		    { AF_INET6, SOCK_STREAM | QUIET } },
		{ "socket unix", SYS_socket, { AF_UNIX, SOCK_STREAM | QUIET } },
		{ "connect", SYS_connect, { 0 } },
		{ "accept4", SYS_accept4, { 0 } },
	};

	(void)state;
	sandbox_check_killed(
	    gossipd_sandbox, gossipd_n_sandbox, calls, N_ELEMENTS(calls));
	sandbox_check_allowed(
	    proxyd_sandbox, proxyd_sandbox_len, calls, N_ELEMENTS(calls));
}

static void
what_a_daemon_needs_does_not_kill(void **state)
{
	static int pair[2];
	static char byte;
	const struct sandbox_call calls[] = {
		{ "send", SYS_sendto, { 0, ARG(&byte), 1, MSG_NOSIGNAL } },
		{ "log", SYS_write, { STDERR_FILENO, ARG(&byte), 0 } },
		{ "signals", SYS_read, { STDIN_FILENO, ARG(&byte), 0 } },
		{ "socketpair", SYS_socketpair,
		    { AF_UNIX, SOCK_STREAM | QUIET, 0, ARG(pair) } },
		{ "mmap", SYS_mmap,
		    { 0, PAGE, PROT_READ | PROT_WRITE, MAP_OURS, -1, 0 } },
		{ "getrandom", SYS_getrandom, { ARG(&byte), 1, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < N_LISTS; i++)
		sandbox_check_allowed(
		    get_list(i).rules, get_list(i).n, calls, N_ELEMENTS(calls));
}

static void
filters_are_those_that_were_reviewed(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_LISTS; i++)
		sandbox_check_reviewed(
		    get_list(i).rules, get_list(i).n, get_list(i).name);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_sound),
		cmocka_unit_test(every_other_call_kills),
		cmocka_unit_test(another_abi_kills),
		cmocka_unit_test(reaching_out_kills),
		cmocka_unit_test(gossipd_makes_no_socket),
		cmocka_unit_test(what_a_daemon_needs_does_not_kill),
		cmocka_unit_test(filters_are_those_that_were_reviewed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
