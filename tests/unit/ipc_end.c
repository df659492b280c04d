// One end of a channel is a peer in a loop, the other a bare socket of the
// test, which can send what no peer would.
#include "tests/unit/ipc_end.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "common/build_id.h"
#include "common/loop.h"

enum { FRAME_HEADER = sizeof(struct ipc_header) };

static int
on_ready(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct end *e = ipc_peer_daemon(peer);

	(void)frame;
	(void)msg;
	e->n_ready++;
	if (e->free_in_handler) {
		ipc_peer_free(peer);
		e->peer = NULL;
	}
	return 0;
}

static int
on_stop(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct end *e = ipc_peer_daemon(peer);
	Ipc__Stop reply = IPC__STOP__INIT;

	(void)msg;
	e->n_stops++;
	if (frame->header.request_id == 0)
		return 0;
	return ipc_reply(peer, frame, IPC__TYPE__IPC_STOP, &reply.base);
}

static int
on_tunnel(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct end *e = ipc_peer_daemon(peer);

	(void)msg;
	e->passed = take_fd(&frame->fd);
	return 0;
}

// clang-format off
const struct ipc_rule end_rules[END_N_RULES] = {
	{ IPC__TYPE__IPC_READY, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = 64,
	    .descriptor = &ipc__ready__descriptor, .handle = on_ready },
	{ IPC__TYPE__IPC_STOP, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = 0,
	    .descriptor = &ipc__stop__descriptor, .handle = on_stop },
	{ IPC__TYPE__IPC_TUNNEL_INBOUND, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = 45, .n_fds = 1,
	    .descriptor = &ipc__tunnel_inbound__descriptor,
	    .handle = on_tunnel },
	{ IPC__TYPE__IPC_TUNNEL_REPLY, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = 16, .is_reply = true,
	    .descriptor = &ipc__tunnel_reply__descriptor },
	{ IPC__TYPE__IPC_SELF_MODELS, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = IPC_BODY_MAX,
	    .descriptor = &ipc__self_models__descriptor, .handle = on_stop },
};
// clang-format on

static void
on_closed(struct ipc_peer *peer, int reason)
{
	struct end *e = ipc_peer_daemon(peer);

	e->peer = NULL;
	e->reason = reason;
	e->n_closed++;
}

void
end_on_reply(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct end *e = arg;

	assert_true((status == 0) == (frame != NULL));
	assert_true((status == 0) == (msg != NULL));
	e->n_replies++;
	e->status = status;
}

void
end_send_bytes(
    int fd, const void *bytes, size_t len, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(4 * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (n_fds > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), (ssize_t)len);
}

void
end_send_frame(struct end *e, uint16_t type, uint32_t id,
    const ProtobufCMessage *msg, const int *fds, size_t n_fds)
{
	struct ipc_header header = { .type = type, .request_id = id };
	uint8_t bytes[FRAME_HEADER + IPC_BODY_MAX];
	size_t len = protobuf_c_message_get_packed_size(msg);

	assert_true(len <= IPC_BODY_MAX);
	memcpy(bytes, &header, sizeof(header));
	(void)protobuf_c_message_pack(msg, bytes + sizeof(header));
	end_send_bytes(e->other, bytes, sizeof(header) + len, fds, n_fds);
}

void
end_send_hello(struct end *e, uint32_t role, uint8_t damage)
{
	Ipc__Hello hello = IPC__HELLO__INIT;
	uint8_t id[sizeof(build_id)];

	memcpy(id, build_id, sizeof(id));
	id[0] ^= damage;
	hello.role = role;
	hello.build_id.data = id;
	hello.build_id.len = sizeof(id);
	end_send_frame(e, IPC__TYPE__IPC_HELLO, 0, &hello.base, NULL, 0);
}

void
end_send_stop(struct end *e, uint32_t id)
{
	Ipc__Stop stop = IPC__STOP__INIT;

	end_send_frame(e, IPC__TYPE__IPC_STOP, id, &stop.base, NULL, 0);
}

void
end_run(struct end *e)
{
	assert_int_not_equal(
	    event_base_loop(e->base, EVLOOP_NONBLOCK | EVLOOP_ONCE), -1);
}

size_t
count_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

int
end_setup(void **state)
{
	struct end *e = calloc(1, sizeof(*e));
	struct ipc_channel_config config = { .self = ROLE_PROXYD,
		.role = ROLE_GOSSIPD,
		.rules = end_rules,
		.n_rules = END_N_RULES,
		.daemon = e,
		.closed = on_closed };
	int pair[2], size = END_BUFFER;
	uint8_t sink[128];

	if (e == NULL || loop_new(&e->base) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		return -1;
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	e->passed = -1;
	e->other = pair[1];
	config.fd = pair[0];
	config.base = e->base;
	if (ipc_peer_new(&e->peer, &config) < 0)
		return -1;
	// Its Hello.
	if (recv(e->other, sink, sizeof(sink), 0) <= 0)
		return -1;
	*state = e;
	return 0;
}

int
end_setup_serving(void **state)
{
	struct end *e;

	if (end_setup(state) < 0)
		return -1;
	e = *state;
	end_send_hello(e, ROLE_GOSSIPD, 0);
	end_run(e);
	return e->peer == NULL ? -1 : 0;
}

int
end_teardown(void **state)
{
	struct end *e = *state;

	ipc_peer_free(e->peer);
	event_base_free(e->base);
	close_fd(&e->other);
	close_fd(&e->passed);
	free(e);
	return 0;
}

uint32_t
end_ask(struct end *e, unsigned deadline_ms)
{
	Ipc__Stop msg = IPC__STOP__INIT;
	uint32_t id = 0;

	assert_int_equal(
	    ipc_call(e->peer, IPC__TYPE__IPC_TUNNEL_REQUEST, &msg.base, -1,
		IPC__TYPE__IPC_TUNNEL_REPLY, deadline_ms, end_on_reply, e, &id),
	    0);
	return id;
}

void
end_answer(struct end *e, uint32_t id)
{
	Ipc__TunnelReply reply = IPC__TUNNEL_REPLY__INIT;

	reply.result = IPC__RESULT__RESULT_OK;
	end_send_frame(
	    e, IPC__TYPE__IPC_TUNNEL_REPLY, id, &reply.base, NULL, 0);
}

void
end_assert_closed(struct end *e, int reason)
{
	uint8_t byte;

	assert_null(e->peer);
	assert_int_equal(e->n_closed, 1);
	assert_int_equal(e->reason, reason);
	// The other end sees it too, behind what was sent before.
	while (recv(e->other, &byte, 1, MSG_DONTWAIT) > 0)
		;
	assert_true(
	    recv(e->other, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET);
}
