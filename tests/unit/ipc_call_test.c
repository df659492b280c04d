// Requests and their answers: deadlines, death of the peer, bounds.
#include "common/ipc.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "common/process.h"
#include "tests/unit/ipc_end.h"

enum { SHORT_MS = 30, LONG_MS = 60 * 1000 };

static void
a_request_without_an_answer_ends_at_its_deadline(void **state)
{
	struct end *e = *state;
	uint64_t start = clock_mono_ms();

	(void)end_ask(e, SHORT_MS);
	while (e->n_replies == 0)
		assert_int_equal(event_base_loop(e->base, EVLOOP_ONCE), 0);
	assert_int_equal(e->status, -ETIMEDOUT);
	assert_in_range(clock_mono_ms() - start, SHORT_MS - 5, LONG_MS);
	assert_non_null(e->peer);
}

static void
an_answer_after_its_deadline_is_dropped(void **state)
{
	struct end *e = *state;
	uint32_t id = end_ask(e, SHORT_MS);

	while (e->n_replies == 0)
		assert_int_equal(event_base_loop(e->base, EVLOOP_ONCE), 0);
	end_answer(e, id);
	end_run(e);
	assert_int_equal(e->n_replies, 1);
	assert_non_null(e->peer);
}

static void
a_cancelled_request_is_not_answered(void **state)
{
	struct end *e = *state;
	uint32_t id = end_ask(e, LONG_MS);

	ipc_cancel(e->peer, id);
	end_answer(e, id);
	end_run(e);
	assert_int_equal(e->n_replies, 0);
	assert_non_null(e->peer);
}

static void
an_answer_comes_once(void **state)
{
	struct end *e = *state;
	uint32_t id = end_ask(e, LONG_MS);

	end_answer(e, id);
	end_answer(e, id);
	end_run(e);
	assert_int_equal(e->n_replies, 1);
	assert_int_equal(e->status, 0);
}

static void
an_answer_to_a_number_never_used_is_hostile(void **state)
{
	struct end *e = *state;

	end_answer(e, end_ask(e, LONG_MS) + 1);
	end_run(e);
	end_assert_closed(e, -EPROTO);
	assert_int_equal(e->n_replies, 1);
	assert_int_equal(e->status, -EPIPE);
}

static void
a_dead_peer_fails_all_requests_at_once(void **state)
{
	struct end *e = *state;
	uint64_t start = clock_mono_ms();

	for (unsigned i = 0; i < 10; i++)
		(void)end_ask(e, LONG_MS);
	close_fd(&e->other);
	end_run(e);
	assert_int_equal(e->n_replies, 10);
	assert_int_equal(e->n_closed, 1);
	assert_int_equal(e->reason, -EPIPE);
	assert_int_equal(e->status, -EPIPE);
	assert_true(clock_mono_ms() - start < LONG_MS / 2);
}

static void
a_broken_rule_fails_all_requests_at_once(void **state)
{
	struct end *e = *state;
	Ipc__Stop stop = IPC__STOP__INIT;

	(void)end_ask(e, LONG_MS);
	end_send_frame(e, 199, 0, &stop.base, NULL, 0);
	end_send_stop(e, 0);
	end_run(e);
	end_assert_closed(e, -EPROTO);
	assert_int_equal(e->n_replies, 1);
	assert_int_equal(e->n_stops, 0); // nothing was read after it
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
		    -1, IPC__TYPE__IPC_TUNNEL_REPLY, LONG_MS, end_on_reply, e,
		    NULL)) == 0) {
		assert_true(++n <= IPC_INFLIGHT_MAX);
		(void)recv(e->other, &header, sizeof(header), MSG_DONTWAIT);
	}
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(n, IPC_INFLIGHT_MAX);
	assert_int_equal(e->n_replies, 0);
}

static struct ipc_peer *
blocking_peer(struct end *e, int *ret_other)
{
	struct ipc_channel_config config = { .self = ROLE_PROXYD,
		.role = ROLE_GOSSIPD,
		.rules = end_rules,
		.n_rules = END_N_RULES,
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
	    IPC__TYPE__IPC_TUNNEL_REPLY, deadline_ms, end_on_reply, e);
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
	end_send_hello(e, ROLE_GOSSIPD, 0);
	end_answer(e, 5);
	end_send_hello(e, ROLE_GOSSIPD, 0);
	assert_int_equal(call_wait(peer, e, LONG_MS), -EPROTO);
	assert_int_equal(call_wait(peer, e, LONG_MS), -EPIPE);
	ipc_peer_free(peer);
}

#define SERVING(f) \
	cmocka_unit_test_setup_teardown(f, end_setup_serving, end_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVING(a_request_without_an_answer_ends_at_its_deadline),
		SERVING(an_answer_after_its_deadline_is_dropped),
		SERVING(a_cancelled_request_is_not_answered),
		SERVING(an_answer_comes_once),
		SERVING(an_answer_to_a_number_never_used_is_hostile),
		SERVING(a_dead_peer_fails_all_requests_at_once),
		SERVING(a_broken_rule_fails_all_requests_at_once),
		SERVING(requests_in_flight_are_bounded),
		SERVING(a_blocking_request_ends_at_its_deadline),
		SERVING(a_blocking_request_ends_when_the_peer_dies),
		SERVING(a_blocking_channel_stays_closed_after_a_broken_rule),
	};

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
