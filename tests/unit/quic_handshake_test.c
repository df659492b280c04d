// Who may connect: identities, refusals, limits, addresses.
#include "tests/unit/quic_harness.h"

#include <sodium.h>
#include <string.h>
#include <sys/socket.h>

#include "gossipd/quic_internal.h"

static void
connect_and_compare(int family)
{
	uint8_t x[32], y[32];
	struct address remote;
	struct node a, b;
	struct quic_conn *c;

	node_init(&a, family);
	node_init(&b, family);
	node_start(&a);
	node_start(&b);
	c = node_connect(&a, &b);
	assert_ptr_equal(a.conn, c);
	assert_true(quic_conn_is_outbound(c));
	assert_false(quic_conn_is_outbound(b.conn));
	assert_memory_equal(quic_conn_peer(a.conn), b.id, 32);
	assert_memory_equal(quic_conn_peer(b.conn), a.id, 32);
	assert_int_equal(quic_conn_exporter(a.conn, x), 0);
	assert_int_equal(quic_conn_exporter(b.conn, y), 0);
	assert_memory_equal(x, y, 32);
	quic_conn_remote(b.conn, &remote);
	assert_int_equal(remote.len, a.addr.len);
	assert_memory_equal(&remote.in.sin_port, &a.addr.in.sin_port, 2);
	assert_true(quic_conn_rtt_us(a.conn) > 0);
	node_stop(&a);
	assert_int_equal(a.closes, 1);
	assert_int_equal(a.reason, QUIC_CLOSED_LOCAL);
	assert_true(run_until(node_has_closed, &b, HANG_MS));
	assert_int_equal(b.reason, QUIC_CLOSED_PEER);
	assert_non_null(strstr(b.detail, "shutting down"));
	node_stop(&b);
}

static void
both_identities_are_proven_over_ipv4(void **state)
{
	(void)state;
	connect_and_compare(AF_INET);
}

static void
both_identities_are_proven_over_ipv6(void **state)
{
	(void)state;
	connect_and_compare(AF_INET6);
}

static void
a_wildcard_socket_answers_from_the_address_it_was_asked_at(void **state)
{
	struct node a, b;

	(void)state;
	node_init(&a, AF_INET);
	node_init(&b, AF_INET);
	a.listen.in.sin_addr.s_addr = htonl(INADDR_ANY);
	b.listen.in.sin_addr.s_addr = htonl(INADDR_ANY);
	node_start(&a);
	node_start(&b);
	b.addr.in.sin_addr.s_addr = htonl(0x7f000002);
	(void)node_connect(&a, &b);
	node_stop(&a);
	node_stop(&b);
}

// Dials b and expects that neither side keeps the connection.
static void
refused(struct node *a, struct node *b, const char *detail)
{
	assert_true(run_until(node_has_closed, a, HANG_MS));
	run_for(50);
	assert_int_equal(b->ups, 0);
	assert_int_equal(b->closes, 0);
	assert_int_equal(a->closes, 1);
	if (strstr(a->detail, detail) == NULL)
		fail_msg("detail is \"%s\"", a->detail);
	node_stop(a);
	node_stop(b);
}

static void
start_two(struct node *a, struct node *b)
{
	node_init(a, AF_INET);
	node_init(b, AF_INET);
	node_start(a);
	node_start(b);
}

static void
another_key_than_the_dialled_one_is_refused(void **state)
{
	struct node a, b, other;

	(void)state;
	start_two(&a, &b);
	node_init(&other, AF_INET);
	other.addr = b.addr;
	(void)node_dial(&a, &other);
	assert_true(run_until(node_has_closed, &a, HANG_MS));
	assert_int_equal(a.ups, 0);
	assert_int_equal(a.reason, QUIC_CLOSED_HANDSHAKE);
	refused(&a, &b, "another node");
}

static void
a_forged_signature_of_the_server_is_refused(void **state)
{
	struct node a, b;

	(void)state;
	start_two(&a, &b);
	b.signs = SIGN_FORGED;
	(void)node_dial(&a, &b);
	assert_true(run_until(node_has_closed, &a, HANG_MS));
	assert_int_equal(a.ups, 0);
	refused(&a, &b, "TLS alert");
}

static void
a_forged_signature_of_the_client_is_refused(void **state)
{
	struct node a, b;

	(void)state;
	start_two(&a, &b);
	a.signs = SIGN_FORGED;
	(void)node_dial(&a, &b);
	refused(&a, &b, "transport error 0x133");
}

