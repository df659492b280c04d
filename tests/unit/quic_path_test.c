// Bad networks and lost state: loss, mutation, garbage, a new address, a
// peer that forgot everything, versions that nobody speaks.
#include "tests/unit/quic_harness.h"

#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gossipd/quic_internal.h"

static struct node a, b;
static unsigned send_refuses_every, send_calls, send_refused;

// In place of libc's: a socket that is full now and then.
ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	if (send_refuses_every > 0 && ++send_calls % send_refuses_every == 0) {
		send_refused++;
		errno = EAGAIN;
		return -1;
	}
	return syscall(SYS_sendmsg, fd, m, flags);
}

static void
start(void)
{
	node_init(&a, AF_INET);
	node_init(&b, AF_INET);
	node_start(&a);
	node_start(&b);
}

static void
connect_through(struct relay *r)
{
	struct quic_conn *c;

	relay_start(r, &b.addr);
	assert_int_equal(quic_dial(a.q, b.id, &r->addr, 1, 10000, &c), 0);
	assert_true(run_until(node_is_up, &a, HANG_MS));
	assert_true(run_until(node_is_up, &b, HANG_MS));
}

static void
echo_ok(uint64_t bytes)
{
	struct flow *f = flow_open(&a, a.conn, bytes, 9);

	assert_non_null(f);
	assert_true(run_until(flow_is_closed, f, HANG_MS));
	assert_int_equal(f->received, bytes);
	assert_false(f->broken || f->aborted);
	flow_free(f);
}

static void
a_lossy_network_loses_nothing(void **state)
{
	struct relay r = { .drop_percent = 3 };

	(void)state;
	start();
	connect_through(&r);
	echo_ok(2 << 20);
	node_stop(&a);
	node_stop(&b);
	relay_stop(&r);
	assert_true(r.spoiled > 10);
}

static bool
b_has_received(void *bytes)
{
	return b.received >= *(uint64_t *)bytes;
}

static bool
has_spoiled(void *relay)
{
	return ((struct relay *)relay)->spoiled > 0;
}

// Loses a packet between two that arrive; returns what b sends in the turn in
// which it sees the second.
static uint64_t
sent_upon_a_gap(struct relay *r, struct flow *f[static 3])
{
	struct quic_stats before, after;
	uint64_t expected = b.received + 100;

	f[0] = flow_open_kept(&a, a.conn, 100, 1);
	assert_true(run_until(b_has_received, &expected, HANG_MS));
	run_for(100); // until all is acknowledged
	r->drop_percent = 100;
	r->spoiled = 0;
	f[1] = flow_open_kept(&a, a.conn, 100, 2);
	assert_true(run_until(has_spoiled, r, HANG_MS));
	r->drop_percent = 0;
	quic_get_stats(b.q, &before);
	f[2] = flow_open_kept(&a, a.conn, 100, 3);
	expected += 100;
	assert_true(run_until(b_has_received, &expected, HANG_MS));
	quic_get_stats(b.q, &after);
	expected += 100;
	assert_true(run_until(b_has_received, &expected, HANG_MS));
	return after.datagrams_out - before.datagrams_out;
}

static void
a_missing_packet_is_reported_at_once(void **state)
{
	struct relay r = { .drop_percent = 0 };
	struct flow *f[12];

	(void)state;
	start();
	b.does = DO_EAT;
	connect_through(&r);
	run_for(500); // until the path is measured
	for (size_t i = 0; i < N_ELEMENTS(f); i += 3)
		assert_int_not_equal(sent_upon_a_gap(&r, f + i), 0);
	node_stop(&a);
	node_stop(&b);
	relay_stop(&r);
	for (size_t i = 0; i < N_ELEMENTS(f); i++)
		flow_free(f[i]);
}

