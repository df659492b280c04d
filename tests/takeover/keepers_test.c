// The rehearsal: gossipd and proxyd are taken over.  Their ends of the
// channels to the real cryptod and attestd are in the hands of an attacker
// who sends whatever can be sent, many times over, with and without foreign
// descriptors, in any order, without reading the answers, or all at once.
//
// Whatever it is: the keepers live on and serve their parent, answer nobody
// what belongs to another role, sign nothing but a handshake, hold no
// descriptor of the attacker and no more memory than before.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "tests/sandbox/daemon.h"
#include "tests/takeover/attack.h"

enum {
	ROUNDS = 20,	// of each channel and manner
	MESSAGES = 300, // of one attack, unless the channel is closed
	FLOOD = 5000,	// of allowed requests
	WAIT_MS = 30000,
	STEP_MS = 2,
	// The replay memory is touched page by page, 32 MiB at most.
	GROWTH_MAX_KIB = 36 * 1024,
};

static char dir[] = "/tmp/takeover_test.XXXXXX";

// ---- the keepers

struct keeper {
	const char *program;
	const char *args[3];
	size_t n_channels;
	size_t attacked; // index of the channel
	enum ipc_role self;
	const struct attack_rules *rules;
};

static const struct keeper keepers[] = {
	{ "meshllm-cryptod", { "--state-dir", dir }, 4, 0, ROLE_PROXYD,
	    &attack_cryptod_proxyd },
	{ "meshllm-cryptod", { "--state-dir", dir }, 4, 1, ROLE_GOSSIPD,
	    &attack_cryptod_gossipd },
	{ "meshllm-cryptod", { "--state-dir", dir }, 4, 2, ROLE_GOSSIPD_TLS,
	    &attack_cryptod_tls },
	{ "meshllm-attestd", { "--role=signer" }, 2, 1, ROLE_GOSSIPD,
	    &attack_signer_gossipd },
	{ "meshllm-attestd", { "--role=verifier" }, 1, 0, ROLE_PROXYD,
	    &attack_verifier_proxyd },
};

struct attack {
	const struct keeper *keeper;
	struct daemon daemon;
	int fd; // the attacker's end
	size_t n_replies, n_signatures;
};

static void
greet(int fd, enum ipc_role self)
{
	struct raw f;

	attack_greet(&f, self);
	assert_int_equal(attack_send(fd, &f, NULL, 0), 0);
}

// With the descriptor that the message wants, and with others that it does
// not: of ours, and of the keeper's own channel.
static int
send_with(struct attack *a, const struct raw *f, size_t n_foreign)
{
	int pair[2] = { -1, -1 }, fds[5], r;
	size_t n = 0;

	if (attack_wants_fd(f->header.type)) {
		assert_int_equal(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
		    0);
		fds[n++] = pair[0];
	}
	for (size_t i = 0; i < n_foreign; i++)
		fds[n++] = i % 2 == 0 ? STDERR_FILENO : a->fd;
	r = attack_send(a->fd, f, fds, n);
	close_fd(&pair[0]);
	close_fd(&pair[1]);
	return r;
}

// ---- answers

// Reads what is there; each must be an answer that this role may have.
// false: the keeper has closed the channel.
static bool
take_replies(struct attack *a)
{
	struct raw f;
	ssize_t n;
	int passed;

	while ((n = attack_receive(a->fd, &f, &passed)) >= 0) {
		assert_int_equal(passed, -1);
		if (!attack_is_answer(a->keeper->rules, f.header.type))
			fail_msg("%s answered type %u to %s",
			    a->keeper->program, f.header.type,
			    ipc_role_name(a->keeper->self));
		a->n_replies++;
		if (f.header.type == IPC__TYPE__IPC_SIGN_REPLY)
			a->n_signatures++;
	}
	return n == -EAGAIN;
}

// ---- one attack

