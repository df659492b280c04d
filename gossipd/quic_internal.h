// What the files of the QUIC transport share.  Nobody else includes this,
// except tests that feed datagrams in by hand.
//
// quic       the endpoint: sockets, routes from connection ids, limits
// quic_link  one QUIC connection on the wire: ngtcp2, TLS, timer
// quic_conn  what the application sees; while dialling it has several links,
//            afterwards the one whose peer proved its key
// A link outlives its quic_conn as a small tombstone that answers late
// packets (RFC 9000, section 10.2).
#ifndef GOSSIPD_QUIC_INTERNAL_H
#define GOSSIPD_QUIC_INTERNAL_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <gnutls/gnutls.h>
#include <gnutls/abstract.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <sodium.h>
#include <sys/queue.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "gossipd/quic.h"

enum {
	QUIC_CID_LEN = 12,
	QUIC_PACKET_ETHERNET = 1452, // with IPv6; until then it is 1200
	QUIC_PACKET_MAX = 8952,	     // jumbo frames, loopback: if PMTUD says so
	QUIC_BATCH_MAX = 44 * QUIC_PACKET_ETHERNET, // a GSO send: 65,507 bytes
	QUIC_BATCH_SEGMENTS = 64,
	QUIC_RX_SLOTS = 8,
	QUIC_RX_SLOT_LEN = 65536,

	// Small for a stream, so that sixteen whose readers stall are needed
	// before the connection does; both grow while bytes are taken.
	QUIC_STREAM_WINDOW = 256 * 1024,
	QUIC_CONN_WINDOW = 4 << 20,
	QUIC_STREAM_WINDOW_MAX = 4 << 20,
	QUIC_CONN_WINDOW_MAX = 8 << 20,
	QUIC_CREDIT_FLUSH = 32 << 10, // tell the peer after so much
	QUIC_STREAMS_FLUSH = 16,      // the same, streams

	QUIC_BLOCK_LEN = 16 << 10, // piece of a send buffer
	QUIC_POOL_BLOCKS = 256,	   // free blocks kept
	QUIC_SEND_HIGH = 1 << 20,  // per stream, by quic_stream_reserve
	QUIC_SEND_LOW = 512 << 10,
	QUIC_WRITE_MAX = 8 << 20,	// per stream, by quic_stream_write
	QUIC_TOTAL_RESERVE = 192 << 20, // all streams, by reserve
	QUIC_TOTAL_MAX = 256 << 20,	// all streams

	QUIC_DIAL_ADDRS_MAX = 16,
	QUIC_DIAL_NEXT_MS = 250,
	QUIC_DETAIL_LEN = 128,
	QUIC_REASON_LEN = 64,
	QUIC_STATELESS_BURST = 200, // resets, refusals, negotiations
	QUIC_STATELESS_PER_S = 200,
};

// A stretch of committed stream data.  Stays where it is until all of it is
// acknowledged: ngtcp2 sends it again from here.
struct quic_block {
	struct quic_block *next;
	uint64_t start; // stream offset of bytes[0]
	size_t used;
	uint8_t bytes[];
};
enum { QUIC_BLOCK_ROOM = QUIC_BLOCK_LEN - sizeof(struct quic_block) };

struct quic_stream {
	struct quic_conn *conn; // borrowed
	void *data;		// the application's
	int64_t id;
	TAILQ_ENTRY(quic_stream) all, ready, notify, starved, reserved;
	struct quic_block *head, *tail, *cursor; // owned; cursor: sent
	uint64_t acked, sent, end; // offsets; acked <= sent <= end
	uint64_t unconsumed;	   // given to the application, not granted anew
	bool is_ours;
	bool in_ready, in_notify, in_starved, in_reserved;
	bool blocked;		 // by the stream's flow control
	bool finished, fin_sent; // by us
	bool want_room;		 // reserve returned NULL
	bool over;		 // stream_closed is being called
	bool write_dead;	 // reset: nothing more is sent
	bool read_dead;		 // stopped: nothing more is delivered
	bool abort_due, aborted; // stream_aborted to be called, was called
	bool abandoned;		 // by quic_stream_abort
};
TAILQ_HEAD(quic_streams, quic_stream);

enum quic_route_kind { QUIC_ROUTE_CID, QUIC_ROUTE_TOKEN, QUIC_N_ROUTES };

// Finds the link of a datagram by connection id or by reset token.
struct quic_route {
	UT_hash_handle hh;
	SLIST_ENTRY(quic_route) next; // of the same link
	struct quic_link *link;
	enum quic_route_kind kind;
	size_t len;
	uint8_t bytes[NGTCP2_MAX_CIDLEN];
};

// Half-open connections of one address: IPv4, or the /64 of IPv6.
struct quic_source {
	UT_hash_handle hh;
	uint8_t prefix[16];
	unsigned half_open;
};

enum quic_link_state { LINK_HANDSHAKE, LINK_UP, LINK_CLOSED };

