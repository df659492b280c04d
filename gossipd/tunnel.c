// A tunnel: one QUIC stream of type 0x04 and one descriptor of proxyd, bytes
// copied between them and nothing else.  Reads from the descriptor straight
// into the stream's send buffer and stops when that is full; grants the peer
// credit only for bytes that proxyd took.  It must never look at the bytes,
// nor keep them after they went on.
//
// Wake-ups and system calls are what a short request costs.  So a request is
// read where its descriptor arrives, an inbound one is handed over with its
// bytes in it, and who only waits for an answer is not watched at first.
#include "gossipd/gossipd.h"

#include <event2/event_struct.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "proxyd/client.h"

enum {
	READS_PER_TURN = 8,
	GATHER_FROM = 1024, // a full packet, which others follow
	GATHER_MAX = 64 << 10,
	WIDE_FROM = 128 << 10,
	WIDE_BYTES = 512 << 10,
	WIDE_PER_PEER_MAX = 16, // a peer has us hold no more than that
};

struct tunnel {
	struct gstream base;
	int fd;	    // owned
	int theirs; // owned; the end that proxyd does not have yet, or -1
	bool inbound;
	uint8_t type;	  // of the stream
	bool is_unnamed;  // by its type: waits for the first bytes
	bool fin_in;	  // the peer's FIN arrived
	bool fin_out;	  // proxyd has finished its side
	bool is_last;	  // it will: what can be read now is the last
	bool hung_up;	  // and it takes nothing more
	bool blocked;	  // proxyd's descriptor is full
	bool is_wide;	  // and holds more of a request than usual
	size_t n_came;	  // from the peer, until it is_wide
	uint64_t came_ms; // inbound: at the earliest, clock_boot_ms()
	struct event readable, writable;
	struct event watch_late;
	uint8_t *rest; // owned: bytes that proxyd has not taken yet
	size_t rest_off, rest_len, rest_size;
};

static void
tunnel_free(struct tunnel *t)
{
	if (t->base.stream != NULL)
		quic_stream_set_data(t->base.stream, NULL);
	t->base.link->n_tunnels--;
	if (t->inbound)
		t->base.link->n_tunnels_in--;
	if (t->is_wide)
		t->base.link->n_wide--;
	(void)event_del(&t->readable);
	(void)event_del(&t->writable);
	(void)event_del(&t->watch_late);
	close_fd(&t->fd);
	close_fd(&t->theirs);
	free(t->rest);
	mesh_drop_link_if_unused(t->base.link);
	free(t);
}

static void
tunnel_abort(struct tunnel *t)
{
	struct quic_stream *stream = t->base.stream;

	tunnel_free(t);
	if (stream != NULL)
		quic_stream_abort(stream);
}

