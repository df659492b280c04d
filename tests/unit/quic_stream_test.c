// Streams: integrity, backpressure, ends of all kinds.
#include "tests/unit/quic_harness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gossipd/quic_internal.h"

static struct node a, b;

static void
start(int family)
{
	node_init(&a, family);
	node_init(&b, family);
	node_start(&a);
	node_start(&b);
	(void)node_connect(&a, &b);
}

// Nothing is held any more once all streams are over.
static void
stop(void)
{
	struct quic_stats stats;

	if (a.conn != NULL)
		run_for(50);
	quic_get_stats(a.q, &stats);
	if (stats.streams == 0)
		assert_int_equal(stats.buffered_bytes, 0);
	assert_false(a.broken || b.broken);
	node_stop(&a);
	node_stop(&b);
	assert_int_equal(b.opened, b.ended);
}

struct crowd {
	struct flow **flows;
	size_t n;
};

static bool
crowd_is_closed(void *arg)
{
	struct crowd *c = arg;

	for (size_t i = 0; i < c->n; i++)
		if (!c->flows[i]->closed)
			return false;
	return true;
}

static void
echo(size_t n, uint64_t bytes)
{
	struct crowd c = { calloc(n, sizeof(*c.flows)), n };

	for (size_t i = 0; i < n; i++) {
		// Of ended streams the peer learns a moment later.
		for (int wait = 0; c.flows[i] == NULL && wait < 50; wait++) {
			c.flows[i] =
			    flow_open(&a, a.conn, bytes, (uint8_t)(i * 13));
			if (c.flows[i] == NULL)
				run_for(10);
		}
		assert_non_null(c.flows[i]);
	}
	assert_true(run_until(crowd_is_closed, &c, HANG_MS));
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(c.flows[i]->received, bytes);
		assert_true(c.flows[i]->fin);
		assert_false(c.flows[i]->broken || c.flows[i]->aborted);
		flow_free(c.flows[i]);
	}
	free(c.flows);
}

static void
a_thousand_streams_echo_their_bytes(void **state)
{
	(void)state;
	start(AF_INET);
	echo(1000, 5000);
	stop();
}

static void
streams_echo_over_ipv6(void **state)
{
	(void)state;
	start(AF_INET6);
	echo(50, 100000);
	stop();
}

static void
empty_streams_open_and_close(void **state)
{
	(void)state;
	start(AF_INET);
	echo(10, 0);
	stop();
}

static void
a_large_transfer_arrives_whole(void **state)
{
	(void)state;
	start(AF_INET);
	echo(1, 64 << 20);
	stop();
}

static void
many_more_streams_than_the_limit_pass_one_after_another(void **state)
{
	(void)state;
	start(AF_INET);
	for (int i = 0; i < 5; i++)
		echo(1000, 10);
	stop();
}

static void
the_stream_limit_holds(void **state)
{
	struct quic_stream *s[8], *none;
	struct flow f[8] = { 0 };

	(void)state;
	node_init(&a, AF_INET);
	node_init(&b, AF_INET);
	b.config.max_streams = 8;
	node_start(&a);
	node_start(&b);
	(void)node_connect(&a, &b);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(quic_stream_open(a.conn, &s[i]), 0);
		quic_stream_set_data(s[i], &f[i]);
		assert_int_equal(quic_stream_write(s[i], (uint8_t *)"x", 1), 0);
	}
	assert_int_equal(quic_stream_open(a.conn, &none), -EAGAIN);
	run_for(50);
	assert_int_equal(b.opened, 8);
	quic_stream_finish(s[0]);
	assert_true(run_until(flow_is_closed, &f[0], HANG_MS));
	run_for(50);
	assert_int_equal(quic_stream_open(a.conn, &s[0]), 0);
	memset(&f[0], 0, sizeof(f[0]));
	quic_stream_set_data(s[0], &f[0]);
	assert_int_equal(quic_stream_open(a.conn, &none), -EAGAIN);
	stop();
}

static bool
b_has_received(void *n)
{
	return b.received >= *(uint64_t *)n;
}

// And no more.
static void
run_until_received(uint64_t n)
{
	assert_true(run_until(b_has_received, &n, HANG_MS));
	run_for(100);
	assert_int_equal(b.received, n);
}