static void
attack_begin(struct attack *a, const struct keeper *k)
{
	static char program[512];
	char *argv[5] = { (char *)(uintptr_t)k->program };
	struct daemon_options o = {
		.program = program, .argv = argv, .n_channels = k->n_channels
	};
	struct pollfd p;

	(void)snprintf(program, sizeof(program), BUILD_DIR "/%s", k->program);
	for (size_t i = 0; i < N_ELEMENTS(k->args); i++)
		argv[1 + i] = (char *)(uintptr_t)k->args[i];
	*a = (struct attack){ .keeper = k };
	daemon_start(&a->daemon, &o);
	a->fd = a->daemon.fds[k->attacked];
	greet(a->daemon.parent_fd, ROLE_PARENT);
	// Its greeting to us: it serves.
	p = (struct pollfd){ .fd = a->fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	greet(a->fd, k->self);
}

static long
resident_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if ((f = fopen(path, "re")) == NULL)
		return -1;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	(void)fclose(f);
	return kib;
}

static size_t
count_descriptors(pid_t pid)
{
	char path[64];
	struct dirent *e;
	size_t n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	if ((d = opendir(path)) == NULL)
		return 0; // not root
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return n;
}

static void
expect_descriptors(const struct attack *a, size_t most)
{
	size_t n = 0;

	for (unsigned ms = 0; ms < WAIT_MS; ms += STEP_MS) {
		if ((n = count_descriptors(a->daemon.pid)) <= most)
			return;
		(void)poll(NULL, 0, STEP_MS);
	}
	fail_msg(
	    "%s holds %zu descriptors, not %zu", a->keeper->program, n, most);
}

// The parent is still heard, and the end is in order.
static void
attack_end(struct attack *a)
{
	Ipc__Stop stop = IPC__STOP__INIT;
	struct raw f;
	int status = -1;

	assert_int_equal(waitpid(a->daemon.pid, &status, WNOHANG), 0);
	attack_pack(&f, IPC__TYPE__IPC_STOP, &stop.base);
	f.header.request_id = 0;
	assert_int_equal(attack_send(a->daemon.parent_fd, &f, NULL, 0), 0);
	for (unsigned ms = 0; ms < WAIT_MS; ms += STEP_MS) {
		(void)take_replies(a);
		if (waitpid(a->daemon.pid, &status, WNOHANG) == a->daemon.pid)
			break;
		(void)poll(NULL, 0, STEP_MS);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg(
		    "%s ended with %#x", a->keeper->program, (unsigned)status);
	close_fd(&a->daemon.parent_fd);
	for (size_t i = 0; i < a->daemon.n; i++)
		close_fd(&a->daemon.fds[i]);
}

// ---- tests

static void
whatever_is_sent_the_keepers_live_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(keepers); i++)
		for (size_t round = 0; round < ROUNDS; round++) {
			struct attack a;
			struct raw f;

			attack_begin(&a, &keepers[i]);
			for (size_t n = 0; n < MESSAGES; n++) {
				size_t foreign = attack_dice(6) == 0
				    ? 1 + attack_dice(3)
				    : 0;

				attack_next(a.keeper->rules, &f);
				if (send_with(&a, &f, foreign) < 0)
					break;
				if (attack_dice(2) == 0 && !take_replies(&a))
					break;
			}
			attack_end(&a);
		}
}

