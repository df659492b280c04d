// Helpers of the transport's tests: nodes that echo, eat or hold what comes,
// flows with a known pattern, a relay that spoils datagrams.
#include "tests/unit/quic_harness.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct event_base *test_base;

static int
sign(void *arg, const uint8_t *content, size_t len, uint8_t ret[static 64])
{
	struct node *n = arg;

	if (n->signs == SIGN_FAILS)
		return -EIO;
	assert_true(len == 130 || len == 146);
	assert_int_equal(content[0], 0x20);
	(void)crypto_sign_detached(ret, NULL, content, len, n->secret);
	if (n->signs == SIGN_FORGED)
		ret[7] ^= 1;
	return 0;
}

uint8_t
flow_byte(uint8_t seed, uint64_t i)
{
	return (uint8_t)(seed * 31u + i * 7u + (i >> 8) * 3u + (i >> 16));
}

static void
fill(struct flow *f, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = flow_byte(f->seed, f->sent + i);
}

static void
pump_echo(struct flow *f)
{
	size_t room, n, done = 0;
	uint8_t *p;

	while (done < f->held_len &&
	    (p = quic_stream_reserve(f->stream, &room)) != NULL) {
		n = f->held_len - done < room ? f->held_len - done : room;
		memcpy(p, f->held + done, n);
		quic_stream_commit(f->stream, n);
		quic_stream_consumed(f->stream, n);
		done += n;
	}
	if (done > 0)
		memmove(f->held, f->held + done, f->held_len - done);
	f->held_len -= done;
	if (f->fin && f->held_len == 0)
		quic_stream_finish(f->stream);
}

void
flow_pump(struct flow *f)
{
	size_t room, n;
	uint8_t *p;

	if (!quic_stream_is_ours(f->stream)) {
		pump_echo(f);
		return;
	}
	while (f->sent < f->want &&
	    (p = quic_stream_reserve(f->stream, &room)) != NULL) {
		n = f->want - f->sent < room ? (size_t)(f->want - f->sent)
					     : room;
		fill(f, p, n);
		quic_stream_commit(f->stream, n);
		f->sent += n;
	}
	if (f->sent == f->want && !f->keep_open)
		quic_stream_finish(f->stream);
}

static struct flow *
flow_new(struct node *n, struct quic_stream *s)
{
	struct flow *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->node = n;
	f->stream = s;
	quic_stream_set_data(s, f);
	return f;
}

static struct flow *
open_flow(struct node *n, struct quic_conn *c, const struct flow *like)
{
	struct quic_stream *s;
	struct flow *f;

	if (quic_stream_open(c, &s) < 0)
		return NULL;
	f = flow_new(n, s);
	f->want = like->want;
	f->seed = like->seed;
	f->keep_open = like->keep_open;
	f->check = true;
	flow_pump(f);
	return f;
}

struct flow *
flow_open(struct node *n, struct quic_conn *c, uint64_t want, uint8_t seed)
{
	return open_flow(n, c, &(struct flow){ .want = want, .seed = seed });
}

struct flow *
flow_open_kept(struct node *n, struct quic_conn *c, uint64_t want, uint8_t seed)
{
	return open_flow(n, c,
	    &(struct flow){ .want = want, .seed = seed, .keep_open = true });
}

void
flow_free(struct flow *f)
{
	if (f == NULL)
		return;
	free(f->held);
	free(f);
}

static void
conn_up(void *arg, struct quic_conn *c)
{
	struct node *n = arg;

	n->ups++;
	n->conn = c;
	assert_true(quic_conn_is_up(c));
	if (n->close_on_up)
		quic_conn_close(c, 7, "go away");
}

static void
conn_closed(void *arg, struct quic_conn *c, enum quic_close_reason reason,
    const char *detail)
{
	struct node *n = arg;

	n->closes++;
	n->reason = reason;
	(void)snprintf(n->detail, sizeof(n->detail), "%s", detail);
	if (n->conn == c)
		n->conn = NULL;
}

static void
stream_opened(void *arg, struct quic_stream *s)
{
	struct node *n = arg;

	n->opened++;
	(void)flow_new(n, s);
}

