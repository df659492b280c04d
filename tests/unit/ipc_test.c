// Frames and rules: what holds for every channel.
#include "common/ipc.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "tests/unit/ipc_end.h"
#include "tests/unit/rules_check.h"

enum { FRAME_HEADER = sizeof(struct ipc_header) };

static void
its_own_rules_pass_the_generated_test(void **state)
{
	(void)state;
	rules_check(end_rules, END_N_RULES, ROLE_PROXYD);
}

static void
takes_nothing_before_the_greeting(void **state)
{
	struct end *e = *state;

	end_send_stop(e, 0);
	end_run(e);
	assert_int_equal(e->n_stops, 0);
	end_assert_closed(e, -EPERM);
}

static void
refuses_another_build(void **state)
{
	struct end *e = *state;

	end_send_hello(e, ROLE_GOSSIPD, 1);
	end_run(e);
	end_assert_closed(e, -EPROTO);
}

static void
refuses_a_peer_that_takes_itself_for_another(void **state)
{
	struct end *e = *state;

	end_send_hello(e, ROLE_CRYPTOD, 0);
	end_run(e);
	end_assert_closed(e, -EPERM);
}

static void
refuses_a_second_greeting(void **state)
{
	struct end *e = *state;

	end_send_hello(e, ROLE_GOSSIPD, 0);
	end_run(e);
	end_assert_closed(e, -EPERM);
}

static void
answers_a_request(void **state)
{
	struct end *e = *state;
	struct ipc_header header;

	end_send_stop(e, 77);
	end_run(e);
	assert_int_equal(e->n_stops, 1);
	assert_int_equal(recv(e->other, &header, sizeof(header), 0),
	    (ssize_t)sizeof(header));
	assert_int_equal(header.request_id, 77);
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
	assert_in_range(sent, IPC_QUEUE_MAX, IPC_QUEUE_MAX + END_BUFFER);
	while (seen < sent) {
		end_run(e);
		while (
		    recv(e->other, &header, sizeof(header), MSG_DONTWAIT) > 0)
			assert_int_equal(header.request_id, ++seen);
	}
	assert_int_equal(
	    ipc_notify(e->peer, IPC__TYPE__IPC_STOP, &stop.base, -1), 0);
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
		end_send_bytes(pair[1], id, sizeof(id), fds, n);
		assert_int_equal(ipc_receive(pair[0], frame), -EPROTO);
		assert_int_equal(frame->fd, -1);
		assert_int_equal(count_open_fds(), before);
	}
	(void)close(pair[0]);
	(void)close(pair[1]);
	free(frame);

	msg.endpoint_id.data = id;
	msg.endpoint_id.len = sizeof(id);
	end_send_frame(e, IPC__TYPE__IPC_TUNNEL_INBOUND, 0, &msg.base, fds, 2);
	end_run(e);
	end_assert_closed(e, -EPROTO);
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
	end_send_frame(e, IPC__TYPE__IPC_TUNNEL_INBOUND, 0, &msg.base, &fd, 1);
	end_run(e);
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

	end_send_frame(e, IPC__TYPE__IPC_STOP, 0, &stop.base, &fd, 1);
	end_run(e);
	assert_int_equal(e->n_stops, 0);
	end_assert_closed(e, -EPROTO);
	assert_int_equal(count_open_fds(), before - 1);
}

static void
a_datagram_shorter_than_a_header_is_hostile(void **state)
{
	struct end *e = *state;

	end_send_bytes(e->other, "1234567", 7, NULL, 0);
	end_run(e);
	end_assert_closed(e, -EPROTO);
}

static void
a_datagram_longer_than_any_frame_is_hostile(void **state)
{
	struct end *e = *state;
	static uint8_t bytes[FRAME_HEADER + IPC_BODY_MAX + 1];

	end_send_bytes(e->other, bytes, sizeof(bytes), NULL, 0);
	end_run(e);
	end_assert_closed(e, -EPROTO);
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
	end_send_bytes(e->other, bytes, len + 2, NULL, 0);
	end_run(e);
	assert_int_equal(e->n_stops, 0);
	end_assert_closed(e, -EBADMSG);
}

static void
a_peer_may_be_freed_by_its_own_handler(void **state)
{
	struct end *e = *state;
	Ipc__Ready ready = IPC__READY__INIT;

	e->free_in_handler = true;
	end_send_frame(e, IPC__TYPE__IPC_READY, 0, &ready.base, NULL, 0);
	end_send_frame(e, IPC__TYPE__IPC_READY, 0, &ready.base, NULL, 0);
	end_run(e);
	assert_int_equal(e->n_ready, 1);
	assert_int_equal(e->n_closed, 0);
}

#define GREETING(f) cmocka_unit_test_setup_teardown(f, end_setup, end_teardown)
// As of a daemon that ends with requests unread.
static void
what_was_sent_before_the_end_is_read_though_ours_was_not(void **state)
{
	struct end *e = *state;

	(void)end_ask(e, 1000);
	end_send_stop(e, 0);
	close_fd(&e->other);
	end_run(e);
	assert_int_equal(e->n_stops, 1);
	assert_int_equal(e->n_closed, 1);
	assert_int_equal(e->reason, -EPIPE);
	assert_int_equal(e->n_replies, 1);
	assert_int_equal(e->status, -EPIPE);
}

#define SERVING(f) \
	cmocka_unit_test_setup_teardown(f, end_setup_serving, end_teardown)

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
		SERVING(
		    a_slow_peer_gets_a_bounded_queue_and_then_everything_in_order),
		SERVING(two_descriptors_are_refused_and_do_not_leak),
		SERVING(
		    what_was_sent_before_the_end_is_read_though_ours_was_not),
		SERVING(one_descriptor_reaches_its_handler),
		SERVING(
		    a_descriptor_where_none_belongs_is_refused_and_does_not_leak),
		SERVING(a_datagram_shorter_than_a_header_is_hostile),
		SERVING(a_datagram_longer_than_any_frame_is_hostile),
		SERVING(a_message_that_would_take_too_much_memory_is_hostile),
		SERVING(a_peer_may_be_freed_by_its_own_handler),
	};

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
