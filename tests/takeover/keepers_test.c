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

#include "common/build_id.h"
#include "common/sizes.h"
#include "tests/sandbox/daemon.h"

enum {
	ROUNDS = 20,	// of each channel and manner
	MESSAGES = 300, // of one attack, unless the channel is closed
	FLOOD = 5000,	// of allowed requests
	REPLIES_MAX = 16384,
	WAIT_MS = 5000,
	STEP_MS = 2,
	// The replay memory is touched page by page, 32 MiB at most.
	GROWTH_MAX_KIB = 36 * 1024,
	TYPES_END = 64, // beyond the last type
	HANDSHAKE_LEN = 146,
};

static char dir[] = "/tmp/takeover_test.XXXXXX";
static uint64_t random_state = 1;

// The same attacks in every run.
static uint32_t
dice(uint32_t n)
{
	random_state =
	    random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

// ---- the keepers

struct keeper {
	const char *program;
	const char *args[3];
	size_t n_channels;
	size_t attacked; // index of the channel
	enum ipc_role self;
	// What may come back on it, besides the greeting.
	uint16_t answers[3];
	// What the attacked role may ask, well-formed; 0: nothing.
	uint16_t may_ask[3];
	bool signs;
};

static const struct keeper keepers[] = {
	{ "meshllm-cryptod", { "--state-dir", dir }, 4, 0, ROLE_PROXYD,
	    { IPC__TYPE__IPC_KEYS_REPLY, IPC__TYPE__IPC_SEAL_REPLY,
		IPC__TYPE__IPC_OPEN_REPLY },
	    { IPC__TYPE__IPC_KEYS_REQUEST, IPC__TYPE__IPC_SEAL_REQUEST,
		IPC__TYPE__IPC_OPEN_REQUEST },
	    false },
	{ "meshllm-cryptod", { "--state-dir", dir }, 4, 1, ROLE_GOSSIPD,
	    { IPC__TYPE__IPC_KEYS_REPLY, IPC__TYPE__IPC_ANNOUNCE_REPLY },
	    { IPC__TYPE__IPC_KEYS_REQUEST, IPC__TYPE__IPC_ANNOUNCE_REQUEST },
	    false },
	{ "meshllm-cryptod", { "--state-dir", dir }, 4, 2, ROLE_GOSSIPD_TLS,
	    { IPC__TYPE__IPC_SIGN_REPLY }, { IPC__TYPE__IPC_SIGN_REQUEST },
	    true },
	{ "meshllm-attestd", { "--role=signer" }, 2, 1, ROLE_GOSSIPD,
	    { IPC__TYPE__IPC_EVIDENCE_REPLY },
	    { IPC__TYPE__IPC_EVIDENCE_REQUEST }, false },
	{ "meshllm-attestd", { "--role=verifier" }, 1, 0, ROLE_PROXYD,
	    { IPC__TYPE__IPC_VERDICT_REPLY },
	    { IPC__TYPE__IPC_VERDICT_REQUEST }, false },
};

struct attack {
	const struct keeper *keeper;
	struct daemon daemon;
	int fd; // the attacker's end
	size_t n_replies, n_signatures;
	uint8_t content[HANDSHAKE_LEN]; // of the last handshake
	uint8_t endpoint_id[ENDPOINT_ID_LEN];
};

// ---- raw frames

struct raw {
	struct ipc_header header;
	uint8_t body[IPC_BODY_MAX + 512];
	size_t len;
};

static int
send_raw(int fd, const struct raw *f, size_t n_fds)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = { 0 };
	struct iovec iov[2] = { { (void *)(uintptr_t)&f->header,
				    sizeof(f->header) },
		{ (void *)(uintptr_t)f->body, f->len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct cmsghdr *c;
	int fds[8];

	for (size_t i = 0; i < n_fds; i++)
		fds[i] = i % 2 == 0 ? STDERR_FILENO : fd;
	if (n_fds > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	if (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		return -errno;
	return 0;
}

static void
pack(struct raw *f, uint16_t type, const ProtobufCMessage *msg)
{
	f->header = (struct ipc_header){ .type = type,
		.request_id = 1 + dice(1 << 30) };
	f->len = protobuf_c_message_pack(msg, f->body);
}

static void
greet(int fd, enum ipc_role self)
{
	Ipc__Hello hello = IPC__HELLO__INIT;
	struct raw f;

	hello.build_id.data = (uint8_t *)(uintptr_t)build_id;
	hello.build_id.len = sizeof(build_id);
	hello.role = (uint32_t)self;
	pack(&f, IPC__TYPE__IPC_HELLO, &hello.base);
	f.header.request_id = 0;
	assert_int_equal(send_raw(fd, &f, 0), 0);
}

// What a TLS 1.3 server signs (RFC 8446, section 4.4.3).
static void
handshake(uint8_t ret[static HANDSHAKE_LEN])
{
	memset(ret, ' ', 64);
	memcpy(ret + 64, "TLS 1.3, server CertificateVerify", 34);
	for (size_t i = 98; i < HANDSHAKE_LEN; i++)
		ret[i] = (uint8_t)dice(256);
}

static void
well_formed(struct attack *a, struct raw *f, uint16_t type)
{
	Ipc__SealRequest seal = IPC__SEAL_REQUEST__INIT;
	Ipc__OpenRequest open_it = IPC__OPEN_REQUEST__INIT;
	Ipc__SignRequest sign = IPC__SIGN_REQUEST__INIT;
	Ipc__VerdictRequest verdict = IPC__VERDICT_REQUEST__INIT;
	Ipc__KeysRequest nothing = IPC__KEYS_REQUEST__INIT;
	const ProtobufCMessage *msg = &nothing.base;
	uint8_t key[32];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = dice(4) == 0 ? 0 : (uint8_t)dice(256);
	seal.recipient_key = open_it.ephemeral_key = verdict.endpoint_id =
	    verdict.inference_key = (ProtobufCBinaryData){ sizeof(key), key };
	handshake(a->content);
	sign.content = (ProtobufCBinaryData){ HANDSHAKE_LEN, a->content };
	if (type == IPC__TYPE__IPC_SEAL_REQUEST)
		msg = &seal.base;
	else if (type == IPC__TYPE__IPC_OPEN_REQUEST)
		msg = &open_it.base;
	else if (type == IPC__TYPE__IPC_SIGN_REQUEST)
		msg = &sign.base;
	else if (type == IPC__TYPE__IPC_VERDICT_REQUEST)
		msg = &verdict.base;
	pack(f, type, msg);
}

static void
malformed(struct raw *f)
{
	f->header = (struct ipc_header){ .type = (uint16_t)dice(TYPES_END),
		.zero = dice(8) == 0 ? 1 : 0,
		.request_id = dice(2) == 0 ? 0 : dice(1000) };
	f->len = dice(4) == 0 ? dice(sizeof(f->body)) : dice(160);
	for (size_t i = 0; i < f->len; i++)
		f->body[i] = (uint8_t)dice(256);
}

// A real handshake with one thing wrong, or something else to sign.
static void
almost_a_handshake(struct attack *a, struct raw *f)
{
	static const char other[] = "meshllm announcement";

	well_formed(a, f, IPC__TYPE__IPC_SIGN_REQUEST);
	switch (dice(4)) {
	case 0: // a byte of what is fixed
		f->body[3 + dice(98)] ^= (uint8_t)(1 + dice(255));
		break;
	case 1:				// shorter, with the length of the field
		f->len -= 1 + dice(15); // 16: one with SHA-256
		f->body[1] = (uint8_t)(0x80 | (f->len - 3));
		break;
	case 2: // the text of another statement
		memcpy(f->body + 3 + 64, other, sizeof(other));
		break;
	default: // the zero before the hash
		f->body[3 + 97] = 1;
	}
}

// ---- answers

static bool
is_answer(const struct keeper *k, uint16_t type)
{
	if (type == IPC__TYPE__IPC_HELLO || type == IPC__TYPE__IPC_KEY_CHANGED)
		return true;
	for (size_t i = 0; i < N_ELEMENTS(k->answers); i++)
		if (k->answers[i] != 0 && k->answers[i] == type)
			return true;
	return false;
}

// Reads what is there; each must be an answer that this role may have.
// false: the keeper has closed the channel.
static bool
take_replies(struct attack *a)
{
	struct raw f;
	ssize_t n;

	while ((n = recv(a->fd, &f, sizeof(f.header) + sizeof(f.body),
		    MSG_DONTWAIT)) > 0) {
		assert_true((size_t)n >= sizeof(f.header));
		if (!is_answer(a->keeper, f.header.type))
			fail_msg("%s answered type %u to %s",
			    a->keeper->program, f.header.type,
			    ipc_role_name(a->keeper->self));
		a->n_replies++;
		if (f.header.type == IPC__TYPE__IPC_SIGN_REPLY)
			a->n_signatures++;
	}
	return n == -1 && errno == EAGAIN;
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
	pack(&f, IPC__TYPE__IPC_STOP, &stop.base);
	f.header.request_id = 0;
	assert_int_equal(send_raw(a->daemon.parent_fd, &f, 0), 0);
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

static size_t
count(const uint16_t *types, size_t n)
{
	size_t k = 0;

	while (k < n && types[k] != 0)
		k++;
	return k;
}

// The next message of an attacker who does anything.
static void
next_message(struct attack *a, struct raw *f)
{
	const struct keeper *k = a->keeper;
	uint16_t allowed = k->may_ask[dice((uint32_t)count(k->may_ask, 3))];

	switch (dice(8)) {
	case 0:
		malformed(f);
		break;
	case 1: // well-formed, of any type
		well_formed(a, f, (uint16_t)(1 + dice(TYPES_END)));
		break;
	case 2:
		almost_a_handshake(a, f);
		break;
	case 3: // as an answer, or as a notice
		well_formed(a, f, allowed);
		f->header.request_id = dice(3);
		break;
	case 4: // cut or with something behind it
		well_formed(a, f, allowed);
		f->len = dice((uint32_t)f->len + 40);
		break;
	default:
		well_formed(a, f, allowed);
	}
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
				next_message(&a, &f);
				if (send_raw(a.fd, &f,
					dice(6) == 0 ? 1 + dice(3) : 0) < 0)
					break;
				if (dice(2) == 0 && !take_replies(&a))
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
			well_formed(
			    &a, &f, k->may_ask[n % count(k->may_ask, 3)]);
			(void)send_raw(a.fd, &f, 0);
			(void)poll(NULL, 0, 1);
			assert_true(take_replies(&a));
		}
		before = resident_kib(a.daemon.pid);
		fds = count_descriptors(a.daemon.pid);
		for (size_t n = 0, left = WAIT_MS; n < FLOOD && left > 0;) {
			well_formed(
			    &a, &f, k->may_ask[n % count(k->may_ask, 3)]);
			if (send_raw(a.fd, &f, 0) == 0) {
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

			well_formed(
			    &a, &f, k->may_ask[n % count(k->may_ask, 3)]);
			r = send_raw(a.fd, &f, 0);
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
		for (uint16_t type = 0; type < TYPES_END; type++) {
			struct attack a;
			struct raw f;
			size_t fds;

			attack_begin(&a, &keepers[i]);
			(void)poll(NULL, 0, 2);
			fds = count_descriptors(a.daemon.pid);
			well_formed(&a, &f, type);
			for (size_t n = 1; n <= 8; n *= 2)
				(void)send_raw(a.fd, &f, n);
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
		almost_a_handshake(&a, &f);
		(void)send_raw(a.fd, &f, 0);
		for (unsigned ms = 0; ms < WAIT_MS && take_replies(&a);
		     ms += STEP_MS)
			(void)poll(NULL, 0, STEP_MS);
		assert_int_equal(a.n_signatures, 0);
		attack_end(&a);
	}
	attack_begin(&a, k);
	well_formed(&a, &f, IPC__TYPE__IPC_SIGN_REQUEST);
	assert_int_equal(send_raw(a.fd, &f, 0), 0);
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