static void
mutated_and_truncated_packets_change_nothing(void **state)
{
	struct relay r = { .mutate_percent = 5, .cut_percent = 5 };

	(void)state;
	start();
	connect_through(&r);
	echo_ok(2 << 20);
	assert_int_equal(a.closes + b.closes, 0);
	node_stop(&a);
	node_stop(&b);
	relay_stop(&r);
	assert_true(r.spoiled > 10);
}

static void
handshakes_through_a_mutating_network_never_crash(void **state)
{
	struct relay r = { .mutate_percent = 40, .cut_percent = 10 };
	struct quic_stats stats;
	struct quic_conn *c;

	(void)state;
	start();
	relay_start(&r, &b.addr);
	for (int i = 0; i < 60; i++)
		assert_int_equal(quic_dial(a.q, b.id, &r.addr, 1, 2000, &c), 0);
	run_for(2500);
	quic_get_stats(a.q, &stats);
	assert_true(stats.handshakes_ok + stats.handshakes_failed >= 60);
	node_stop(&a);
	assert_int_equal(a.closes, 60);
	node_stop(&b);
	relay_stop(&r);
}

static void
a_peer_that_changes_its_address_stays_connected(void **state)
{
	struct address before, after;
	struct relay r = { .drop_percent = 0 };

	(void)state;
	start();
	connect_through(&r);
	echo_ok(1 << 20);
	quic_conn_remote(b.conn, &before);
	relay_rebind(&r);
	echo_ok(1 << 20);
	quic_conn_remote(b.conn, &after);
	assert_int_not_equal(before.in.sin_port, after.in.sin_port);
	assert_int_equal(a.closes + b.closes, 0);
	node_stop(&a);
	node_stop(&b);
	relay_stop(&r);
}

// Runs b in a child that dies without a word; returns its address.
static pid_t
fork_b(void)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)event_reinit(test_base);
		node_start(&b);
		(void)!write(fds[1], &b.addr, sizeof(b.addr));
		event_base_dispatch(test_base);
		_exit(0);
	}
	assert_int_equal(read(fds[0], &b.addr, sizeof(b.addr)), sizeof(b.addr));
	close(fds[0]);
	close(fds[1]);
	return pid;
}

static void
a_restarted_peer_resets_connections_it_forgot(void **state)
{
	struct quic_stats stats;
	struct flow *f;
	pid_t pid;

	(void)state;
	node_init(&a, AF_INET);
	node_init(&b, AF_INET);
	pid = fork_b();
	node_start(&a);
	(void)node_dial(&a, &b);
	assert_true(run_until(node_is_up, &a, HANG_MS));
	echo_ok(1000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	b.listen = b.addr;
	node_start(&b);
	f = flow_open(&a, a.conn, 1000, 1);
	assert_true(run_until(node_has_closed, &a, HANG_MS));
	assert_int_equal(a.reason, QUIC_CLOSED_PEER);
	assert_string_equal(a.detail, "stateless reset");
	assert_true(f->closed);
	flow_free(f);
	quic_get_stats(b.q, &stats);
	assert_true(stats.resets_sent >= 1);
	// And the way is free at once.
	(void)node_connect(&a, &b);
	node_stop(&a);
	node_stop(&b);
}

static int
raw_socket(void)
{
	struct timeval tv = { .tv_usec = 1000 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &b.addr.sa, b.addr.len), 0);
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	return fd;
}

