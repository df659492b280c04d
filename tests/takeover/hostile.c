// A daemon that was taken over: its own start, its own sandbox, its own
// channels, and an attacker in the place of its loop.  Which attack is said
// by a file PROGRAM.attack, read before main(): the suite gives a daemon
// neither arguments nor variables of a test's choosing.
//
// It writes lines to the log: takeover-broken, when somebody answered what it
// must not; takeover-done, at the end of the attack.  It never ends by itself.
#include "tests/takeover/hostile.h"

#undef event_base_dispatch

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/process.h"
#include "tests/takeover/attack.h"
#include "tests/takeover/liar.h"

enum {
	SETTLE_MS = 1500, // greetings, first answers
	ATTACK_MS = 3000,
	NOISE_MESSAGES = 400,
	REMEMBERED = 4096, // more than the channel holds
};

struct target {
	const char *name;
	int fd;
	const struct attack_rules *rules;
};

#ifdef HOSTILE_GOSSIPD
#define PEER_FD 6 // proxyd
static const struct target targets[] = {
	{ "cryptod", 4, &attack_cryptod_gossipd },
	{ "cryptod-tls", 5, &attack_cryptod_tls },
	{ "proxyd", PEER_FD, &attack_proxyd_gossipd },
	{ "signer", 7, &attack_signer_gossipd },
};
#else
static const struct target targets[] = {
	{ "cryptod", 4, &attack_cryptod_proxyd },
	{ "gossipd", 5, &attack_gossipd_proxyd },
	{ "verifier", 6, &attack_verifier_proxyd },
};
#endif

static char attack[16] = "none";
static unsigned n_sent, n_answers, n_signatures, n_closed;

// Handshakes that may be signed, by their request.
static uint32_t good_handshakes[REMEMBERED];
static size_t n_handshakes;

__attribute__((constructor)) static void
read_attack(void)
{
	char path[4096 + 8];
	ssize_t n = readlink("/proc/self/exe", path, 4096);
	int fd;

	if (n <= 0)
		return;
	memcpy(path + n, ".attack", sizeof(".attack"));
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return;
	n = read(fd, attack, sizeof(attack) - 1);
	attack[n < 0 ? 0 : n] = '\0';
	(void)close(fd);
}

static void
broken(const struct target *t, uint16_t type, const char *why)
{
	attack_say(
	    "error hostile takeover-broken by=%s type=%u reason=\"%s\"\n",
	    t->name, type, why);
}

static bool
was_good_handshake(uint32_t id)
{
	size_t n = n_handshakes < REMEMBERED ? n_handshakes : REMEMBERED;

	for (size_t i = 1; i <= n; i++)
		if (good_handshakes[(n_handshakes - i) % REMEMBERED] == id)
			return true;
	return false;
}

// false: the other end has closed.
static bool
take_answers(const struct target *t)
{
	struct raw f;
	ssize_t n;
	int passed;

	while ((n = attack_receive(t->fd, &f, &passed)) >= 0) {
		if (passed != -1)
			(void)close(passed);
		n_answers++;
		if (!attack_is_answer(t->rules, f.header.type))
			broken(t, f.header.type, "not for this role");
		if (f.header.type != IPC__TYPE__IPC_SIGN_REPLY)
			continue;
		n_signatures++;
		if (!was_good_handshake(f.header.request_id))
			broken(t, f.header.type, "signed something else");
	}
	return n == -EAGAIN;
}

// The descriptors that a message wants, and foreign ones: whatever it has.
static int
send_with(const struct target *t, const struct raw *f, size_t n_foreign)
{
	int pair[2] = { -1, -1 }, fds[5], r;
	size_t n = 0;

	if (attack_wants_fd(f->header.type) &&
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		pair) == 0)
		fds[n++] = pair[0];
	for (size_t i = 0; i < n_foreign; i++)
		fds[n++] = i % 2 == 0 ? t->fd : PROCESS_PARENT_FD;
	r = attack_send(t->fd, f, fds, n);
	close_fd(&pair[0]);
	close_fd(&pair[1]);
	if (r == 0)
		n_sent++;
	return r;
}

// Only what may be asked, as fast as it goes.
static void
flood(bool reads_answers)
{
	uint64_t until = clock_mono_ms() + ATTACK_MS;
	struct raw f;

	for (size_t turn = 0; clock_mono_ms() < until; turn++) {
		const struct target *t = &targets[turn % N_ELEMENTS(targets)];
		uint16_t type = attack_may_ask(t->rules, turn);

		attack_well_formed(&f, type);
		if (type == IPC__TYPE__IPC_SIGN_REQUEST)
			good_handshakes[n_handshakes++ % REMEMBERED] =
			    f.header.request_id;
		if (send_with(t, &f, 0) == -EAGAIN)
			(void)poll(NULL, 0, 1);
		if (reads_answers)
			(void)take_answers(t);
	}
}

// Anything, on one channel after the other, until it is closed.
static void
noise(void)
{
	struct raw f;

	for (size_t i = 0; i < N_ELEMENTS(targets); i++) {
		const struct target *t = &targets[i];
		bool open = true;

		for (size_t n = 0; n < NOISE_MESSAGES && open; n++) {
			size_t foreign =
			    attack_dice(6) == 0 ? 1 + attack_dice(3) : 0;

			attack_next(t->rules, &f);
			if (attack_is_handshake(&f))
				good_handshakes[n_handshakes++ % REMEMBERED] =
				    f.header.request_id;
			if (send_with(t, &f, foreign) == -EAGAIN)
				(void)poll(NULL, 0, 1);
			open = take_answers(t);
		}
		n_closed += !open;
	}
}

static void
wait_for_stop(void)
{
	struct pollfd p = { .fd = PROCESS_PARENT_FD, .events = POLLIN };
	struct raw f;
	int passed;

	for (;;) {
		(void)poll(&p, 1, 100);
		switch (attack_receive(PROCESS_PARENT_FD, &f, &passed)) {
		case -EAGAIN:
			break;
		case -EPIPE:
			return;
		default:
			if (f.header.type == IPC__TYPE__IPC_STOP)
				return;
		}
	}
}

static void
settle(struct event_base *base)
{
	uint64_t until = clock_mono_ms() + SETTLE_MS;

	while (clock_mono_ms() < until) {
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
		(void)poll(NULL, 0, 2);
	}
}

int
hostile_dispatch(struct event_base *base)
{
	settle(base);
	if (strcmp(attack, "flood") == 0)
		flood(true);
	else if (strcmp(attack, "deaf") == 0)
		flood(false);
	else if (strncmp(attack, "noise ", 6) == 0) {
		attack_seed(strtoull(attack + 6, NULL, 10));
		noise();
	}
#ifdef HOSTILE_GOSSIPD
	else if (strcmp(attack, "lies") == 0)
		liar_run(PEER_FD);
#endif
	attack_say(
	    "info hostile takeover-done attack=\"%s\" sent=%u answers=%u "
	    "signatures=%u closed=%u\n",
	    attack, n_sent, n_answers, n_signatures, n_closed);
	wait_for_stop();
	exit(EXIT_SUCCESS);
}