// Closed in both directions, as opposed to shutdown(SHUT_WR): unix(7) then
// reports POLLHUP.
static bool
is_hung_up(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

// proxyd was given all that the peer will ever send.
static bool
has_given_all(const struct tunnel *t)
{
	return t->fin_in && t->rest_len == 0;
}

// Our answer's last byte was read from proxyd: FIN, and nothing more is
// wanted of the opener.  The transport delivers what is still buffered.
static void
answer_done(struct tunnel *t)
{
	struct quic_stream *stream = t->base.stream;

	quic_stream_set_data(stream, NULL);
	t->base.stream = NULL;
	quic_stream_finish(stream);
	quic_stream_stop_reading(stream);
	// Freed behind the flush: to close takes as long as to send.
	event_active(&t->watch_late, EV_TIMEOUT, 0);
}

// proxyd finished its side; when it also closed the other one it no longer
// wants an answer.
static void
fd_finished(struct tunnel *t)
{
	if (!t->hung_up && !t->is_unnamed) {
		t->fin_out = true;
		quic_stream_finish(t->base.stream);
	} else if (t->inbound) {
		answer_done(t);
	} else {
		tunnel_abort(t);
	}
}

// to_the_end: also what follows a short read, as no event may follow for it.
static void
read_fd(struct tunnel *t, bool to_the_end)
{
	size_t room = 0;
	ssize_t n = 0;

	for (unsigned i = 0; i < READS_PER_TURN; i++) {
		uint8_t *p = quic_stream_reserve(t->base.stream, &room);

		if (p == NULL)
			return; // until tunnel_writable
		if (t->is_unnamed) {
			*p++ = t->type;
			room--;
		}
		n = recv(t->fd, p, room, MSG_DONTWAIT);
		if (n <= 0)
			break;
		quic_stream_commit(
		    t->base.stream, (size_t)n + (t->is_unnamed ? 1 : 0));
		t->is_unnamed = false;
		// A short read has emptied it, so the usual turn is one call.
		if ((size_t)n < room && !to_the_end)
			return;
	}
	if (n > 0)
		event_active(&t->readable, EV_READ, 0);
	// ECONNRESET: closed, and it left bytes of ours unread.
	else if (n == 0 || errno == ECONNRESET)
		fd_finished(t);
	else if (errno != EAGAIN && errno != EINTR)
		tunnel_abort(t);
}

// Edge-triggered: a level-triggered end would come again in every turn.
static void
on_fd_event(evutil_socket_t fd, short what, void *arg)
{
	struct tunnel *t = arg;

	if ((what & EV_CLOSED) != 0) {
		// Its last bytes may be unread, and no edge follows for them.
		t->is_last = true;
		// With the request complete there is nothing but the answer to
		// wait for: its end is the end.
		t->hung_up = (t->inbound && !t->fin_out && has_given_all(t)) ||
		    is_hung_up(fd);
	}
	if (t->hung_up && (t->base.stream == NULL || !t->inbound))
		tunnel_abort(t);
	else if (t->hung_up && t->fin_out)
		answer_done(t);
	else if (t->base.stream != NULL && !t->fin_out)
		read_fd(t, t->is_last);
}

void
tunnel_writable(struct gstream *g)
{
	struct tunnel *t = (struct tunnel *)g;

	if (!t->fin_out)
		event_active(&t->readable, EV_READ, 0);
}

static int
rest_append(struct tunnel *t, const uint8_t *data, size_t len)
{
	size_t need = t->rest_len + len;

	if (len == 0)
		return 0;
	if (t->rest_off != 0 && t->rest_off + need > t->rest_size) {
		memmove(t->rest, t->rest + t->rest_off, t->rest_len);
		t->rest_off = 0;
	}
	if (t->rest_off + need > t->rest_size) {
		// Bounded by the stream's flow-control window.
		size_t size = need < 16384 ? 16384 : need * 2;
		uint8_t *p = realloc(t->rest, size);

		if (p == NULL)
			return -ENOMEM;
		t->rest = p;
		t->rest_size = size;
	}
	memcpy(t->rest + t->rest_off + t->rest_len, data, len);
	t->rest_len = need;
	return 0;
}

// All that the peer will ever send is with proxyd.
static void
finish_fd(struct tunnel *t)
{
	if (!has_given_all(t))
		return;
	(void)shutdown(t->fd, SHUT_WR);
	if (t->base.stream == NULL)
		tunnel_free(t);
}

// -EPIPE when proxyd is gone.
static int
send_now(struct tunnel *t, const uint8_t *data, size_t len, size_t *ret_sent)
{
	ssize_t n;

	*ret_sent = 0;
	while (*ret_sent < len) {
		n = send(t->fd, data + *ret_sent, len - *ret_sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n == -1)
			return -EPIPE;
		*ret_sent += (size_t)n;
	}
	if (t->base.stream != NULL && *ret_sent != 0)
		quic_stream_consumed(t->base.stream, *ret_sent);
	return 0;
}

static int
watch(struct tunnel *t)
{
	// libevent does not add what is active; with data there, or its end,
	// an event follows at once.
	(void)event_del(&t->readable);
	return event_add(&t->readable, NULL) == -1 ? -ENOMEM : 0;
}

// proxyd gets its end, with all in it that came in this turn.
static int
hand_over(struct tunnel *t)
{
	struct link *link = t->base.link;
	int r = -EPIPE;

	if (link->daemon->proxyd != NULL)
		r = proxyd_tunnel_inbound_send(link->daemon->proxyd, link->id,
		    t->came_ms, take_fd(&t->theirs));
	if (r == 0)
		r = watch(t);
	if (r < 0)
		control_log_refusal(
		    link, TUNNEL_STREAM_TYPE, strerrorname_np(-r));
	return r;
}

static int
send_rest(struct tunnel *t)
{
	size_t sent;
	int r = send_now(t, t->rest + t->rest_off, t->rest_len, &sent);

	t->rest_off += sent;
	t->rest_len -= sent;
	if (r < 0)
		return r;
	if (t->rest_len != 0) {
		// libevent does not add what is active.
		if (!t->blocked) {
			(void)event_del(&t->writable);
			(void)event_add(&t->writable, NULL);
		}
		t->blocked = true;
		// Full before it is proxyd's: no later turn would do it.
		return t->theirs != -1 ? hand_over(t) : 0;
	}
	if (t->blocked)
		(void)event_del(&t->writable);
	t->blocked = false;
	free(t->rest);
	t->rest = NULL;
	t->rest_off = t->rest_size = 0;
	return 0;
}

// The descriptor takes more, or the turn ends in which bytes were gathered.
static void
on_fd_writable(evutil_socket_t fd, short what, void *arg)
{
	struct tunnel *t = arg;
	bool had_rest = t->rest_len != 0;
	int r = 0;

	(void)fd;
	(void)what;
	if (had_rest)
		r = send_rest(t);
	if (r == 0 && t->theirs != -1)
		r = hand_over(t);
	if (r < 0)
		tunnel_abort(t);
	else if (had_rest)
		finish_fd(t);
}

// A large request, which proxyd takes as it comes, needs fewer turns of both
// of us so.  Never an answer: its reader may be slow.
static void
widen(struct tunnel *t, size_t len)
{
	int size = WIDE_BYTES;

	if (!t->inbound || t->is_wide || (t->n_came += len) < WIDE_FROM ||
	    t->base.link->n_wide >= WIDE_PER_PEER_MAX)
		return;
	t->is_wide = true;
	t->base.link->n_wide++;
	// The kernel clips it to what the administrator allows.
	(void)setsockopt(t->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

// A token leaves at once.  Packets of something larger leave together: a call
// for each of them, and a wake-up of proxyd, would cost more than all the rest.
void
tunnel_data(struct gstream *g, const uint8_t *data, size_t len, bool fin)
{
	struct tunnel *t = (struct tunnel *)g;
	size_t sent = 0;
	int r = 0;

	t->fin_in |= fin;
	widen(t, len);
	if (t->rest_len == 0 && (fin || len < GATHER_FROM))
		r = send_now(t, data, len, &sent);
	if (r == 0)
		r = rest_append(t, data + sent, len - sent);
	if (r == 0 && t->rest_len != 0 && !t->blocked) {
		if (fin || sent != 0 || t->rest_len >= GATHER_MAX)
			r = send_rest(t);
		else
			event_active(&t->writable, EV_WRITE, 0);
	}
	if (r < 0)
		tunnel_abort(t);
	else
		finish_fd(t);
}

void
tunnel_aborted(struct gstream *g)
{
	struct tunnel *t = (struct tunnel *)g;

	// All came, and may still be on its way to proxyd; the peer only
	// wants no more of us.
	if (t->fin_in && !t->inbound)
		return;
	// The end without a mark is what tells proxyd; the stream's other
	// direction is of no use to anybody now.
	tunnel_abort(t);
}

void
tunnel_closed(struct gstream *g)
{
	struct tunnel *t = (struct tunnel *)g;

	t->base.stream = NULL;
	if (!t->fin_in || t->rest_len == 0)
		tunnel_free(t);
	// Else: complete, and the rest is still on its way to proxyd.
}

// Most answers are here before anybody could have hung up.  Or it is done.
static void
on_watch_late(evutil_socket_t fd, short what, void *arg)
{
	struct tunnel *t = arg;

	(void)fd;
	(void)what;
	if (t->base.stream == NULL)
		tunnel_free(t);
	else if (watch(t) < 0)
		tunnel_abort(t);
}

static int
tunnel_new(struct link *link, int fd_taken, struct quic_stream *stream,
    struct tunnel **ret)
{
	struct event_base *base = link->daemon->base;
	AUTO_FD fd = fd_taken;
	struct tunnel *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	t->base.kind = GSTREAM_TUNNEL;
	t->base.link = link;
	link->n_tunnels++;
	t->fd = take_fd(&fd);
	t->theirs = -1;
	// The write event must be edge-triggered too: libevent makes all of a
	// descriptor alike, by the one that changed last.
	(void)event_assign(&t->readable, base, t->fd,
	    EV_READ | EV_CLOSED | EV_ET | EV_PERSIST, on_fd_event, t);
	(void)event_assign(&t->writable, base, t->fd,
	    EV_WRITE | EV_ET | EV_PERSIST, on_fd_writable, t);
	(void)evtimer_assign(&t->watch_late, base, on_watch_late, t);
	t->base.stream = stream;
	quic_stream_set_data(stream, t);
	*ret = t;
	return 0;
}

// What proxyd wrote before it sent the descriptor: often all of a request.
static int
read_first(struct tunnel *t)
{
	struct quic_stream *stream = t->base.stream;

	t->is_unnamed = true; // a packet for one byte is dear
	read_fd(t, true);
	if (quic_stream_data(stream) == NULL)
		return 0; // it is gone, and proxyd sees that
	if (!t->fin_out)
		return watch(t);
	return event_add(&t->watch_late, t->base.link->daemon->watch_late);
}

int
tunnel_open(struct link *link, uint8_t type, int fd_taken)
{
	AUTO_FD fd = fd_taken;
	struct quic_stream *stream;
	struct tunnel *t;
	int r;

	if ((r = quic_stream_open(link->conn, &stream)) < 0)
		return r;
	if ((r = tunnel_new(link, take_fd(&fd), stream, &t)) < 0) {
		quic_stream_abort(stream);
		return r;
	}
	t->type = type;
	if (read_first(t) < 0)
		tunnel_abort(t);
	return 0;
}

int
tunnel_accept(struct link *link, struct quic_stream *stream,
    const uint8_t *first, size_t len, bool fin)
{
	struct tunnel *t;
	int pair[2];
	int r;

	if (link->daemon->proxyd == NULL)
		return -EPIPE;
	if (link->n_tunnels_in >= TUNNELS_PER_PEER_MAX)
		return -ENOBUFS;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		pair) == -1)
		return -errno;
	if ((r = tunnel_new(link, pair[0], stream, &t)) < 0) {
		(void)close(pair[1]);
		return r;
	}
	t->theirs = pair[1];
	t->inbound = true;
	t->came_ms = stall_since(&link->daemon->stall, clock_boot_ms());
	link->n_tunnels_in++;
	event_active(&t->writable, EV_WRITE, 0); // hands it over
	tunnel_data(&t->base, first, len, fin);
	return 0;
}