static void
a_receiver_that_consumes_nothing_stops_the_sender(void **state)
{
	struct quic_stats stats;
	struct flow *f, *g;

	(void)state;
	start(AF_INET);
	b.does = DO_HOLD;
	f = flow_open(&a, a.conn, 64 << 20, 1);
	run_until_received(QUIC_STREAM_WINDOW);
	// The stream's window arrived, as much again waits in the buffer.
	assert_true(
	    f->sent <= QUIC_STREAM_WINDOW + QUIC_SEND_HIGH + QUIC_BLOCK_LEN);
	quic_get_stats(a.q, &stats);
	assert_true(
	    stats.buffered_bytes <= QUIC_SEND_HIGH + 2 * QUIC_BLOCK_LEN);
	// Other streams of the connection go on.
	b.does = DO_ECHO;
	g = flow_open(&a, a.conn, 100000, 2);
	assert_true(run_until(flow_is_closed, g, HANG_MS));
	assert_int_equal(g->received, 100000);
	flow_free(g);
	stop();
	flow_free(f);
}

static void
the_connection_window_bounds_all_streams_together(void **state)
{
	enum { N = 2 * QUIC_CONN_WINDOW / QUIC_STREAM_WINDOW };
	struct flow *f[N];

	(void)state;
	start(AF_INET);
	b.does = DO_HOLD;
	for (int i = 0; i < N; i++)
		f[i] = flow_open(&a, a.conn, 4 << 20, 1);
	run_until_received(QUIC_CONN_WINDOW);
	stop();
	for (int i = 0; i < N; i++)
		flow_free(f[i]);
}

static void
an_abort_reaches_the_other_side(void **state)
{
	struct flow *f;

	(void)state;
	start(AF_INET);
	b.does = DO_HOLD;
	f = flow_open_kept(&a, a.conn, 8 << 20, 1);
	run_for(50);
	quic_stream_abort(f->stream);
	assert_true(run_until(flow_is_closed, f, HANG_MS));
	assert_false(f->aborted);
	run_for(50);
	assert_int_equal(b.aborted, 1);
	assert_int_equal(b.ended, 1);
	flow_free(f);
	// The window came back.
	b.does = DO_ECHO;
	echo(4, 3 << 20);
	stop();
}

static struct quic_stream *
only_stream(struct node *n)
{
	assert_non_null(n->conn);
	assert_false(TAILQ_EMPTY(&n->conn->streams));
	return TAILQ_FIRST(&n->conn->streams);
}

static void
an_abort_by_the_accepting_side_reaches_the_opener(void **state)
{
	struct flow *f;

	(void)state;
	start(AF_INET);
	b.does = DO_HOLD;
	f = flow_open(&a, a.conn, 1000, 1);
	run_for(50);
	assert_int_equal(b.fins, 1);
	quic_stream_abort(only_stream(&b));
	assert_true(run_until(flow_is_closed, f, HANG_MS));
	assert_true(f->aborted);
	assert_int_equal(b.aborted, 0);
	flow_free(f);
	stop();
}

// The client hung up while the host was still thinking: no byte is written,
// yet the host must hear of it.
static void
an_abort_after_fin_is_heard_by_an_idle_host(void **state)
{
	struct flow *f;

	(void)state;
	start(AF_INET);
	b.does = DO_HOLD;
	f = flow_open(&a, a.conn, 1000, 1);
	run_for(50);
	assert_int_equal(b.fins, 1);
	quic_stream_abort(f->stream);
	run_for(200);
	assert_int_equal(b.aborted, 1);
	assert_int_equal(b.ended, 1);
	assert_true(f->closed);
	flow_free(f);
	stop();
}

static void
bytes_after_stop_sending_are_still_delivered(void **state)
{
	struct flow *f;

	(void)state;
	start(AF_INET);
	b.does = DO_HOLD;
	f = flow_open_kept(&a, a.conn, 0, 1);
	quic_stream_stop_reading(f->stream);
	assert_int_equal(
	    quic_stream_write(f->stream, (uint8_t *)"leaving", 7), 0);
	quic_stream_finish(f->stream);
	run_for(200);
	assert_int_equal(b.received, 7);
	assert_int_equal(b.fins, 1);
	flow_free(f);
	stop();
}

