// A tunnel: one QUIC stream of type 0x04 and one descriptor of proxyd, bytes
// copied between them and nothing else.  Reads from the descriptor straight
// into the stream's send buffer and stops when that is full; grants the peer
// credit only for bytes that proxyd took.  It must never look at the bytes,
// nor keep them after they went on.
#include "gossipd/gossipd.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "proxyd/client.h"

enum {
	READS_PER_TURN = 8,
	GATHER_FROM = 1024, // a full packet, which others follow
	GATHER_MAX = 64 << 10,
};

struct tunnel {
	struct gstream base;
	int fd; // owned
	bool inbound;
	uint8_t type;	 // of the stream
	bool is_unnamed; // by its type: waits for the first bytes
	bool fin_in;	 // the peer's FIN arrived
	bool fin_out;	 // proxyd has finished its side
	bool is_last;	 // it will: what can be read now is the last
	bool hung_up;	 // and it takes nothing more
	bool blocked;	 // proxyd's descriptor is full
	struct event *read_event, *write_event; // owned
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
	if (t->read_event != NULL)
		event_free(t->read_event);
	if (t->write_event != NULL)
		event_free(t->write_event);
	close_fd(&t->fd);
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

// Our answer's last byte was read from proxyd: FIN, and nothing more is
// wanted of the opener.  The transport delivers what is still buffered.
static void
answer_done(struct tunnel *t)
{
	struct quic_stream *stream = t->base.stream;

	tunnel_free(t);
	quic_stream_finish(stream);
	quic_stream_stop_reading(stream);
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

static void
read_fd(struct tunnel *t)
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
		if ((size_t)n < room && !t->is_last)
			return;
	}
	if (n > 0)
		event_active(t->read_event, EV_READ, 0);
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
		t->hung_up = is_hung_up(fd);
	}
	if (t->hung_up && (t->base.stream == NULL || !t->inbound))
		tunnel_abort(t);
	else if (t->hung_up && t->fin_out)
		answer_done(t);
	else if (t->base.stream != NULL && !t->fin_out)
		read_fd(t);
}

void
tunnel_writable(struct gstream *g)
{
	struct tunnel *t = (struct tunnel *)g;

	if (!t->fin_out)
		event_active(t->read_event, EV_READ, 0);
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
	if (!t->fin_in || t->rest_len != 0)
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
			(void)event_del(t->write_event);
			(void)event_add(t->write_event, NULL);
		}
		t->blocked = true;
		return 0;
	}
	if (t->blocked)
		(void)event_del(t->write_event);
	t->blocked = false;
	free(t->rest);
	t->rest = NULL;
	t->rest_off = t->rest_size = 0;
	return 0;
}

// The descriptor takes more, or the turn in which bytes were gathered ends.
static void
on_fd_writable(evutil_socket_t fd, short what, void *arg)
{
	struct tunnel *t = arg;

	(void)fd;
	(void)what;
	if (t->rest_len == 0)
		return;
	if (send_rest(t) < 0)
		tunnel_abort(t);
	else
		finish_fd(t);
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
	if (t->rest_len == 0 && (fin || len < GATHER_FROM))
		r = send_now(t, data, len, &sent);
	if (r == 0)
		r = rest_append(t, data + sent, len - sent);
	if (r == 0 && t->rest_len != 0 && !t->blocked) {
		if (fin || sent != 0 || t->rest_len >= GATHER_MAX)
			r = send_rest(t);
		else
			event_active(t->write_event, EV_WRITE, 0);
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
	// The write event must be edge-triggered too: libevent makes all of a
	// descriptor alike, by the one that changed last.
	t->read_event = event_new(base, t->fd,
	    EV_READ | EV_CLOSED | EV_ET | EV_PERSIST, on_fd_event, t);
	t->write_event = event_new(
	    base, t->fd, EV_WRITE | EV_ET | EV_PERSIST, on_fd_writable, t);
	if (t->read_event == NULL || t->write_event == NULL ||
	    event_add(t->read_event, NULL) == -1) {
		tunnel_free(t);
		return -ENOMEM;
	}
	t->base.stream = stream;
	quic_stream_set_data(stream, t);
	*ret = t;
	return 0;
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
	r = tunnel_new(link, take_fd(&fd), stream, &t);
	if (r < 0) {
		quic_stream_abort(stream);
		return r;
	}
	t->type = type;
	t->is_unnamed = true; // a packet for one byte is dear
	return 0;
}

int
tunnel_accept(struct link *link, struct quic_stream *stream,
    const uint8_t *first, size_t len, bool fin)
{
	struct gossipd *d = link->daemon;
	AUTO_FD theirs = -1;
	struct tunnel *t;
	int pair[2];
	int r;

	if (d->proxyd == NULL)
		return -EPIPE;
	if (link->n_tunnels_in >= TUNNELS_PER_PEER_MAX)
		return -ENOBUFS;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		pair) == -1)
		return -errno;
	theirs = pair[1];
	if ((r = tunnel_new(link, pair[0], stream, &t)) < 0)
		return r;
	t->inbound = true;
	link->n_tunnels_in++;
	r = proxyd_tunnel_inbound_send(d->proxyd, link->id, take_fd(&theirs));
	if (r < 0) {
		tunnel_free(t);
		return r;
	}
	tunnel_data(&t->base, first, len, fin);
	return 0;
}