static void
hold(struct flow *f, const uint8_t *data, size_t len)
{
	if (f->held_len + len > f->held_room) {
		f->held_room = (f->held_len + len) * 2;
		f->held = realloc(f->held, f->held_room);
		assert_non_null(f->held);
	}
	memcpy(f->held + f->held_len, data, len);
	f->held_len += len;
}

static void
stream_data(
    void *arg, struct quic_stream *s, const uint8_t *data, size_t len, bool fin)
{
	struct node *n = arg;
	struct flow *f = quic_stream_data(s);

	for (size_t i = 0; f->check && i < len; i++)
		f->broken |= data[i] != flow_byte(f->seed, f->received + i);
	f->received += len;
	f->fin |= fin;
	n->received += len;
	n->fins += fin;
	n->broken |= f->broken;
	if (!quic_stream_is_ours(s) && n->does == DO_ECHO) {
		if (len > 0)
			hold(f, data, len);
		pump_echo(f);
	} else if (n->does != DO_HOLD) {
		quic_stream_consumed(s, len);
		if (fin && !quic_stream_is_ours(s))
			quic_stream_finish(s);
	}
}

static void
stream_writable(void *arg, struct quic_stream *s)
{
	struct node *n = arg;

	n->writable++;
	flow_pump(quic_stream_data(s));
}

static void
stream_aborted(void *arg, struct quic_stream *s)
{
	struct node *n = arg;
	struct flow *f = quic_stream_data(s);

	n->aborted++;
	assert_false(f->aborted);
	f->aborted = true;
}

static void
stream_closed(void *arg, struct quic_stream *s)
{
	struct node *n = arg;
	struct flow *f = quic_stream_data(s);

	n->ended++;
	assert_false(f->closed);
	f->closed = true;
	f->stream = NULL;
	if (!quic_stream_is_ours(s))
		flow_free(f);
}

int
harness_setup(void **state)
{
	struct event_config *c = event_config_new();

	(void)state;
	assert_true(sodium_init() >= 0);
	assert_non_null(c);
	event_config_set_flag(c, EVENT_BASE_FLAG_PRECISE_TIMER);
	test_base = event_base_new_with_config(c);
	event_config_free(c);
	return test_base == NULL ? -1 : 0;
}

int
harness_teardown(void **state)
{
	(void)state;
	event_base_free(test_base);
	return 0;
}

