// Channels: what holds for every daemon, whatever its rules.
#include "common/ipc.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "common/build_id.h"
#include "common/loop.h"
#include "common/process.h"
#include "tests/unit/rules_check.h"

enum {
	SMALL_BUFFER = 4096,
	FRAME_HEADER = sizeof(struct ipc_header),
	SHORT_MS = 30,
	LONG_MS = 60 * 1000,
};

// One end is a peer in a loop, the other a bare socket of the test.
struct end {
	struct event_base *base;
	struct ipc_peer *peer; // NULL once closed
	int other;
	int reason; // of closed()
	unsigned n_closed, n_ready, n_stops, n_replies;
	int status; // of the last reply
	int passed; // descriptor that a handler took
	bool free_in_handler;
};

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
static const struct ipc_rule rules[] = {
	{ IPC__TYPE__IPC_READY, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = 64,
	    .descriptor = &ipc__ready__descriptor, .handle = on_ready },
	{ IPC__TYPE__IPC_STOP, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = 0,
	    .descriptor = &ipc__stop__descriptor, .handle = on_stop },
	{ IPC__TYPE__IPC_TUNNEL_INBOUND, .from = FROM(ROLE_GOSSIPD),
	    .phases = IPC_SERVING, .max_body = 34, .n_fds = 1,
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

static void
on_reply(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct end *e = arg;

	assert_true((status == 0) == (frame != NULL));
	assert_true((status == 0) == (msg != NULL));
	e->n_replies++;
	e->status = status;
}

static void
send_bytes(int fd, const void *bytes, size_t len, const int *fds, size_t n_fds)
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

static void
send_frame(struct end *e, uint16_t type, uint32_t id,
    const ProtobufCMessage *msg, const int *fds, size_t n_fds)
{
	struct ipc_header header = { .type = type, .request_id = id };
	uint8_t bytes[FRAME_HEADER + IPC_BODY_MAX];
	size_t len = protobuf_c_message_get_packed_size(msg);

	assert_true(len <= IPC_BODY_MAX);
	memcpy(bytes, &header, sizeof(header));
	(void)protobuf_c_message_pack(msg, bytes + sizeof(header));
	send_bytes(e->other, bytes, sizeof(header) + len, fds, n_fds);
}

static void
send_hello(struct end *e, uint32_t role, uint8_t damage)
{
	Ipc__Hello hello = IPC__HELLO__INIT;
	uint8_t id[sizeof(build_id)];

	memcpy(id, build_id, sizeof(id));
	id[0] ^= damage;
	hello.role = role;
	hello.build_id.data = id;
	hello.build_id.len = sizeof(id);
	send_frame(e, IPC__TYPE__IPC_HELLO, 0, &hello.base, NULL, 0);
}

static void
send_stop(struct end *e, uint32_t id)
{
	Ipc__Stop stop = IPC__STOP__INIT;

	send_frame(e, IPC__TYPE__IPC_STOP, id, &stop.base, NULL, 0);
}

static void
run(struct end *e)
{
	assert_int_not_equal(
	    event_base_loop(e->base, EVLOOP_NONBLOCK | EVLOOP_ONCE), -1);
}

static size_t
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

static int
setup(void **state)
{
	struct end *e = calloc(1, sizeof(*e));
	struct ipc_channel_config config = { .self = ROLE_PROXYD,
		.role = ROLE_GOSSIPD,
		.rules = rules,
		.n_rules = N_ELEMENTS(rules),
		.daemon = e,
		.closed = on_closed };
	int pair[2], size = SMALL_BUFFER;
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

static int
setup_serving(void **state)
{
	struct end *e;

	if (setup(state) < 0)
		return -1;
	e = *state;
	send_hello(e, ROLE_GOSSIPD, 0);
	run(e);
	return e->peer == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	struct end *e = *state;

	ipc_peer_free(e->peer);
	event_base_free(e->base);
	close_fd(&e->other);
	close_fd(&e->passed);
	free(e);
	return 0;
}

static uint32_t
ask(struct end *e, unsigned deadline_ms)
{
	Ipc__Stop msg = IPC__STOP__INIT;
	uint32_t id = 0;

	assert_int_equal(
	    ipc_call(e->peer, IPC__TYPE__IPC_TUNNEL_REQUEST, &msg.base, -1,
		IPC__TYPE__IPC_TUNNEL_REPLY, deadline_ms, on_reply, e, &id),
	    0);
	return id;
}

static void
answer(struct end *e, uint32_t id)
{
	Ipc__TunnelReply reply = IPC__TUNNEL_REPLY__INIT;

	reply.result = IPC__RESULT__RESULT_OK;
	send_frame(e, IPC__TYPE__IPC_TUNNEL_REPLY, id, &reply.base, NULL, 0);
}

static void
assert_closed(struct end *e, int reason)
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

static void
its_own_rules_pass_the_generated_test(void **state)
{
	(void)state;
	rules_check(rules, N_ELEMENTS(rules), ROLE_PROXYD);
}

static void
takes_nothing_before_the_greeting(void **state)
{
	struct end *e = *state;

	send_stop(e, 0);
	run(e);
	assert_int_equal(e->n_stops, 0);
	assert_closed(e, -EPERM);
}

static void
refuses_another_build(void **state)
{
	struct end *e = *state;

	send_hello(e, ROLE_GOSSIPD, 1);
	run(e);
	assert_closed(e, -EPROTO);
}

static void
refuses_a_peer_that_takes_itself_for_another(void **state)
{
	struct end *e = *state;

	send_hello(e, ROLE_CRYPTOD, 0);
	run(e);
	assert_closed(e, -EPERM);
}

static void
refuses_a_second_greeting(void **state)
{
	struct end *e = *state;

	send_hello(e, ROLE_GOSSIPD, 0);
	run(e);
	assert_closed(e, -EPERM);
}

static void
answers_a_request(void **state)
{
	struct end *e = *state;
	struct ipc_header header;

	send_stop(e, 77);
	run(e);
	assert_int_equal(e->n_stops, 1);
	assert_int_equal(recv(e->other, &header, sizeof(header), 0),
	    (ssize_t)sizeof(header));
	assert_int_equal(header.request_id, 77);
}

static void
a_request_without_an_answer_ends_at_its_deadline(void **state)
{
	struct end *e = *state;
	uint64_t start = clock_mono_ms();

	(void)ask(e, SHORT_MS);
	while (e->n_replies == 0)
		assert_int_equal(event_base_loop(e->base, EVLOOP_ONCE), 0);
	assert_int_equal(e->status, -ETIMEDOUT);
	assert_in_range(clock_mono_ms() - start, SHORT_MS - 5, 20 * SHORT_MS);
	assert_non_null(e->peer);
}

static void
an_answer_after_its_deadline_is_dropped(void **state)
{
	struct end *e = *state;
	uint32_t id = ask(e, SHORT_MS);

	while (e->n_replies == 0)
		assert_int_equal(event_base_loop(e->base, EVLOOP_ONCE), 0);
	answer(e, id);
	run(e);
	assert_int_equal(e->n_replies, 1);
	assert_non_null(e->peer);
}

static void
a_cancelled_request_is_not_answered(void **state)
{
	struct end *e = *state;
	uint32_t id = ask(e, LONG_MS);

	ipc_cancel(e->peer, id);
	answer(e, id);
	run(e);
	assert_int_equal(e->n_replies, 0);
	assert_non_null(e->peer);
}

static void
an_answer_comes_once(void **state)
{
	struct end *e = *state;
	uint32_t id = ask(e, LONG_MS);

	answer(e, id);
	answer(e, id);
	run(e);
	assert_int_equal(e->n_replies, 1);
	assert_int_equal(e->status, 0);
}

static void
an_answer_to_a_number_never_used_is_hostile(void **state)
{
	struct end *e = *state;

	answer(e, ask(e, LONG_MS) + 1);
	run(e);
	assert_closed(e, -EPROTO);
	assert_int_equal(e->n_replies, 1);
	assert_int_equal(e->status, -EPIPE);
}

static void
a_dead_peer_fails_all_requests_at_once(void **state)
{
	struct end *e = *state;
	uint64_t start = clock_mono_ms();

	for (unsigned i = 0; i < 10; i++)
		(void)ask(e, LONG_MS);
	close_fd(&e->other);
	run(e);
	assert_int_equal(e->n_replies, 10);
	assert_int_equal(e->n_closed, 1);
	assert_int_equal(e->reason, -EPIPE);
	assert_int_equal(e->status, -EPIPE);
	assert_true(clock_mono_ms() - start < 1000);
}

static void
a_broken_rule_fails_all_requests_at_once(void **state)
{
	struct end *e = *state;
	Ipc__Stop stop = IPC__STOP__INIT;

	(void)ask(e, LONG_MS);
	send_frame(e, 199, 0, &stop.base, NULL, 0);
	send_stop(e, 0);
	run(e);
	assert_closed(e, -EPROTO);
	assert_int_equal(e->n_replies, 1);
	assert_int_equal(e->n_stops, 0); // nothing was read after it
}

static void
a_slow_peer_gets_a_bounded_queue_and_then_everything_in_order(void **state)
{
	struct end *e = *state;
	struct ipc_header header;
	Ipc__Stop stop = IPC__STOP__INIT;
	unsigned sent = 0, seen = 0;
	int r;

	while ((r = ipc_reply_to(
		    e->peer, sent + 1, IPC__TYPE__IPC_STOP, &stop.base)) == 0)
		sent++;
	assert_int_equal(r, -EAGAIN);
	assert_in_range(sent, IPC_QUEUE_MAX, IPC_QUEUE_MAX + SMALL_BUFFER);
	while (seen < sent) {
		run(e);
		while (
		    recv(e->other, &header, sizeof(header), MSG_DONTWAIT) > 0)
			assert_int_equal(header.request_id, ++seen);
	}
	assert_int_equal(
	    ipc_notify(e->peer, IPC__TYPE__IPC_STOP, &stop.base, -1), 0);
}

static void
requests_in_flight_are_bounded(void **state)
{
	struct end *e = *state;
	Ipc__Stop msg = IPC__STOP__INIT;
	struct ipc_header header;
	unsigned n = 0;
	int r;

	while ((r = ipc_call(e->peer, IPC__TYPE__IPC_TUNNEL_REQUEST, &msg.base,
		    -1, IPC__TYPE__IPC_TUNNEL_REPLY, LONG_MS, on_reply, e,
		    NULL)) == 0) {
		assert_true(++n <= IPC_INFLIGHT_MAX);
		(void)recv(e->other, &header, sizeof(header), MSG_DONTWAIT);
	}
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(n, IPC_INFLIGHT_MAX);
	assert_int_equal(e->n_replies, 0);
}

static void
two_descriptors_are_refused_and_do_not_leak(void **state)
{
	struct end *e = *state;
	Ipc__TunnelInbound msg = IPC__TUNNEL_INBOUND__INIT;
	uint8_t id[32] = { 0 };
	int fds[3] = { STDERR_FILENO, STDERR_FILENO, STDERR_FILENO };
	struct ipc_frame *frame = calloc(1, sizeof(*frame));
	int pair[2];
	size_t before;

	assert_non_null(frame);
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	before = count_open_fds();
	for (size_t n = 2; n <= 3; n++) {
		send_bytes(pair[1], id, sizeof(id), fds, n);
		assert_int_equal(ipc_receive(pair[0], frame), -EPROTO);
		assert_int_equal(frame->fd, -1);
		assert_int_equal(count_open_fds(), before);
	}
	(void)close(pair[0]);
	(void)close(pair[1]);
	free(frame);

	msg.endpoint_id.data = id;
	msg.endpoint_id.len = sizeof(id);
	send_frame(e, IPC__TYPE__IPC_TUNNEL_INBOUND, 0, &msg.base, fds, 2);
	run(e);
	assert_closed(e, -EPROTO);
}

static void
one_descriptor_reaches_its_handler(void **state)
{
	struct end *e = *state;
	Ipc__TunnelInbound msg = IPC__TUNNEL_INBOUND__INIT;
	uint8_t id[32] = { 0 };
	int fd = STDERR_FILENO;

	msg.endpoint_id.data = id;
	msg.endpoint_id.len = sizeof(id);
	send_frame(e, IPC__TYPE__IPC_TUNNEL_INBOUND, 0, &msg.base, &fd, 1);
	run(e);
	assert_non_null(e->peer);
	assert_true(e->passed >= 0);
	assert_int_equal(fcntl(e->passed, F_GETFD), FD_CLOEXEC);
}

static void
a_descriptor_where_none_belongs_is_refused_and_does_not_leak(void **state)
{
	struct end *e = *state;
	Ipc__Stop stop = IPC__STOP__INIT;
	int fd = STDERR_FILENO;
	size_t before = count_open_fds();

	send_frame(e, IPC__TYPE__IPC_STOP, 0, &stop.base, &fd, 1);
	run(e);
	assert_int_equal(e->n_stops, 0);
	assert_closed(e, -EPROTO);
	assert_int_equal(count_open_fds(), before - 1);
}

static void
a_datagram_shorter_than_a_header_is_hostile(void **state)
{
	struct end *e = *state;

	send_bytes(e->other, "1234567", 7, NULL, 0);
	run(e);
	assert_closed(e, -EPROTO);
}

static void
a_datagram_longer_than_any_frame_is_hostile(void **state)
{
	struct end *e = *state;
	static uint8_t bytes[FRAME_HEADER + IPC_BODY_MAX + 1];

	send_bytes(e->other, bytes, sizeof(bytes), NULL, 0);
	run(e);
	assert_closed(e, -EPROTO);
}

static void
a_message_that_would_take_too_much_memory_is_hostile(void **state)
{
	struct end *e = *state;
	uint8_t bytes[FRAME_HEADER + IPC_BODY_MAX] = { 0 };
	struct ipc_header header = { .type = IPC__TYPE__IPC_SELF_MODELS };
	size_t len = FRAME_HEADER;

	// Models with an empty name: four bytes here, a hundred decoded.
	memcpy(bytes, &header, sizeof(header));
	while (len + 6 <= sizeof(bytes)) {
		memcpy(bytes + len, "\x0a\x02\x0a\x00", 4);
		len += 4;
	}
	memcpy(bytes + len, "\x10\x01", 2);
	send_bytes(e->other, bytes, len + 2, NULL, 0);
	run(e);
	assert_int_equal(e->n_stops, 0);
	assert_closed(e, -EBADMSG);
}

static void
a_peer_may_be_freed_by_its_own_handler(void **state)
{
	struct end *e = *state;
	Ipc__Ready ready = IPC__READY__INIT;

	e->free_in_handler = true;
	send_frame(e, IPC__TYPE__IPC_READY, 0, &ready.base, NULL, 0);
	send_frame(e, IPC__TYPE__IPC_READY, 0, &ready.base, NULL, 0);
	run(e);
	assert_int_equal(e->n_ready, 1);
	assert_int_equal(e->n_closed, 0);
}

static struct ipc_peer *
blocking_peer(struct end *e, int *ret_other)
{
	struct ipc_channel_config config = { .self = ROLE_PROXYD,
		.role = ROLE_GOSSIPD,
		.rules = rules,
		.n_rules = N_ELEMENTS(rules),
		.daemon = e };
	struct ipc_peer *peer;
	int pair[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	config.fd = pair[0];
	assert_int_equal(ipc_peer_new(&peer, &config), 0);
	*ret_other = pair[1];
	return peer;
}

static int
call_wait(struct ipc_peer *peer, struct end *e, unsigned deadline_ms)
{
	Ipc__Stop msg = IPC__STOP__INIT;

	return ipc_call_wait(peer, IPC__TYPE__IPC_TUNNEL_REQUEST, &msg.base,
	    IPC__TYPE__IPC_TUNNEL_REPLY, deadline_ms, on_reply, e);
}

static void
a_blocking_request_ends_at_its_deadline(void **state)
{
	struct end *e = *state;
	int other;
	struct ipc_peer *peer = blocking_peer(e, &other);

	assert_int_equal(call_wait(peer, e, SHORT_MS), -ETIMEDOUT);
	assert_int_equal(e->n_replies, 0);
	ipc_peer_free(peer);
	(void)close(other);
}

static void
a_blocking_request_ends_when_the_peer_dies(void **state)
{
	struct end *e = *state;
	int other;
	struct ipc_peer *peer = blocking_peer(e, &other);

	(void)close(other);
	assert_int_equal(call_wait(peer, e, LONG_MS), -EPIPE);
	assert_int_equal(call_wait(peer, e, LONG_MS), -EPIPE);
	ipc_peer_free(peer);
}

static void
a_blocking_channel_stays_closed_after_a_broken_rule(void **state)
{
	struct end *e = *state;
	struct ipc_peer *peer;
	int other;

	peer = blocking_peer(e, &other);
	close_fd(&e->other);
	e->other = other;
	send_hello(e, ROLE_GOSSIPD, 0);
	answer(e, 5);
	send_hello(e, ROLE_GOSSIPD, 0);
	assert_int_equal(call_wait(peer, e, LONG_MS), -EPROTO);
	assert_int_equal(call_wait(peer, e, LONG_MS), -EPIPE);
	ipc_peer_free(peer);
}

#define GREETING(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define SERVING(f) cmocka_unit_test_setup_teardown(f, setup_serving, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_own_rules_pass_the_generated_test),
		GREETING(takes_nothing_before_the_greeting),
		GREETING(refuses_another_build),
		GREETING(refuses_a_peer_that_takes_itself_for_another),
		SERVING(refuses_a_second_greeting),
		SERVING(answers_a_request),
		SERVING(a_request_without_an_answer_ends_at_its_deadline),
		SERVING(an_answer_after_its_deadline_is_dropped),
		SERVING(a_cancelled_request_is_not_answered),
		SERVING(an_answer_comes_once),
		SERVING(an_answer_to_a_number_never_used_is_hostile),
		SERVING(a_dead_peer_fails_all_requests_at_once),
		SERVING(a_broken_rule_fails_all_requests_at_once),
		SERVING(
		    a_slow_peer_gets_a_bounded_queue_and_then_everything_in_order),
		SERVING(requests_in_flight_are_bounded),
		SERVING(two_descriptors_are_refused_and_do_not_leak),
		SERVING(one_descriptor_reaches_its_handler),
		SERVING(
		    a_descriptor_where_none_belongs_is_refused_and_does_not_leak),
		SERVING(a_datagram_shorter_than_a_header_is_hostile),
		SERVING(a_datagram_longer_than_any_frame_is_hostile),
		SERVING(a_message_that_would_take_too_much_memory_is_hostile),
		SERVING(a_peer_may_be_freed_by_its_own_handler),
		SERVING(a_blocking_request_ends_at_its_deadline),
		SERVING(a_blocking_request_ends_when_the_peer_dies),
		SERVING(a_blocking_channel_stays_closed_after_a_broken_rule),
	};

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
