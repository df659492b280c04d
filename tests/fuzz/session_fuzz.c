// Target: attestd/session.c as a host talks to it: the input is all that the
// host says, in pieces of any size.  Whatever the bytes: one answer to proxyd,
// of the lowest level, and nothing left of the session.
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>

#include "attestd/attestd.h"
#include "common/log.h"
#include "common/loop.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_peer.h"

static struct attestd d;
static struct fuzz_peers peers;

static void
check(bool promise)
{
	if (!promise)
		abort();
}

static void
start(void)
{
	struct event_base *base = NULL;
	const struct attestd_role *role = attestd_find_role("verifier");

	log_set_level(LOG_ERROR);
	check(sodium_init() != -1 && loop_new(&base) == 0);
	attestd_init(&d, role, base);
	check(sessions_new(&d.sessions) == 0);
	check(trust_store_init(&d.trust, NULL) == 0);
	fuzz_peers_init(&peers, ROLE_VERIFIER, role->rules, role->n_rules, &d);
	d.peers[ROLE_PROXYD] = peers.peers[ROLE_PROXYD][1];
}

static void
begin(int fd)
{
	static struct ipc_frame frame;
	uint8_t zeros[32] = { 0 };
	ProtobufCBinaryData bytes = { sizeof(zeros), zeros };
	Ipc__SessionRequest request = IPC__SESSION_REQUEST__INIT;

	request.endpoint_id = request.inference_key = request.binding = bytes;
	frame.header =
	    (struct ipc_header){ .type = IPC__TYPE__IPC_SESSION_REQUEST,
		    .request_id = 7 };
	frame.fd = fd;
	frame.body_len = ipc__session_request__pack(&request, frame.body);
	check(ipc_dispatch(d.peers[ROLE_PROXYD], &frame) == 0);
}

static void
turn(void)
{
	check(event_base_loop(d.base, EVLOOP_NONBLOCK) != -1);
}

// The first byte is the size of the pieces.
static void
play(int fd, const uint8_t *data, size_t size)
{
	size_t piece = size == 0 ? 1 : (size_t)data[0] * 16 + 1;

	for (size_t at = 1; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		if (send(fd, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) !=
		    (ssize_t)n)
			return; // the session is over
		turn();
	}
}

static void
check_answer(void)
{
	static uint8_t bytes[sizeof(struct ipc_header) + IPC_BODY_MAX];
	const size_t head = sizeof(struct ipc_header);
	int fd = peers.others[ROLE_PROXYD][1];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	Ipc__SessionReply *reply;

	check(n > (ssize_t)head);
	reply =
	    ipc__session_reply__unpack(NULL, (size_t)n - head, bytes + head);
	check(reply != NULL && reply->level == IPC__LEVEL__LEVEL_NONE);
	ipc__session_reply__free_unpacked(reply, NULL);
	check(recv(fd, bytes, 1, MSG_DONTWAIT) == -1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t node[32];
	int pair[2];

	if (d.base == NULL)
		start();
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		  pair) == 0);
	begin(pair[1]);
	play(pair[0], data, size);
	(void)close(pair[0]);
	// Whatever is left is read, a piece a turn, and then the end.
	for (int i = 0; i < 300; i++)
		turn();
	check_answer();
	held_forget(&d.held, node);
	check(d.held.n == 0 && d.held.bytes == 0);
	return 0;
}