static void
writing_after_stop_sending_aborts(void **state)
{
	struct quic_stream *s;
	struct flow *f;

	(void)state;
	start(AF_INET);
	b.does = DO_HOLD;
	f = flow_open_kept(&a, a.conn, 5, 1);
	run_for(50);
	quic_stream_stop_reading(f->stream);
	run_for(50);
	assert_int_equal(b.aborted, 0);
	s = only_stream(&b);
	assert_int_equal(quic_stream_write(s, (uint8_t *)"x", 1), 0);
	run_for(50);
	assert_int_equal(b.aborted, 1);
	stop();
	flow_free(f);
}

static void
writes_are_all_or_nothing(void **state)
{
	uint8_t *big = calloc(1, 9 << 20);
	struct flow *f;

	(void)state;
	start(AF_INET);
	b.does = DO_HOLD;
	f = flow_open_kept(&a, a.conn, 0, 0);
	assert_int_equal(quic_stream_write(f->stream, big, 8 << 20), 0);
	assert_int_equal(quic_stream_write(f->stream, big, 8 << 20), -ENOBUFS);
	quic_stream_finish(f->stream);
	assert_int_equal(quic_stream_write(f->stream, big, 1), -EPIPE);
	stop();
	flow_free(f);
	free(big);
}

static void
quiet_streams_hold_no_buffer(void **state)
{
	struct quic_stats stats;
	struct flow *f[100];
	size_t room;

	(void)state;
	start(AF_INET);
	for (int i = 0; i < 100; i++) {
		f[i] = flow_open_kept(&a, a.conn, 0, 0);
		f[i]->check = false;
		assert_int_equal(
		    quic_stream_write(f[i]->stream, (uint8_t *)"token", 5), 0);
	}
	run_for(200);
	for (int i = 0; i < 100; i++)
		assert_non_null(quic_stream_reserve(f[i]->stream, &room));
	run_for(20);
	quic_get_stats(a.q, &stats);
	assert_int_equal(stats.streams, 100);
	assert_int_equal(stats.buffered_bytes, 0);
	quic_get_stats(b.q, &stats);
	assert_int_equal(stats.buffered_bytes, 0);
	stop();
	for (int i = 0; i < 100; i++)
		flow_free(f[i]);
}

static void
small_writes_of_one_turn_share_a_datagram(void **state)
{
	struct quic_stats before, after;
	struct flow *f[20];

	(void)state;
	start(AF_INET);
	b.does = DO_EAT;
	for (int i = 0; i < 20; i++) {
		f[i] = flow_open_kept(&a, a.conn, 1, 0);
	}
	run_for(200);
	quic_get_stats(a.q, &before);
	for (int i = 0; i < 20; i++) {
		(void)!quic_stream_write(f[i]->stream, (uint8_t *)"tok", 3);
	}
	event_base_loop(test_base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	quic_get_stats(a.q, &after);
	assert_int_equal(after.datagrams_out - before.datagrams_out, 1);
	node_stop(&a);
	node_stop(&b);
	for (int i = 0; i < 20; i++)
		flow_free(f[i]);
}

static void
closing_a_connection_ends_its_streams_and_delivers_what_was_written(
    void **state)
{
	struct flow *f;

	(void)state;
	start(AF_INET);
	b.does = DO_EAT;
	f = flow_open(&a, a.conn, 1000, 3);
	quic_conn_close(a.conn, 0, "bye");
	assert_true(run_until(node_has_closed, &b, HANG_MS));
	assert_true(f->closed);
	assert_int_equal(a.closes, 1);
	assert_int_equal(b.received, 1000);
	assert_int_equal(b.opened, 1);
	assert_int_equal(b.ended, 1);
	flow_free(f);
	stop();
}

#define T(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_thousand_streams_echo_their_bytes),
		T(streams_echo_over_ipv6),
		T(empty_streams_open_and_close),
		T(a_large_transfer_arrives_whole),
		T(many_more_streams_than_the_limit_pass_one_after_another),
		T(the_stream_limit_holds),
		T(a_receiver_that_consumes_nothing_stops_the_sender),
		T(the_connection_window_bounds_all_streams_together),
		T(an_abort_reaches_the_other_side),
		T(an_abort_by_the_accepting_side_reaches_the_opener),
		T(an_abort_after_fin_is_heard_by_an_idle_host),
		T(bytes_after_stop_sending_are_still_delivered),
		T(writing_after_stop_sending_aborts),
		T(writes_are_all_or_nothing),
		T(quiet_streams_hold_no_buffer),
		T(small_writes_of_one_turn_share_a_datagram),
		T(closing_a_connection_ends_its_streams_and_delivers_what_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