struct quic_link {
	struct quic *q;
	struct quic_conn *conn; // NULL: not up yet, or given up
	enum quic_link_state state;
	ngtcp2_conn *ng;      // NULL when LINK_CLOSED
	gnutls_session_t tls; // NULL when LINK_CLOSED
	ngtcp2_crypto_conn_ref ref;
	struct event timer;
	ngtcp2_tstamp armed;	// what ngtcp2 asked for; UINT64_MAX: nothing
	ngtcp2_tstamp due;	// at the timerfd; UINT64_MAX: not there
	ngtcp2_tstamp heard_at; // the last datagram of this turn; 0: none
	TAILQ_ENTRY(quic_link) all, dirty, attempt;
	SLIST_HEAD(, quic_route) routes;
	struct quic_source *source; // while half-open and accepted
	struct quic_socket *socket;
	struct address local;  // an outbound link: the label ngtcp2 knows
	struct address remote; // the address at the start
	uint8_t peer[ENDPOINT_ID_LEN]; // expected (outbound), then proven
	bool outbound, in_dirty, in_attempts;
	bool close_due;	       // close at the end of the loop turn
	bool was_reset;	       // by a stateless reset
	bool verified;	       // TLS has checked the key of the peer
	const char *tls_error; // static; why we refused the peer
	size_t credit;	       // granted since the last write
	unsigned n_inbound;    // streams of the peer that are open
	unsigned streams_due;  // closed, and not given back to it yet
	uint8_t *close_packet; // owned; sent again when the peer goes on
	size_t close_len;
	unsigned close_hits;
};
TAILQ_HEAD(quic_links, quic_link);

struct quic_conn {
	struct quic *q;
	struct quic_link *link;	    // the proven one; NULL while dialling
	struct quic_links attempts; // while dialling
	TAILQ_ENTRY(quic_conn) all, ending;
	struct quic_streams streams, ready;
	void *data; // the application's
	uint8_t peer[ENDPOINT_ID_LEN];
	struct address remote;
	bool outbound, in_ending, over;
	enum quic_close_reason end_reason;
	uint64_t close_code;
	char close_reason[QUIC_REASON_LEN];
	char detail[QUIC_DETAIL_LEN];
	// while dialling
	struct event dial_timer;
	struct address *addrs; // owned
	size_t n_addrs, next_addr;
	ngtcp2_tstamp deadline;
};
TAILQ_HEAD(quic_conns, quic_conn);

// Packets that wait for one sendmsg: same path, all of segment bytes except
// the last one.
struct quic_batch {
	uint8_t *bytes; // owned; QUIC_BATCH_MAX and room for one packet
	size_t len, segment;
	struct address local, remote;
	uint8_t ecn;
};

struct quic_socket {
	struct quic *q;
	int fd;
	struct event readable, writable;
	struct quic_links dirty; // have something to write
	struct address bound;
	bool blocked; // EAGAIN: the batch waits for EV_WRITE
	bool no_gso;
	struct quic_batch batch;
};

struct quic {
	struct quic_config config;
	struct quic_socket sockets[2];
	size_t n_sockets;
	uint8_t *rx; // owned; QUIC_RX_SLOTS slots
	struct event flush;
	int pace_fd;	       // owned; a timerfd, or -1
	ngtcp2_tstamp pace_at; // it is set to; UINT64_MAX: not
	struct event pace;
	bool flushing_soon, closing;
	uint8_t hash_key[crypto_shorthash_KEYBYTES];
	uint8_t reset_key[32], token_key[32];
	struct quic_route *routes[QUIC_N_ROUTES];
	struct quic_source *sources;
	struct quic_links links;
	struct quic_conns conns, ending;
	struct quic_streams notify, starved, reserved;
	struct quic_block *pool;
	size_t n_pool;
	size_t buffered; // bytes of blocks in use
	unsigned n_tombstones;
	uint64_t stateless_budget; // in thousandths of a packet
	ngtcp2_tstamp stateless_ts;
	struct quic_stats stats;
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
	const char *alpn; // static
};

static inline ngtcp2_tstamp
quic_now(void)
{
	struct timespec ts;

	// Cannot fail with this clock.
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ngtcp2_tstamp)ts.tv_sec * NGTCP2_SECONDS +
	    (ngtcp2_tstamp)ts.tv_nsec;
}

// quic_tls.c
MUST_CHECK int quic_tls_init(struct quic *);
void quic_tls_done(struct quic *);
// A session for link->ng that is about to be made; sets link->tls.
MUST_CHECK int quic_tls_session_new(struct quic_link *);
// After the handshake: the peer's key and the protocol, or -EPERM.
MUST_CHECK int quic_tls_accept_peer(struct quic_link *);

// quic_pace.c
MUST_CHECK int quic_pace_init(struct quic *);
void quic_pace_done(struct quic *);
void quic_pace(struct quic_link *, ngtcp2_tstamp at, ngtcp2_tstamp now);

// quic_udp.c
MUST_CHECK int quic_socket_open(
    struct quic_socket *, struct quic *, const struct address *);
