// Target: control.c, mesh.c and tunnel.c as the transport calls them: one
// peer opens streams and sends bytes on them in pieces of its choice.  The
// transport below is replaced by quic_stub.c.  Whatever the bytes: all memory
// is given back when the streams are closed, and no peer holds more of it
// than its limit.
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_gossipd.h"
#include "tests/fuzz/quic_stub.h"

enum { STREAMS = 8 };

static struct gossipd *d;

static void
check(bool promise)
{
	if (!promise)
		abort();
}

static void
start(void)
{
	d = fuzz_gossipd_new();
	d->greet = evtimer_new(d->base, NULL, NULL);
}

static void
stop(void)
{
	struct dirty_peer *dirty, *tmp;

	HASH_ITER (hh, d->dirty, dirty, tmp) {
		HASH_DEL(d->dirty, dirty);
		free(dirty);
	}
	gossip_free(d->gossip);
	event_free(d->greet);
	event_base_free(d->base);
	free(d);
}

// Bytes: stream (low 3 bits), FIN (bit 3), abort (bit 4); length; the bytes.
static void
play(const struct quic_conn *conn, const uint8_t *data, size_t size)
{
	struct quic_stream *streams[STREAMS] = { NULL };

	while (size >= 2) {
		size_t i = data[0] % STREAMS, len = data[1];
		bool fin = (data[0] & 8) != 0, abort_it = (data[0] & 16) != 0;

		data += 2;
		size -= 2;
		len = len < size ? len : size;
		if (streams[i] == NULL) {
			streams[i] = quic_stub_stream(conn);
			mesh_callbacks.stream_opened(d, streams[i]);
		}
		if (abort_it)
			mesh_callbacks.stream_aborted(d, streams[i]);
		else
			mesh_callbacks.stream_data(
			    d, streams[i], data, len, fin);
		check(d->control_bytes <= CONTROL_BYTES_MAX);
		if (fin || abort_it) {
			mesh_callbacks.stream_closed(d, streams[i]);
			quic_stub_stream_free(streams[i]);
			streams[i] = NULL;
		}
		data += len;
		size -= len;
	}
	for (size_t i = 0; i < STREAMS; i++)
		if (streams[i] != NULL) {
			mesh_callbacks.stream_closed(d, streams[i]);
			quic_stub_stream_free(streams[i]);
		}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t id[ENDPOINT_ID_LEN] = { 1 };
	struct quic_conn *conn = quic_stub_conn(id);

	start();
	mesh_callbacks.conn_up(d, conn);
	play(conn, data, size);
	quic_stub_close_opened(d, &mesh_callbacks);
	mesh_callbacks.conn_closed(d, conn, QUIC_CLOSED_PEER, "");
	quic_stub_conn_free(conn);
	check(d->control_bytes == 0 && TAILQ_EMPTY(&d->waiting));
	check(HASH_COUNT(d->links) == 0);
	stop();
	return 0;
}