static void
no_signature_means_no_connection(void **state)
{
	struct node a, b;

	(void)state;
	start_two(&a, &b);
	a.signs = SIGN_FAILS;
	(void)node_dial(&a, &b);
	assert_true(run_until(node_has_closed, &a, HANG_MS));
	assert_int_equal(a.ups, 0);
	refused(&a, &b, "TLS alert");

	start_two(&a, &b);
	b.signs = SIGN_FAILS;
	(void)node_dial(&a, &b);
	assert_true(run_until(node_has_closed, &a, HANG_MS));
	assert_int_equal(a.ups, 0);
	refused(&a, &b, "transport error");
}

static void
a_client_without_a_key_is_refused(void **state)
{
	gnutls_certificate_credentials_t none;
	struct quic_conn *c;
	struct node a, b;

	(void)state;
	start_two(&a, &b);
	c = node_dial(&a, &b);
	gnutls_certificate_allocate_credentials(&none);
	gnutls_credentials_set(
	    TAILQ_FIRST(&c->attempts)->tls, GNUTLS_CRD_CERTIFICATE, none);
	// Whose check went with its credentials.
	TAILQ_FIRST(&c->attempts)->verified = true;
	refused(&a, &b, "transport error 0x1");
	gnutls_certificate_free_credentials(none);
}

static void
another_protocol_is_refused(void **state)
{
	struct node a, b;

	(void)state;
	start_two(&a, &b);
	a.q->alpn = "mesh-llm/2";
	(void)node_dial(&a, &b);
	refused(&a, &b, "transport error 0x178");
}

static void
the_first_address_that_proves_the_key_wins(void **state)
{
	struct node a, b, wrong;
	struct address addrs[4];
	struct quic_conn *c;
	struct relay silent = { .drop_percent = 100 };

	(void)state;
	start_two(&a, &b);
	node_init(&wrong, AF_INET);
	node_start(&wrong);
	relay_start(&silent, &b.addr);
	addrs[0] = silent.addr;
	addrs[1] = wrong.addr; // somebody else lives there now
	addrs[2] = wrong.addr;
	addrs[2].in.sin_addr.s_addr = htonl(0xf0000001); // not routable
	addrs[3] = b.addr;
	assert_int_equal(quic_dial(a.q, b.id, addrs, 4, HANG_MS, &c), 0);
	assert_true(run_until(node_is_up, &b, HANG_MS));
	assert_ptr_equal(a.conn, c);
	run_for(100);
	assert_int_equal(a.ups, 1);
	assert_int_equal(a.closes, 0);
	assert_int_equal(b.ups, 1);
	assert_int_equal(wrong.ups, 0);
	node_stop(&a);
	node_stop(&b);
	node_stop(&wrong);
	relay_stop(&silent);
}

static void
a_silent_address_fails_at_the_deadline(void **state)
{
	struct relay silent = { .drop_percent = 100 };
	struct quic_conn *c;
	struct node a, b;
	uint64_t began;

	(void)state;
	start_two(&a, &b);
	relay_start(&silent, &b.addr);
	began = quic_now();
	assert_int_equal(quic_dial(a.q, b.id, &silent.addr, 1, 400, &c), 0);
	assert_true(run_until(node_has_closed, &a, HANG_MS));
	assert_true(quic_now() - began >= 390 * NGTCP2_MILLISECONDS);
	assert_int_equal(a.reason, QUIC_CLOSED_HANDSHAKE);
	assert_string_equal(a.detail, "no answer in time");
	node_stop(&a);
	node_stop(&b);
	relay_stop(&silent);
}

