// See quic_stub.h.  Keeps the rule that a stream is closed exactly once.
#include "tests/fuzz/quic_stub.h"

#include <string.h>
#include <sys/queue.h>

struct quic_conn {
	uint8_t id[ENDPOINT_ID_LEN];
	void *data;
	TAILQ_ENTRY(quic_conn) entry;
};

struct quic_stream {
	struct quic_conn *conn;
	void *data;
	bool is_ours;
	uint8_t block[1024];
	TAILQ_ENTRY(quic_stream) entry;
};

static TAILQ_HEAD(, quic_stream) ours = TAILQ_HEAD_INITIALIZER(ours);
static TAILQ_HEAD(, quic_conn) dialled = TAILQ_HEAD_INITIALIZER(dialled);

struct quic_conn *
quic_stub_conn(const uint8_t id[static ENDPOINT_ID_LEN])
{
	struct quic_conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		abort();
	memcpy(conn->id, id, sizeof(conn->id));
	return conn;
}

void
quic_stub_conn_free(struct quic_conn *conn)
{
	free(conn);
}

struct quic_stream *
quic_stub_stream(const struct quic_conn *conn)
{
	struct quic_stream *stream = calloc(1, sizeof(*stream));

	if (stream == NULL)
		abort();
	stream->conn = (struct quic_conn *)(uintptr_t)conn;
	return stream;
}

void
quic_stub_stream_free(struct quic_stream *stream)
{
	free(stream);
}

void
quic_stub_close_opened(void *arg, const struct quic_callbacks *callbacks)
{
	struct quic_stream *stream;
	struct quic_conn *conn;

	while ((stream = TAILQ_FIRST(&ours)) != NULL) {
		TAILQ_REMOVE(&ours, stream, entry);
		callbacks->stream_closed(arg, stream);
		free(stream);
	}
	while ((conn = TAILQ_FIRST(&dialled)) != NULL) {
		TAILQ_REMOVE(&dialled, conn, entry);
		callbacks->conn_closed(arg, conn, QUIC_CLOSED_HANDSHAKE, "");
		free(conn);
	}
}

int
quic_new(struct quic **ret, const struct quic_config *config)
{
	(void)ret;
	(void)config;
	return -ENOTSUP;
}

void
quic_free(struct quic *quic)
{
	(void)quic;
}

int
quic_local_address(const struct quic *quic, size_t i, struct address *ret)
{
	(void)quic;
	(void)i;
	(void)ret;
	return -ENOTSUP;
}

int
quic_dial(struct quic *quic, const uint8_t id[static ENDPOINT_ID_LEN],
    const struct address *addrs, size_t n_addrs, unsigned deadline_ms,
    struct quic_conn **ret)
{
	(void)quic;
	(void)addrs;
	(void)n_addrs;
	(void)deadline_ms;
	*ret = quic_stub_conn(id);
	TAILQ_INSERT_TAIL(&dialled, *ret, entry);
	return 0;
}

void
quic_conn_close(struct quic_conn *conn, uint64_t error, const char *reason)
{
	(void)conn;
	(void)error;
	(void)reason;
}

const uint8_t *
quic_conn_peer(const struct quic_conn *conn)
{
	return conn->id;
}

int
quic_conn_exporter(struct quic_conn *conn, uint8_t ret[static 32])
{
	memcpy(ret, conn->id, 32);
	return 0;
}

bool
quic_conn_is_outbound(const struct quic_conn *conn)
{
	(void)conn;
	return false;
}

void
quic_conn_remote(const struct quic_conn *conn, struct address *ret)
{
	(void)conn;
	memset(ret, 0, sizeof(*ret));
	ret->in.sin_family = AF_INET;
	ret->len = sizeof(ret->in);
}

uint32_t
quic_conn_rtt_us(const struct quic_conn *conn)
{
	(void)conn;
	return 1000;
}

void
quic_conn_set_data(struct quic_conn *conn, void *data)
{
	conn->data = data;
}

void *
quic_conn_data(const struct quic_conn *conn)
{
	return conn->data;
}

int
quic_stream_open(struct quic_conn *conn, struct quic_stream **ret)
{
	*ret = quic_stub_stream(conn);
	(*ret)->is_ours = true;
	TAILQ_INSERT_TAIL(&ours, *ret, entry);
	return 0;
}

struct quic_conn *
quic_stream_conn(const struct quic_stream *stream)
{
	return stream->conn;
}

void
quic_stream_set_data(struct quic_stream *stream, void *data)
{
	stream->data = data;
}

void *
quic_stream_data(const struct quic_stream *stream)
{
	return stream->data;
}

uint8_t *
quic_stream_reserve(struct quic_stream *stream, size_t *ret_len)
{
	*ret_len = sizeof(stream->block);
	return stream->block;
}

void
quic_stream_commit(struct quic_stream *stream, size_t len)
{
	(void)stream;
	(void)len;
}

int
quic_stream_write(struct quic_stream *stream, const uint8_t *data, size_t len)
{
	(void)stream;
	(void)data;
	(void)len;
	return 0;
}

void
quic_stream_finish(struct quic_stream *stream)
{
	(void)stream;
}

void
quic_stream_abort(struct quic_stream *stream)
{
	(void)stream;
}

void
quic_stream_stop_reading(struct quic_stream *stream)
{
	(void)stream;
}

void
quic_stream_consumed(struct quic_stream *stream, size_t n)
{
	(void)stream;
	(void)n;
}
