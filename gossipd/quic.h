// QUIC v1 between nodes: ngtcp2 + GnuTLS, mutual Ed25519 raw public keys
// (RFC 7250), ALPN mesh-llm/1.  Knows connections and byte streams, nothing
// of what they carry.  Owns sockets, timers and all buffers; bounded in
// everything that a peer can make it hold.
//
// Rule for callbacks: a connection or stream pointer is good until its
// closed callback returned.  All functions may be called from callbacks;
// packets are written at the end of the loop turn.
#ifndef GOSSIPD_QUIC_H
#define GOSSIPD_QUIC_H

#include <event2/event.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/cleanup.h"
#include "common/sizes.h"

struct quic;	    // the endpoint: sockets, connection ids, connections
struct quic_conn;   // one handshaken or handshaking connection
struct quic_stream; // one bidirectional stream

enum quic_close_reason {
	QUIC_CLOSED_LOCAL, // quic_conn_close
	QUIC_CLOSED_PEER,  // CONNECTION_CLOSE or stateless reset
	QUIC_CLOSED_IDLE,
	QUIC_CLOSED_HANDSHAKE, // did not come up: refused, wrong key, time
	QUIC_CLOSED_ERROR,     // the peer broke the protocol
};

// Sign a TLS 1.3 CertificateVerify content (130 or 146 bytes), blocking.
typedef int quic_sign_fn(void *arg, const uint8_t *content, size_t len,
    uint8_t ret_signature[static SIGNATURE_LEN]);

struct quic_callbacks {
	// The handshake is done, the peer's key is proven.
	void (*conn_up)(void *arg, struct quic_conn *);
	// Always once per connection of quic_dial, and once per accepted one
	// that was up.  Its streams were closed before.
	void (*conn_closed)(void *arg, struct quic_conn *,
	    enum quic_close_reason, const char *detail);
	// The peer opened a stream.  Bytes come by stream_data.
	void (*stream_opened)(void *arg, struct quic_stream *);
	// Bytes in order; fin: these were the last.  All are taken now; credit
	// is given back by quic_stream_consumed.  So at most the stream's
	// window is ever outstanding per stream, the connection's window per
	// connection.
	void (*stream_data)(void *arg, struct quic_stream *,
	    const uint8_t *data, size_t len, bool fin);
	// Room in the send buffer after quic_stream_reserve returned NULL.
	void (*stream_writable)(void *arg, struct quic_stream *);
	// The peer gave the stream up (RESET_STREAM, or STOP_SENDING): both
	// directions are dead, stream_closed follows.  A STOP_SENDING alone
	// does not cut off what the peer still sends to us: it is told when we
	// write, or when the peer's last byte was delivered.  Can also come
	// after the peer took all it wanted of what we finished.
	void (*stream_aborted)(void *arg, struct quic_stream *);
	// Both directions ended, or the connection did.  Forget the pointer.
	void (*stream_closed)(void *arg, struct quic_stream *);
};

struct quic_config {
	struct event_base *base;
	const struct address *listen; // 1 or 2: at most one of IPv4, IPv6
	size_t n_listen;
	uint8_t endpoint_id[ENDPOINT_ID_LEN];
	uint8_t static_secret[32]; // retry tokens, stateless resets
	quic_sign_fn *sign;
	void *sign_arg;
	struct quic_callbacks callbacks;
	void *arg; // of the callbacks
	// Limits, with defaults where 0:
	unsigned max_conns;		// 512
	unsigned max_half_open;		// 256; from a quarter of it on, Retry
	unsigned max_conns_per_address; // 64 half-open from one IP
	unsigned max_streams; // 1024 incoming bidi at once per connection
};

MUST_CHECK int quic_new(struct quic **ret, const struct quic_config *);
// Closes all connections (what was written before leaves as far as it may,
// then CONNECTION_CLOSE is sent once, the callbacks run), then frees.  Not
// from a callback.
void quic_free(struct quic *);
// The address socket i is bound to, with the port the kernel chose.
MUST_CHECK int quic_local_address(
    const struct quic *, size_t i, struct address *ret);

// Dial: addresses are tried at the same time or one after another, within
// deadline_ms in total; the first that proves to be `id` wins.
MUST_CHECK int quic_dial(struct quic *,
    const uint8_t id[static ENDPOINT_ID_LEN], const struct address *addrs,
    size_t n_addrs, unsigned deadline_ms, struct quic_conn **ret);
void quic_conn_close(
    struct quic_conn *, uint64_t app_error, const char *reason);
const uint8_t *quic_conn_peer(const struct quic_conn *); // ENDPOINT_ID_LEN
bool quic_conn_is_up(const struct quic_conn *);
bool quic_conn_is_outbound(const struct quic_conn *);
void quic_conn_remote(const struct quic_conn *, struct address *ret);
uint32_t quic_conn_rtt_us(const struct quic_conn *);
void quic_conn_set_data(struct quic_conn *, void *);
void *quic_conn_data(const struct quic_conn *);
// RFC 9266 tls-exporter channel binding.
MUST_CHECK int quic_conn_exporter(struct quic_conn *, uint8_t ret[static 32]);

// -EAGAIN: the peer grants no more streams now.
MUST_CHECK int quic_stream_open(struct quic_conn *, struct quic_stream **ret);
struct quic_conn *quic_stream_conn(const struct quic_stream *);
void quic_stream_set_data(struct quic_stream *, void *);
void *quic_stream_data(const struct quic_stream *);
bool quic_stream_is_ours(const struct quic_stream *);

// Zero-copy sending: a piece of the send buffer to fill, at least 1 byte,
// NULL when the stream holds too much unacknowledged data (stream_writable
// will follow).  Valid until the next call on this stream, and only in this
// loop turn: an unused piece goes back at its end.
uint8_t *quic_stream_reserve(struct quic_stream *, size_t *ret_len);
void quic_stream_commit(struct quic_stream *, size_t len);
// Copy in all of data or nothing; for small control messages up to 8 MiB,
// beyond the limit of reserve.  -ENOBUFS, -EPIPE.
MUST_CHECK int quic_stream_write(
    struct quic_stream *, const uint8_t *data, size_t len);
void quic_stream_finish(struct quic_stream *); // FIN after what was written
// RESET_STREAM and STOP_SENDING with code 0; stream_closed follows.
void quic_stream_abort(struct quic_stream *);
// Only STOP_SENDING(0): we read no more, later bytes are dropped.
void quic_stream_stop_reading(struct quic_stream *);
// n bytes of stream_data were used up: grant the peer as many again.
void quic_stream_consumed(struct quic_stream *, size_t n);

struct quic_stats {
	uint64_t handshakes_ok, handshakes_failed, retries_sent, resets_sent,
	    datagrams_in, datagrams_out, datagrams_dropped;
	unsigned conns, half_open, streams;
	size_t buffered_bytes;
	size_t receive_buffer, send_buffer; // of a socket, as granted
};
void quic_get_stats(const struct quic *, struct quic_stats *ret);

#endif
