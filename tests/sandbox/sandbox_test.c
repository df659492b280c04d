// The sandbox lists of cryptod and attestd: what kills, what does not, and
// that the compiled filters are those that were reviewed.
#include <fcntl.h>
#include <linux/random.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <cmocka.h>

#include "attestd/attestd.h"
#include "attestd/examiner.h"
#include "cryptod/cryptod.h"
#include "tests/sandbox/sandbox_check.h"

enum { PAGE = 4096, N_LISTS = 4 };

struct list {
	const char *name;
	const struct sandbox_rule *rules;
	size_t n;
};

static struct list
get_list(size_t i)
{
	switch (i) {
	case 0:
		return (struct list){ "cryptod", cryptod_sandbox,
			cryptod_n_sandbox };
	case 1:
		return (struct list){ "attestd-signer", attestd_signer_sandbox,
			ATTESTD_N_SIGNER_SANDBOX };
	case 2:
		return (struct list){ "attestd-verifier",
			attestd_verifier_sandbox, ATTESTD_N_VERIFIER_SANDBOX };
	default:
		return (struct list){ "attestd-examiner",
			attestd_examiner_sandbox, ATTESTD_N_EXAMINER_SANDBOX };
	}
}

#define ARG(p) ((long)(intptr_t)(p))
#define MAP_OURS (MAP_PRIVATE | MAP_ANONYMOUS)

static void
every_other_call_kills(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_LISTS; i++)
		sandbox_check_all_calls(get_list(i).rules, get_list(i).n);
}

// By name, and with arguments that would work.
static void
reaching_out_kills(void **state)
{
	static char path[] = "/dev/null", empty[] = "";
	static char *const argv[] = { path, NULL };
	const struct sandbox_call calls[] = {
		{ "openat2", SYS_openat2, { AT_FDCWD, ARG(path) } },
		{ "open", SYS_open, { ARG(path), O_RDONLY } },
		{ "socket", SYS_socket, { AF_INET, SOCK_STREAM } },
		{ "bind", SYS_bind, { 0 } },
		{ "accept4", SYS_accept4, { 0 } },
		{ "execve", SYS_execve, { ARG(path), ARG(argv) } },
		{ "execveat", SYS_execveat, { 0, ARG(empty), ARG(argv) } },
		{ "clone", SYS_clone, { SIGCHLD } },
		{ "clone3", SYS_clone3, { 0 } },
		{ "fork", SYS_fork, { 0 } },
		{ "vfork", SYS_vfork, { 0 } },
		{ "ptrace", SYS_ptrace, { 0 } },
		{ "process_vm_readv", SYS_process_vm_readv, { 1 } },
		{ "kill", SYS_kill, { 1, 0 } },
		{ "prctl", SYS_prctl, { 4, 1 } },
		{ "setuid", SYS_setuid, { 0 } },
		{ "memfd_create", SYS_memfd_create, { ARG(empty), 0 } },
		{ "io_uring_setup", SYS_io_uring_setup, { 1 } },
		{ "write to 3", SYS_write, { 3, ARG(path), 0 } },
		{ "sendto", SYS_sendto, { 3, ARG(path), 0 } },
		{ "dup", SYS_dup, { 2 } },
		{ "fcntl", SYS_fcntl, { 2, F_GETFD } },
		{ "ioctl", SYS_ioctl, { 2, 0x5413 } },
		{ "setsockopt", SYS_setsockopt, { 3, SOL_SOCKET } },
		{ "socketpair", SYS_socketpair, { AF_UNIX, SOCK_SEQPACKET } },
		{ "mmap executable", SYS_mmap,
		    { 0, PAGE, PROT_READ | PROT_EXEC, MAP_OURS, -1 } },
		{ "mmap writable and executable", SYS_mmap,
		    { 0, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_OURS,
			-1 } },
		{ "mprotect executable", SYS_mprotect,
		    { 0, PAGE, PROT_READ | PROT_EXEC } },
		{ "pkey_mprotect", SYS_pkey_mprotect,
		    { 0, PAGE, PROT_READ | PROT_EXEC, -1 } },
		{ "getrandom that may block", SYS_getrandom,
		    { ARG(path), 0, GRND_RANDOM } },
		{ "madvise", SYS_madvise, { 0, 0, MADV_DONTNEED } },
	};
	const struct sandbox_call daemons_only = { "write to 1", SYS_write,
		{ 1, ARG(path), 0 } };
	const struct sandbox_call examiner_only[] = {
		{ "openat", SYS_openat, { AT_FDCWD, ARG(path), O_RDONLY } },
		{ "socket unix", SYS_socket, { AF_UNIX, SOCK_STREAM } },
		{ "sendmsg", SYS_sendmsg, { 1 } },
		{ "read from 1", SYS_read, { 1, ARG(path), 0 } },
		{ "getrandom", SYS_getrandom, { ARG(path), 0, 0 } },
		{ "clock_gettime", SYS_clock_gettime, { 0, ARG(path) } },
		{ "renameat", SYS_renameat, { 0 } },
	};
	// The signer opens its TPM again, the verifier its folder's files.
	const struct sandbox_call cryptod_only[] = {
		{ "openat", SYS_openat, { AT_FDCWD, ARG(path), O_RDONLY } },
		{ "socket unix", SYS_socket, { AF_UNIX, SOCK_STREAM } },
		{ "connect", SYS_connect, { 0 } },
		{ "read from 3", SYS_read, { 3, ARG(path), 0 } },
		{ "mremap", SYS_mremap, { 0 } },
	};
	const struct sandbox_call verifier_only[] = {
		{ "socket unix", SYS_socket, { AF_UNIX, SOCK_STREAM } },
		{ "connect", SYS_connect, { 0 } },
		{ "read from 3", SYS_read, { 3, ARG(path), 0 } },
	};

	(void)state;
	for (size_t i = 0; i < N_LISTS; i++)
		sandbox_check_killed(
		    get_list(i).rules, get_list(i).n, calls, N_ELEMENTS(calls));
	for (size_t i = 0; i < N_LISTS - 1; i++)
		sandbox_check_killed(
		    get_list(i).rules, get_list(i).n, &daemons_only, 1);
	sandbox_check_killed(attestd_examiner_sandbox,
	    ATTESTD_N_EXAMINER_SANDBOX, examiner_only,
	    N_ELEMENTS(examiner_only));
	sandbox_check_killed(cryptod_sandbox, cryptod_n_sandbox, cryptod_only,
	    N_ELEMENTS(cryptod_only));
	sandbox_check_killed(attestd_verifier_sandbox,
	    ATTESTD_N_VERIFIER_SANDBOX, verifier_only,
	    N_ELEMENTS(verifier_only));
}