void
node_init(struct node *n, int family)
{
	memset(n, 0, sizeof(*n));
	(void)crypto_sign_keypair(n->id, n->secret);
	randombytes_buf(n->static_secret, sizeof(n->static_secret));
	if (family == AF_INET6) {
		n->listen.len = sizeof(n->listen.in6);
		n->listen.in6.sin6_family = AF_INET6;
		n->listen.in6.sin6_addr = in6addr_loopback;
	} else {
		n->listen.len = sizeof(n->listen.in);
		n->listen.in.sin_family = AF_INET;
		n->listen.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
}

void
node_start(struct node *n)
{
	struct quic_config *c = &n->config;

	c->base = test_base;
	c->listen = &n->listen;
	c->n_listen = 1;
	memcpy(c->endpoint_id, n->id, sizeof(n->id));
	memcpy(c->static_secret, n->static_secret, sizeof(n->static_secret));
	c->sign = sign;
	c->sign_arg = n;
	c->arg = n;
	c->callbacks = (struct quic_callbacks){ conn_up, conn_closed,
		stream_opened, stream_data, stream_writable, stream_aborted,
		stream_closed };
	assert_int_equal(quic_new(&n->q, c), 0);
	assert_int_equal(quic_local_address(n->q, 0, &n->addr), 0);
}

void
node_stop(struct node *n)
{
	quic_free(n->q);
	n->q = NULL;
}

struct quic_conn *
node_dial(struct node *n, const struct node *to)
{
	struct quic_conn *c;

	assert_int_equal(quic_dial(n->q, to->id, &to->addr, 1, HANG_MS, &c), 0);
	return c;
}

bool
node_is_up(void *node)
{
	return ((struct node *)node)->ups > 0;
}

bool
node_has_closed(void *node)
{
	return ((struct node *)node)->closes > 0;
}

bool
flow_is_closed(void *flow)
{
	return ((struct flow *)flow)->closed;
}

struct quic_conn *
node_connect(struct node *n, struct node *to)
{
	struct quic_conn *c;

	n->ups = to->ups = 0;
	c = node_dial(n, to);
	assert_true(run_until(node_is_up, n, HANG_MS));
	assert_true(run_until(node_is_up, to, HANG_MS));
	return c;
}

static void
on_alarm(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

bool
run_until(bool (*what)(void *arg), void *arg, unsigned ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	bool late = false;
	struct event *e = evtimer_new(test_base, on_alarm, &late);

	assert_non_null(e);
	evtimer_add(e, &tv);
	while (!late && (what == NULL || !what(arg)))
		event_base_loop(test_base, EVLOOP_ONCE);
	event_free(e);
	return what != NULL && what(arg);
}

void
run_for(unsigned ms)
{
	struct timespec moment = { .tv_nsec = 200 * 1000 };

	(void)run_until(NULL, NULL, ms);
	for (int i = 0; i < QUIET_TURNS; i++) {
		event_base_loop(test_base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		(void)nanosleep(&moment, NULL);
	}
}

// ---- the relay

static uint64_t
roll(struct relay *r)
{
	// xorshift: the same run each time
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 7;
	r->seed ^= r->seed << 17;
	return r->seed;
}

static void
pass(struct relay *r, uint8_t *data, size_t len, int fd,
    const struct address *to)
{
	if (roll(r) % 100 < r->drop_percent) {
		r->spoiled++;
		return;
	}
	if (roll(r) % 100 < r->mutate_percent) {
		for (uint64_t i = roll(r) % 4 + 1; i > 0; i--)
			data[roll(r) % (roll(r) % 2 ? len : len % 40 + 1)] ^=
			    (uint8_t)(1u << (roll(r) % 8));
		r->spoiled++;
	}
	if (roll(r) % 100 < r->cut_percent) {
		len = roll(r) % len;
		r->spoiled++;
	}
	r->passed++;
	(void)!sendto(fd, data, len, MSG_DONTWAIT, &to->sa, to->len);
}

static void
on_client(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	uint8_t data[65536];
	ssize_t n;

	(void)what;
	r->client.len = sizeof(r->client.in6);
	n = recvfrom(fd, data, sizeof(data), 0, &r->client.sa, &r->client.len);
	if (n > 0)
		pass(r, data, (size_t)n, r->server_fd, &r->server);
}

static void
on_server(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	uint8_t data[65536];
	ssize_t n;

	(void)what;
	n = recv(fd, data, sizeof(data), 0);
	if (n > 0 && r->client.len > 0)
		pass(r, data, (size_t)n, r->listen_fd, &r->client);
}

static int
relay_socket(int family)
{
	struct address a = { .len = sizeof(a.in) };
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	a.in.sin_family = AF_INET;
	a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, &a.sa, a.len), 0);
	return fd;
}

void
relay_start(struct relay *r, const struct address *server)
{
	r->server = *server;
	r->seed = r->seed == 0 ? 88172645463325252ull : r->seed;
	r->listen_fd = relay_socket(AF_INET);
	r->server_fd = relay_socket(AF_INET);
	r->addr.len = sizeof(r->addr.in6);
	assert_int_equal(
	    getsockname(r->listen_fd, &r->addr.sa, &r->addr.len), 0);
	r->from_client = event_new(
	    test_base, r->listen_fd, EV_READ | EV_PERSIST, on_client, r);
	r->from_server = event_new(
	    test_base, r->server_fd, EV_READ | EV_PERSIST, on_server, r);
	event_add(r->from_client, NULL);
	event_add(r->from_server, NULL);
}

void
relay_rebind(struct relay *r)
{
	event_free(r->from_server);
	close(r->server_fd);
	r->server_fd = relay_socket(AF_INET);
	r->from_server = event_new(
	    test_base, r->server_fd, EV_READ | EV_PERSIST, on_server, r);
	event_add(r->from_server, NULL);
}

void
relay_stop(struct relay *r)
{
	event_free(r->from_client);
	event_free(r->from_server);
	close(r->listen_fd);
	close(r->server_fd);
}