// Nothing but well-formed requests of its own role, as fast as it can.
static void
a_flood_costs_no_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(keepers); i++) {
		const struct keeper *k = &keepers[i];
		struct attack a;
		struct raw f;
		long before;
		size_t fds;

		attack_begin(&a, k);
		// Everything that is made once is there after the first ones.
		for (size_t n = 0; n < 200; n++) {
			attack_well_formed(&f, attack_may_ask(k->rules, n));
			(void)send_with(&a, &f, 0);
			(void)poll(NULL, 0, 1);
			assert_true(take_replies(&a));
		}
		before = resident_kib(a.daemon.pid);
		fds = count_descriptors(a.daemon.pid);
		for (size_t n = 0, left = WAIT_MS; n < FLOOD && left > 0;) {
			attack_well_formed(&f, attack_may_ask(k->rules, n));
			if (send_with(&a, &f, 0) == 0) {
				n++;
				continue;
			}
			// It does not read before we take its answers.
			(void)poll(NULL, 0, 1);
			left--;
			if (!take_replies(&a))
				break; // it may end a flood
		}
		assert_true(
		    resident_kib(a.daemon.pid) - before < GROWTH_MAX_KIB);
		expect_descriptors(&a, fds);
		attack_end(&a);
	}
}

// Asks and never reads: the answers must not pile up for ever.
static void
who_reads_no_answer_is_bounded(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(keepers); i++) {
		const struct keeper *k = &keepers[i];
		struct attack a;
		struct raw f;
		long before;

		attack_begin(&a, k);
		before = resident_kib(a.daemon.pid);
		for (size_t n = 0, stuck = 0; n < FLOOD && stuck < 50;) {
			int r;

			attack_well_formed(&f, attack_may_ask(k->rules, n));
			r = send_with(&a, &f, 0);
			if (r == 0) {
				n++;
				stuck = 0;
			} else if (r == -EAGAIN) {
				stuck++;
				(void)poll(NULL, 0, 1);
			} else {
				break;
			}
		}
		assert_true(
		    resident_kib(a.daemon.pid) - before < GROWTH_MAX_KIB);
		attack_end(&a);
	}
}

// Descriptors that nobody asked for are closed, on every type.
static void
foreign_descriptors_are_closed(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: only root may look into them\n");
		skip();
	}
	for (size_t i = 0; i < N_ELEMENTS(keepers); i++)
		for (uint16_t type = 0; type < ATTACK_TYPES_END; type++) {
			struct attack a;
			struct raw f;
			size_t fds;

			attack_begin(&a, &keepers[i]);
			(void)poll(NULL, 0, 2);
			fds = count_descriptors(a.daemon.pid);
			attack_well_formed(&f, type);
			for (size_t n = 1; n <= 4; n *= 2)
				(void)send_with(&a, &f, n);
			(void)poll(NULL, 0, 2);
			expect_descriptors(&a, fds);
			attack_end(&a);
		}
}

// Of all that can be put before it, only true handshakes are signed.
static void
nothing_but_a_handshake_is_signed(void **state)
{
	const struct keeper *k = &keepers[2];
	struct attack a;
	struct raw f;

	(void)state;
	for (size_t round = 0; round < 4 * (size_t)ROUNDS; round++) {
		attack_begin(&a, k);
		attack_almost_a_handshake(&f);
		(void)send_with(&a, &f, 0);
		for (unsigned ms = 0; ms < WAIT_MS && take_replies(&a);
		     ms += STEP_MS)
			(void)poll(NULL, 0, STEP_MS);
		assert_int_equal(a.n_signatures, 0);
		attack_end(&a);
	}
	attack_begin(&a, k);
	attack_well_formed(&f, IPC__TYPE__IPC_SIGN_REQUEST);
	assert_int_equal(send_with(&a, &f, 0), 0);
	for (unsigned ms = 0; ms < WAIT_MS && a.n_signatures == 0;
	     ms += STEP_MS) {
		assert_true(take_replies(&a));
		(void)poll(NULL, 0, STEP_MS);
	}
	assert_int_equal(a.n_signatures, 1);
	attack_end(&a);
}

static int
setup(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "identity", "sequence" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_is_sent_the_keepers_live_on),
		cmocka_unit_test(a_flood_costs_no_memory),
		cmocka_unit_test(who_reads_no_answer_is_bounded),
		cmocka_unit_test(foreign_descriptors_are_closed),
		cmocka_unit_test(nothing_but_a_handshake_is_signed),
	};

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
