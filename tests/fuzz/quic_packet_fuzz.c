// Datagrams of anybody into an endpoint that has one live connection.
// Contract: whatever the bytes, quic_input and the end of the loop turn
// return, and nothing is left behind but tombstones.
//
// Input: records of a flag byte, a length (two bytes, big endian) and that
// many bytes of datagram.  Flag 1: the destination connection id is replaced
// by one of the live connection.  Flag 2: comes from another address.
// Targets: quic_input, check_token, accept_link, quic_link_input.
#include <assert.h>
#include <event2/event.h>
#include <sodium.h>
#include <string.h>

#include "gossipd/quic_internal.h"
#include "tests/fuzz/fuzz.h"

enum { FLAG_LIVE_ID = 1, FLAG_ELSEWHERE = 2 };

static struct event_base *base;
static struct quic *server, *client;
static uint8_t server_id[32], client_id[32];
static uint8_t server_secret[64], client_secret[64];
static struct quic_conn *live;

static int
sign(void *arg, const uint8_t *content, size_t len, uint8_t ret[static 64])
{
	return crypto_sign_detached(ret, NULL, content, len, arg);
}

static void
conn_up(void *arg, struct quic_conn *c)
{
	if (arg != NULL)
		live = c;
}

static void
conn_closed(void *arg, struct quic_conn *c, enum quic_close_reason reason,
    const char *detail)
{
	(void)arg;
	(void)reason;
	(void)detail;
	if (c == live)
		live = NULL;
}

static void
on_stream(void *arg, struct quic_stream *s)
{
	(void)arg;
	(void)s;
}

static void
on_data(
    void *arg, struct quic_stream *s, const uint8_t *data, size_t len, bool fin)
{
	(void)arg;
	(void)data;
	(void)fin;
	quic_stream_consumed(s, len);
}

static struct quic *
endpoint(const uint8_t id[static 32], uint8_t *secret, void *arg)
{
	struct address a = { .len = sizeof(a.in) };
	struct quic_config c = { .base = base,
		.listen = &a,
		.n_listen = 1,
		.sign = sign,
		.sign_arg = secret,
		.arg = arg };
	struct quic *q;

	a.in.sin_family = AF_INET;
	a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memcpy(c.endpoint_id, id, 32);
	c.callbacks = (struct quic_callbacks){ conn_up, conn_closed, on_stream,
		on_data, on_stream, on_stream, on_stream };
	assert(quic_new(&q, &c) == 0);
	return q;
}

static void
connect_live(void)
{
	struct address to;
	struct quic_conn *c;

	assert(quic_local_address(server, 0, &to) == 0);
	assert(quic_dial(client, server_id, &to, 1, 5000, &c) == 0);
	while (live == NULL)
		event_base_loop(base, EVLOOP_ONCE);
}

static void
start(void)
{
	assert(sodium_init() >= 0);
	base = event_base_new();
	assert(base != NULL);
	crypto_sign_keypair(server_id, server_secret);
	crypto_sign_keypair(client_id, client_secret);
	server = endpoint(server_id, server_secret, &live);
	client = endpoint(client_id, client_secret, NULL);
}

static void
set_live_id(uint8_t *data, size_t len)
{
	const struct quic_route *r = SLIST_FIRST(&live->link->routes);
	size_t at = (data[0] & 0x80) != 0 ? 6 : 1;

	while (r != NULL && r->kind != QUIC_ROUTE_CID)
		r = SLIST_NEXT(r, next);
	if (r == NULL || len < at + r->len)
		return;
	if (at == 6)
		data[5] = (uint8_t)r->len;
	memcpy(data + at, r->bytes, r->len);
}

// Half-open connections and tombstones would fill up.
static void
sweep(void)
{
	struct quic_link *l, *next;

	for (l = TAILQ_FIRST(&server->links); l != NULL; l = next) {
		next = TAILQ_NEXT(l, all);
		if (l->conn == NULL)
			quic_link_free(l);
	}
	assert(server->stats.half_open == 0 && server->sources == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address from = { .len = sizeof(from.in) };
	uint8_t datagram[2048];
	size_t len;
	uint8_t flags;

	if (base == NULL)
		start();
	from.in.sin_family = AF_INET;
	while (size >= 3) {
		flags = data[0];
		len = (size_t)data[1] << 8 | data[2];
		data += 3;
		size -= 3;
		len = len < size ? len : size;
		len = len < sizeof(datagram) ? len : sizeof(datagram);
		if (live == NULL)
			connect_live();
		memcpy(datagram, data, len);
		if ((flags & FLAG_LIVE_ID) != 0 && len > 0)
			set_live_id(datagram, len);
		// Discard port of loopback: answers go nowhere.
		from.in.sin_port =
		    htons((flags & FLAG_ELSEWHERE) != 0 ? 19 : 9);
		from.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		quic_input(&server->sockets[0], &server->sockets[0].bound,
		    &from, flags >> 6, datagram, len);
		data += len;
		size -= len;
	}
	quic_flush(server);
	sweep();
	return 0;
}