static void
a_dial_can_be_given_up_at_any_time(void **state)
{
	struct quic_stats stats;
	struct quic_conn *c;
	struct node a, b;

	(void)state;
	start_two(&a, &b);
	for (int i = 0; i < 20; i++) {
		a.closes = 0;
		c = node_dial(&a, &b);
		for (int turn = 0; turn < i / 2; turn++)
			event_base_loop(
			    test_base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		quic_conn_close(c, 0, "changed my mind");
		assert_true(run_until(node_has_closed, &a, HANG_MS));
		assert_int_equal(a.reason, QUIC_CLOSED_LOCAL);
	}
	run_for(200);
	quic_get_stats(b.q, &stats);
	assert_int_equal(stats.conns, 0);
	assert_int_equal(stats.half_open, 0);
	node_stop(&a);
	node_stop(&b);
}

static bool
all_up(void *arg)
{
	return ((struct node *)arg)->ups == 40;
}

static void
many_half_open_connections_cause_a_retry_and_all_come_up(void **state)
{
	struct quic_stats stats;
	struct node a, b;

	(void)state;
	node_init(&a, AF_INET);
	node_init(&b, AF_INET);
	b.config.max_half_open = 48;
	node_start(&a);
	node_start(&b);
	for (int i = 0; i < 40; i++)
		(void)node_dial(&a, &b);
	assert_true(run_until(all_up, &a, HANG_MS));
	assert_true(run_until(all_up, &b, HANG_MS));
	quic_get_stats(b.q, &stats);
	assert_true(stats.retries_sent >= 20);
	assert_int_equal(stats.half_open, 0);
	assert_int_equal(stats.conns, 40);
	node_stop(&a);
	node_stop(&b);
}

static bool
all_24_up(void *arg)
{
	return ((struct node *)arg)->ups == 24;
}

static void
one_address_cannot_take_all_half_open_places(void **state)
{
	struct quic_stats stats;
	struct node a, b;

	(void)state;
	node_init(&a, AF_INET);
	node_init(&b, AF_INET);
	b.config.max_conns_per_address = 8;
	node_start(&a);
	node_start(&b);
	for (int i = 0; i < 24; i++)
		(void)node_dial(&a, &b);
	// Two are let in, the others must show that they are there; of those
	// no more than eight at once, the rest come when they ask again.
	assert_true(run_until(all_24_up, &a, HANG_MS));
	quic_get_stats(b.q, &stats);
	assert_true(stats.retries_sent >= 20);
	node_stop(&a);
	node_stop(&b);
}

static void
more_connections_than_allowed_are_refused(void **state)
{
	struct node a, b;

	(void)state;
	node_init(&a, AF_INET);
	node_init(&b, AF_INET);
	b.config.max_conns = 1;
	node_start(&a);
	node_start(&b);
	(void)node_connect(&a, &b);
	(void)node_dial(&a, &b);
	assert_true(run_until(node_has_closed, &a, HANG_MS));
	assert_int_equal(a.reason, QUIC_CLOSED_HANDSHAKE);
	assert_non_null(strstr(a.detail, "transport error 0x2"));
	assert_int_equal(b.closes, 0);
	node_stop(&a);
	node_stop(&b);
}

static void
close_reasons_reach_the_other_side(void **state)
{
	struct node a, b;

	(void)state;
	start_two(&a, &b);
	b.close_on_up = true;
	(void)node_dial(&a, &b);
	assert_true(run_until(node_has_closed, &a, HANG_MS));
	assert_int_equal(a.ups, 1);
	assert_int_equal(a.reason, QUIC_CLOSED_PEER);
	assert_string_equal(a.detail, "application error 0x7: go away");
	assert_int_equal(b.closes, 1);
	assert_int_equal(b.reason, QUIC_CLOSED_LOCAL);
	node_stop(&a);
	node_stop(&b);
}

static void
bad_arguments_are_refused(void **state)
{
	struct quic_conn *c;
	struct quic *q;
	struct node a, b;

	(void)state;
	start_two(&a, &b);
	assert_int_equal(quic_dial(a.q, b.id, NULL, 0, 10, &c), -EINVAL);
	a.config.listen = &b.addr;
	assert_int_equal(quic_new(&q, &a.config), -EADDRINUSE);
	a.config.n_listen = 0;
	assert_int_equal(quic_new(&q, &a.config), -EINVAL);
	node_stop(&a);
	node_stop(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_identities_are_proven_over_ipv4),
		T(both_identities_are_proven_over_ipv6),
		T(a_wildcard_socket_answers_from_the_address_it_was_asked_at),
		T(another_key_than_the_dialled_one_is_refused),
		T(a_forged_signature_of_the_server_is_refused),
		T(a_forged_signature_of_the_client_is_refused),
		T(no_signature_means_no_connection),
		T(a_client_without_a_key_is_refused),
		T(another_protocol_is_refused),
		T(the_first_address_that_proves_the_key_wins),
		T(a_silent_address_fails_at_the_deadline),
		T(a_dial_can_be_given_up_at_any_time),
		T(many_half_open_connections_cause_a_retry_and_all_come_up),
		T(one_address_cannot_take_all_half_open_places),
		T(more_connections_than_allowed_are_refused),
		T(close_reasons_reach_the_other_side),
		T(bad_arguments_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
