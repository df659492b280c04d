// Hands a fuzzer's bytes to ipc_dispatch as a frame of some peer, and checks
// what holds for every daemon.  Nothing is mocked below the rule table.
#include "tests/fuzz/fuzz_peer.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "common/build_id.h"

enum { CHOICES = 3 };

static void
check(bool promise)
{
	if (!promise)
		abort();
}

static void
greet(struct ipc_peer *peer, enum ipc_role role)
{
	static struct ipc_frame frame;
	Ipc__Hello hello = IPC__HELLO__INIT;

	hello.role = (uint32_t)role;
	hello.build_id.data = (uint8_t *)(uintptr_t)build_id;
	hello.build_id.len = sizeof(build_id);
	frame.header = (struct ipc_header){ .type = IPC__TYPE__IPC_HELLO };
	frame.fd = -1;
	frame.body_len = ipc__hello__pack(&hello, frame.body);
	check(ipc_dispatch(peer, &frame) == 0);
}

static void
drop_answers(int fd)
{
	uint8_t sink[64];

	while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) >= 0)
		;
}

void
fuzz_peers_init(struct fuzz_peers *p, enum ipc_role self,
    const struct ipc_rule *rules, size_t n_rules, void *daemon)
{
	struct ipc_channel_config config = { .self = self,
		.rules = rules,
		.n_rules = n_rules,
		.daemon = daemon };
	int pair[2];

	for (unsigned role = 0; role < ROLE_MAX; role++) {
		for (unsigned phase = 0; phase < 2; phase++) {
			check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC,
				  0, pair) == 0);
			config.fd = pair[0];
			config.role = (enum ipc_role)role;
			p->others[role][phase] = pair[1];
			check(
			    ipc_peer_new(&p->peers[role][phase], &config) == 0);
			if (phase == 1)
				greet(p->peers[role][phase], config.role);
			drop_answers(pair[1]);
		}
	}
}

static void
read_answer(int fd, struct fuzz_result *r)
{
	struct iovec iov[2] = { { &r->answer, sizeof(r->answer) },
		{ r->answer_body, sizeof(r->answer_body) } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

	r->answer.type = n < 0 ? 0 : r->answer.type;
	if (n < 0)
		return;
	check((size_t)n >= sizeof(r->answer));
	r->answer_len = (size_t)n - sizeof(r->answer);
	check(recv(fd, r->answer_body, 0, MSG_DONTWAIT) == -1);
}

void
fuzz_peers_send(struct fuzz_peers *p, const uint8_t *data, size_t size,
    struct fuzz_result *ret)
{
	static struct ipc_frame frame;
	unsigned role, phase;
	int fd = -1;

	*ret = (struct fuzz_result){ 0 };
	if (size < CHOICES)
		return;
	role = data[0] % ROLE_MAX;
	phase = data[1] & 1;
	if ((data[1] & 2) != 0)
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	frame.header = (struct ipc_header){ .type = data[2], .request_id = 7 };
	frame.header.zero = (data[1] & 4) != 0;
	frame.fd = fd;
	frame.body_len = size - CHOICES;
	if (frame.body_len > sizeof(frame.body))
		frame.body_len = sizeof(frame.body);
	memcpy(frame.body, data + CHOICES, frame.body_len);
	// A Hello would end the greeting for all inputs to come.
	if (frame.header.type == IPC__TYPE__IPC_HELLO)
		phase = 1;
	ret->role = (enum ipc_role)role;
	ret->phase = phase == 0 ? IPC_GREETING : IPC_SERVING;
	ret->type = frame.header.type;
	// What was said unasked since is no answer.
	drop_answers(p->others[role][phase]);
	ret->result = ipc_dispatch(p->peers[role][phase], &frame);
	check(frame.fd == -1);
	check(fd == -1 || fcntl(fd, F_GETFD) == -1);
	read_answer(p->others[role][phase], ret);
	check(ret->result == 0 || ret->answer.type == 0);
	check(ret->answer.type == 0 || ret->answer.request_id == 7);
	check(phase == 1 || ret->result != 0);
}