// Lines for machines and builds that are not this one: the clock without a
// vDSO, a malloc that maps.
static void
what_a_daemon_needs_does_not_kill(void **state)
{
	static struct timespec t;
	static uint8_t bytes[8];
	const struct sandbox_call common[] = {
		{ "mmap", SYS_mmap,
		    { 0, PAGE, PROT_READ | PROT_WRITE, MAP_OURS, -1 } },
		{ "munmap", SYS_munmap, { 0, PAGE } },
		{ "brk", SYS_brk, { 0 } },
		{ "write to 2", SYS_write, { 2, ARG(bytes), 0 } },
		{ "read from 0", SYS_read, { 0, ARG(bytes), 0 } },
	};
	const struct sandbox_call cryptod[] = {
		{ "getrandom", SYS_getrandom, { ARG(bytes), 8, 0 } },
		{ "mprotect", SYS_mprotect, { 0, 0, PROT_READ } },
		{ "munlock", SYS_munlock, { 0, 0 } },
		{ "madvise", SYS_madvise, { 0, 0, MADV_DODUMP } },
	};
	const struct sandbox_call daemons[] = {
		{ "clock_gettime", SYS_clock_gettime, { 0, ARG(&t) } },
		{ "gettimeofday", SYS_gettimeofday, { ARG(&t) } },
	};

	(void)state;
	for (size_t i = 0; i < N_LISTS - 1; i++)
		sandbox_check_allowed(get_list(i).rules, get_list(i).n, daemons,
		    N_ELEMENTS(daemons));
	for (size_t i = 0; i < N_LISTS; i++)
		sandbox_check_allowed(get_list(i).rules, get_list(i).n, common,
		    N_ELEMENTS(common));
	sandbox_check_allowed(
	    cryptod_sandbox, cryptod_n_sandbox, cryptod, N_ELEMENTS(cryptod));
	// All but the first, random bytes, which libcrypto needs.
	for (size_t i = 1; i < N_LISTS; i++)
		sandbox_check_killed(get_list(i).rules, get_list(i).n,
		    cryptod + 1, N_ELEMENTS(cryptod) - 1);
}

static void
another_abi_kills(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_LISTS; i++)
		sandbox_check_other_abi(get_list(i).rules, get_list(i).n);
}

static void
lists_are_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_LISTS; i++)
		sandbox_check_list(get_list(i).rules, get_list(i).n);
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
		cmocka_unit_test(reaching_out_kills),
		cmocka_unit_test(what_a_daemon_needs_does_not_kill),
		cmocka_unit_test(another_abi_kills),
		cmocka_unit_test(filters_are_those_that_were_reviewed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