void quic_socket_close(struct quic_socket *);
struct quic_socket *quic_socket_for(struct quic *, sa_family_t);
// Where the next packet goes: room for QUIC_PACKET_MAX.
uint8_t *quic_batch_next(struct quic_socket *);
// The packet there has len bytes.  0, -EAGAIN (blocked), or -errno of the
// path; may_merge: packets of one size leave in one call.
MUST_CHECK int quic_batch_add(struct quic_socket *, const ngtcp2_path *,
    uint8_t ecn, size_t len, bool may_merge);
MUST_CHECK int quic_batch_send(struct quic_socket *);
// One datagram past the batch; lost when the socket is full.
void quic_send_single(struct quic_socket *, const struct address *local,
    const struct address *remote, const uint8_t *data, size_t len);

// quic_endpoint.c
// One datagram as it came.
void quic_input(struct quic_socket *, const struct address *local,
    const struct address *remote, uint8_t ecn, const uint8_t *data, size_t len);
// Run quic_flush at the end of this loop turn.
void quic_flush_soon(struct quic *);
void quic_flush(struct quic *);

// quic_route.c
MUST_CHECK int quic_route_add(
    struct quic_link *, enum quic_route_kind, const uint8_t *bytes, size_t len);
struct quic_link *quic_route_find(
    struct quic *, enum quic_route_kind, const uint8_t *bytes, size_t len);
void quic_route_remove(
    struct quic_link *, enum quic_route_kind, const uint8_t *bytes, size_t len);
void quic_routes_drop(struct quic_link *);
struct quic_source *quic_source_find(struct quic *, const struct address *);
MUST_CHECK int quic_source_add(struct quic_link *);
void quic_source_drop(struct quic_link *);

// quic_link.c
struct quic_accept {
	const ngtcp2_pkt_hd *header;
	const ngtcp2_cid *original_dcid; // NULL unless a Retry was answered
	struct quic_socket *socket;
	const struct address *local, *remote;
};
MUST_CHECK int quic_link_accept(
    struct quic *, const struct quic_accept *, struct quic_link **ret);
MUST_CHECK int quic_link_dial(
    struct quic_conn *, const struct address *, ngtcp2_duration timeout);
void quic_link_input(struct quic_link *, const struct address *local,
    const struct address *remote, uint8_t ecn, const uint8_t *data, size_t len);
void quic_link_mark(struct quic_link *); // has something to write
// Let the peer open as many streams as it closed, if it is time to say so.
void quic_link_give_streams(struct quic_link *);
ngtcp2_tstamp quic_link_write_time(struct quic_link *);
void quic_link_arm(struct quic_link *);	    // its timer
void quic_link_timeout(struct quic_link *); // that timer; may free the link
// Something failed in ngtcp2: close, tell the connection.
void quic_link_fail(struct quic_link *, int liberr);
// End it: CONNECTION_CLOSE with error unless NULL.  Not from a callback of
// ngtcp2.  The application's callbacks run.
void quic_link_end(struct quic_link *, enum quic_close_reason,
    const char *detail, const ngtcp2_ccerr *error);
void quic_link_free(struct quic_link *);

// quic_callbacks.c
extern const ngtcp2_callbacks quic_client_callbacks, quic_server_callbacks;

// quic_write.c
// False: that was its end, and it may be gone.
bool quic_link_write(struct quic_link *);

// quic_conn.c
// The handshake of link is done.  -EMFILE: no room; -ECANCELED: another
// link won.
MUST_CHECK int quic_conn_established(struct quic_link *);
// link ended; forget it.
void quic_conn_link_ended(struct quic_conn *, struct quic_link *,
    enum quic_close_reason, const char *detail);
// Tell the application and free.
void quic_conn_finish(struct quic_conn *);
void quic_conn_end_soon(struct quic_conn *, enum quic_close_reason);

// quic_buffer.c
struct quic_block *quic_block_get(struct quic *);
// A chain with room for len bytes, all or nothing.
struct quic_block *quic_blocks_get(struct quic *, size_t len);
void quic_buffer_append(struct quic_stream *, struct quic_block *);
// Frees what is all acknowledged; a reserved tail stays.
void quic_buffer_release(struct quic_stream *);
void quic_buffer_discard(struct quic_stream *);
void quic_pool_done(struct quic *);

// quic_stream.c
MUST_CHECK int quic_stream_accept(
    struct quic_conn *, int64_t id, struct quic_stream **ret);
void quic_stream_received(
    struct quic_stream *, const uint8_t *data, size_t len, bool fin);
void quic_stream_was_reset(struct quic_stream *);
// ngtcp2 closed it, or the connection ended; frees.
void quic_stream_over(struct quic_stream *, bool by_error);
void quic_stream_unblock(struct quic_stream *);
void quic_stream_acked(struct quic_stream *, uint64_t offset);
// What to send next; fin: and that is the end.
size_t quic_stream_pending(
    const struct quic_stream *, ngtcp2_vec *vec, size_t n_vec, bool *ret_fin);
void quic_stream_sent(struct quic_stream *, size_t len, bool fin);
void quic_stream_block(struct quic_stream *);
void quic_stream_write_died(struct quic_stream *);
// End of the loop turn: deliver what was put off.
void quic_streams_flush(struct quic *);

#endif
