// meshllm-handshakes: QUIC handshakes with a running node, several at a time,
// each to its end and closed at once.  Prints one line of JSON.  Speaks with
// the transport of gossipd itself, with identities of its own.
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/address.h"
#include "common/hex.h"
#include "gossipd/quic.h"
#include "tests/tools/tool.h"

enum { AT_A_TIME = 8, DEADLINE_MS = 5000 };

struct dialler {
	struct quic *quic; // owned
	uint8_t id[crypto_sign_PUBLICKEYBYTES];
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	struct event *again; // owned
};

static struct event_base *base;
static struct address target;
static uint8_t target_id[ENDPOINT_ID_LEN];
static unsigned n_done, n_failed;
static int64_t ends_ns;

static int64_t
now_ns(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1)
		tool_die("clock_gettime");
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int
sign(void *arg, const uint8_t *content, size_t len, uint8_t ret[static 64])
{
	const struct dialler *d = arg;

	return crypto_sign_detached(ret, NULL, content, len, d->secret);
}

static void
on_up(void *arg, struct quic_conn *conn)
{
	(void)arg;
	n_done++;
	quic_conn_close(conn, 0, "measured");
}

static void
on_closed(void *arg, struct quic_conn *conn, enum quic_close_reason reason,
    const char *detail)
{
	struct dialler *d = arg;

	(void)conn;
	(void)detail;
	if (reason == QUIC_CLOSED_HANDSHAKE)
		n_failed++;
	if (now_ns() < ends_ns)
		event_active(d->again, EV_TIMEOUT, 0);
}

static void
dial(evutil_socket_t fd, short what, void *arg)
{
	struct dialler *d = arg;
	struct quic_conn *conn;

	(void)fd;
	(void)what;
	if (quic_dial(d->quic, target_id, &target, 1, DEADLINE_MS, &conn) < 0)
		tool_die("quic_dial");
}

static void
ignore_stream(void *arg, struct quic_stream *s)
{
	(void)arg;
	(void)s;
}

static void
ignore_data(
    void *arg, struct quic_stream *s, const uint8_t *data, size_t len, bool fin)
{
	(void)arg;
	(void)data;
	(void)fin;
	quic_stream_consumed(s, len);
}

static void
dialler_start(struct dialler *d)
{
	struct address any;
	struct quic_config config = { .base = base,
		.listen = &any,
		.n_listen = 1,
		.sign = sign,
		.sign_arg = d,
		.arg = d,
		.callbacks = { .conn_up = on_up,
		    .conn_closed = on_closed,
		    .stream_opened = ignore_stream,
		    .stream_data = ignore_data,
		    .stream_writable = ignore_stream,
		    .stream_aborted = ignore_stream,
		    .stream_closed = ignore_stream } };

	if (address_parse("127.0.0.1:0", &any) < 0)
		tool_die("address");
	(void)crypto_sign_keypair(d->id, d->secret);
	memcpy(config.endpoint_id, d->id, sizeof(config.endpoint_id));
	randombytes_buf(config.static_secret, sizeof(config.static_secret));
	if (quic_new(&d->quic, &config) < 0 ||
	    (d->again = event_new(base, -1, 0, dial, d)) == NULL)
		tool_die("quic_new");
	event_active(d->again, EV_TIMEOUT, 0);
}

int
main(int argc, char *argv[])
{
	static struct dialler diallers[AT_A_TIME];
	struct timeval grace;
	int64_t start;
	double seconds;

	if (argc != 4 || address_parse(argv[1], &target) < 0 ||
	    hex_decode(argv[2], strlen(argv[2]), target_id, sizeof(target_id)) <
		0 ||
	    (seconds = strtod(argv[3], NULL)) <= 0) {
		(void)fprintf(stderr,
		    "usage: meshllm-handshakes ADDR:PORT ENDPOINT-ID "
		    "SECONDS\n");
		return 2;
	}
	if (sodium_init() < 0 || (base = event_base_new()) == NULL)
		tool_die("start");
	start = now_ns();
	ends_ns = start + (int64_t)(seconds * 1e9);
	for (size_t i = 0; i < AT_A_TIME; i++)
		dialler_start(&diallers[i]);
	grace.tv_sec = (time_t)seconds;
	grace.tv_usec = 0;
	(void)event_base_loopexit(base, &grace);
	(void)event_base_dispatch(base);
	printf("{\"handshakes\":%u,\"failed\":%u,\"per_s\":%.1f}\n", n_done,
	    n_failed, n_done / ((double)(now_ns() - start) / 1e9));
	return n_done == 0;
}