static void
unknown_versions_are_answered_with_ours(void **state)
{
	uint8_t p[1200] = { 0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6,
		7, 8, 4, 9, 9, 9, 9 };
	unsigned answers = 0;
	ssize_t n;
	int fd;

	(void)state;
	start();
	fd = raw_socket();
	assert_int_equal(write(fd, p, sizeof(p)), sizeof(p));
	run_for(20);
	n = read(fd, p, sizeof(p));
	// Long header, version 0, our ids swapped, version 1.
	assert_int_equal(n, 1 + 4 + 1 + 4 + 1 + 8 + 4);
	assert_memory_equal(p + 1, "\0\0\0\0\4\x9\x9\x9\x9\x8\1\2", 12);
	assert_memory_equal(p + n - 4, "\0\0\0\1", 4);
	// Not for small ones, and not without end.
	memcpy(p, "\xc0\x1a\x2a\x3a\x4a\0\0", 7);
	assert_int_equal(write(fd, p, 1199), 1199);
	run_for(5);
	assert_int_equal(read(fd, p, sizeof(p)), -1);
	for (int i = 0; i < 1000; i++) {
		memcpy(p, "\xc0\x1a\x2a\x3a\x4a\0\0", 7);
		(void)!write(fd, p, sizeof(p));
		event_base_loop(test_base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	}
	run_for(20);
	while (recv(fd, p, sizeof(p), MSG_DONTWAIT) > 0)
		answers++;
	assert_true(answers > 0 && answers < 600);
	close(fd);
	node_stop(&a);
	node_stop(&b);
}

static void
garbage_is_dropped_and_connections_live_on(void **state)
{
	uint8_t p[1500];
	struct quic_stats stats;
	int fd;

	(void)state;
	start();
	(void)node_connect(&a, &b);
	fd = raw_socket();
	for (int i = 0; i < 20000; i++) {
		size_t len = randombytes_uniform(sizeof(p)) + 1;

		randombytes_buf(p, len);
		// Half of them look like a first packet of version 1.
		if (i % 2 == 0 && len > 20) {
			memcpy(p, "\xc3\0\0\0\1\x8", 6);
			p[14] = 8;
		}
		(void)!write(fd, p, len);
		if (i % 50 == 0)
			event_base_loop(
			    test_base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	}
	run_for(50);
	close(fd);
	echo_ok(100000);
	quic_get_stats(b.q, &stats);
	assert_int_equal(stats.conns, 1);
	assert_true(stats.resets_sent < 1000);
	node_stop(&a);
	node_stop(&b);
}

static void
a_late_packet_is_answered_with_the_close_again(void **state)
{
	struct relay r = { .drop_percent = 0 };
	struct flow *f;

	(void)state;
	start();
	connect_through(&r);
	// The first close is lost.
	r.drop_percent = 100;
	quic_conn_close(b.conn, 3, "lost");
	event_base_loop(test_base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	event_base_loop(test_base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	r.drop_percent = 0;
	f = flow_open(&a, a.conn, 10, 1);
	assert_true(run_until(node_has_closed, &a, HANG_MS));
	assert_string_equal(a.detail, "application error 0x3: lost");
	flow_free(f);
	node_stop(&a);
	node_stop(&b);
	relay_stop(&r);
}

static void
a_full_socket_delays_but_loses_no_batch(void **state)
{
	(void)state;
	start();
	(void)node_connect(&a, &b);
	send_refuses_every = 3;
	send_refused = 0;
	echo_ok(4 << 20);
	send_refuses_every = 0;
	assert_true(send_refused > 10);
	node_stop(&a);
	node_stop(&b);
}

static void
a_device_without_segmentation_gets_single_datagrams(void **state)
{
	(void)state;
	start();
	a.q->sockets[0].no_gso = true;
	b.q->sockets[0].no_gso = true;
	(void)node_connect(&a, &b);
	echo_ok(4 << 20);
	node_stop(&a);
	node_stop(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_lossy_network_loses_nothing),
		T(a_missing_packet_is_reported_at_once),
		T(mutated_and_truncated_packets_change_nothing),
		T(handshakes_through_a_mutating_network_never_crash),
		T(a_peer_that_changes_its_address_stays_connected),
		T(a_restarted_peer_resets_connections_it_forgot),
		T(unknown_versions_are_answered_with_ours),
		T(garbage_is_dropped_and_connections_live_on),
		T(a_late_packet_is_answered_with_the_close_again),
		T(a_full_socket_delays_but_loses_no_batch),
		T(a_device_without_segmentation_gets_single_datagrams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
