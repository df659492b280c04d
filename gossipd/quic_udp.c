// UDP sockets: many datagrams per system call in both directions (UDP_GRO
// and recvmmsg in, UDP_SEGMENT out), ECN marks, the local address of each
// datagram.  Trusts the kernel, no byte of a datagram.  Must never block,
// never fragment, never drop a batch because the socket is full.
#include "gossipd/quic_internal.h"

#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

// Not in every libc header.
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
	SOCKET_BUFFER = 8 << 20, // asked for; clipped to rmem_max, wmem_max
	CONTROL_LEN = 128,	 // packet info, ECN and segment size
	RX_ROUNDS = 4,		 // full reads before others get their turn
};

struct quic_socket *
quic_socket_for(struct quic *q, sa_family_t family)
{
	for (size_t i = 0; i < q->n_sockets; i++)
		if (q->sockets[i].bound.sa.sa_family == family)
			return &q->sockets[i];
	return NULL;
}

static bool
same_ip(const struct address *a, const struct address *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET6)
		return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr,
			   sizeof(a->in6.sin6_addr)) == 0;
	return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

// ---- sending

static struct cmsghdr *
put(struct msghdr *m, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c;

	c = (struct cmsghdr *)((uint8_t *)m->msg_control + m->msg_controllen);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	m->msg_controllen += CMSG_SPACE(len);
	return c;
}

// The packet must leave from the address that the peer knows.
static void
put_source(
    struct msghdr *m, const struct address *local, const struct address *remote)
{
	struct in_pktinfo i4 = { .ipi_ifindex = 0 };
	struct in6_pktinfo i6 = { .ipi6_ifindex = 0 };

	if (local->sa.sa_family == AF_INET6) {
		i6.ipi6_addr = local->in6.sin6_addr;
		i6.ipi6_ifindex = remote->in6.sin6_scope_id;
		(void)put(m, IPPROTO_IPV6, IPV6_PKTINFO, &i6, sizeof(i6));
	} else {
		i4.ipi_spec_dst = local->in.sin_addr;
		(void)put(m, IPPROTO_IP, IP_PKTINFO, &i4, sizeof(i4));
	}
}

struct outgoing {
	const struct address *local, *remote;
	uint8_t ecn;
	const uint8_t *data;
	size_t len;
	size_t segment; // smaller than len: several datagrams
};

static int
send_out(struct quic_socket *s, const struct outgoing *o)
{
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_LEN] = { 0 };
	struct iovec iov = { .iov_base = (void *)o->data, .iov_len = o->len };
	struct address to = *o->remote;
	struct msghdr m = { .msg_name = &to.sa,
		.msg_namelen = to.len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control };
	const bool v6 = to.sa.sa_family == AF_INET6;
	const int tos = o->ecn;
	const uint16_t segment = (uint16_t)o->segment;

	if (!same_ip(o->local, &s->bound))
		put_source(&m, o->local, o->remote);
	if (tos != 0)
		(void)put(&m, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		    v6 ? IPV6_TCLASS : IP_TOS, &tos, sizeof(tos));
	if (o->segment < o->len)
		(void)put(
		    &m, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	if (m.msg_controllen == 0)
		m.msg_control = NULL;
	for (;;) {
		if (sendmsg(s->fd, &m, MSG_DONTWAIT) >= 0)
			break;
		if (errno == EINTR)
			continue;
		return errno == EWOULDBLOCK || errno == ENOBUFS ? -EAGAIN
								: -errno;
	}
	s->q->stats.datagrams_out += (o->len + o->segment - 1) / o->segment;
	return 0;
}

uint8_t *
quic_batch_next(struct quic_socket *s)
{
	return s->batch.bytes + s->batch.len;
}

// A device that cannot segment: one datagram a call, from now on.
static int
send_one_by_one(struct quic_socket *s, struct outgoing o)
{
	struct quic_batch *b = &s->batch;
	size_t done = 0;
	int r;

	while (done < b->len) {
		o.data = b->bytes + done;
		o.len = b->len - done < b->segment ? b->len - done : b->segment;
		o.segment = o.len;
		r = send_out(s, &o);
		if (r == -EAGAIN) {
			memmove(b->bytes, b->bytes + done, b->len - done);
			b->len -= done;
			return r;
		}
		// Too large: a probe that found the limit.
		if (r < 0 && r != -EMSGSIZE)
			return r;
		done += o.len;
	}
	return 0;
}

int
quic_batch_send(struct quic_socket *s)
{
	struct quic_batch *b = &s->batch;
	struct outgoing o = { .local = &b->local,
		.remote = &b->remote,
		.ecn = b->ecn,
		.data = b->bytes,
		.len = b->len,
		.segment = b->segment };
	int r;

	if (b->len == 0)
		return 0;
	if (s->no_gso && o.segment < o.len) {
		r = send_one_by_one(s, o);
	} else {
		r = send_out(s, &o);
		if (o.segment < o.len &&
		    (r == -EIO || r == -EINVAL || r == -EMSGSIZE)) {
			s->no_gso = r != -EMSGSIZE;
			r = send_one_by_one(s, o);
			// Refused either way: not for its segments.
			if (r == -EINVAL || r == -EIO)
				s->no_gso = false;
		}
	}
	if (r == -EAGAIN) {
		s->blocked = true;
		(void)event_add(&s->writable, NULL);
		return r;
	}
	b->len = 0;
	return r == -EMSGSIZE ? 0 : r;
}

static void
addr_from(struct address *ret, const ngtcp2_addr *a)
{
	ret->len = a->addrlen;
	memcpy(&ret->sa, a->addr, a->addrlen);
}

static bool
batch_is_for(const struct quic_batch *b, const ngtcp2_path *p, uint8_t ecn)
{
	return b->ecn == ecn && b->remote.len == p->remote.addrlen &&
	    memcmp(&b->remote.sa, p->remote.addr, b->remote.len) == 0 &&
	    memcmp(&b->local.sa, p->local.addr, b->local.len) == 0;
}

int
quic_batch_add(struct quic_socket *s, const ngtcp2_path *path, uint8_t ecn,
    size_t len, bool may_merge)
{
	struct quic_batch *b = &s->batch;
	const uint8_t *packet = b->bytes + b->len;
	int r;

	if (b->len > 0 && (len > b->segment || !batch_is_for(b, path, ecn))) {
		// Full socket: this one packet counts as lost on the way.
		if ((r = quic_batch_send(s)) < 0)
			return r;
		memmove(b->bytes, packet, len);
	}
	if (b->len == 0) {
		addr_from(&b->local, &path->local);
		addr_from(&b->remote, &path->remote);
		b->ecn = ecn;
		b->segment = len;
	}
	b->len += len;
	if (len < b->segment || !may_merge ||
	    b->len + b->segment > QUIC_BATCH_MAX ||
	    b->len / b->segment >= QUIC_BATCH_SEGMENTS)
		return quic_batch_send(s);
	return 0;
}

void
quic_send_single(struct quic_socket *s, const struct address *local,
    const struct address *remote, const uint8_t *data, size_t len)
{
	const struct outgoing o = { .local = local,
		.remote = remote,
		.data = data,
		.len = len,
		.segment = len };

	// Best effort: whoever needed it asks again.
	(void)send_out(s, &o);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct quic_socket *s = arg;

	(void)fd;
	(void)what;
	s->blocked = false;
	if (quic_batch_send(s) != -EAGAIN)
		quic_flush(s->q);
}

// ---- receiving

struct incoming {
	struct address local;
	uint8_t ecn;
	size_t segment; // 0: one datagram
};

static void
take_control(struct incoming *in, const struct cmsghdr *c)
{
	struct in_pktinfo i4;
	struct in6_pktinfo i6;
	int value;

	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		memcpy(&i4, CMSG_DATA(c), sizeof(i4));
		in->local.in.sin_addr = i4.ipi_addr;
	} else if (c->cmsg_level == IPPROTO_IPV6 &&
	    c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&i6, CMSG_DATA(c), sizeof(i6));
		in->local.in6.sin6_addr = i6.ipi6_addr;
	} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
		in->ecn = *CMSG_DATA(c) & NGTCP2_ECN_MASK;
	} else if (c->cmsg_level == IPPROTO_IPV6 &&
	    c->cmsg_type == IPV6_TCLASS) {
		memcpy(&value, CMSG_DATA(c), sizeof(value));
		in->ecn = (uint8_t)(value & NGTCP2_ECN_MASK);
	} else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
		memcpy(&value, CMSG_DATA(c), sizeof(value));
		in->segment = value > 0 ? (size_t)value : 0;
	}
}

static void
take_message(
    struct quic_socket *s, struct msghdr *m, size_t len, struct address *remote)
{
	struct incoming in = { .local = s->bound };
	const uint8_t *data = m->msg_iov[0].iov_base;
	size_t n;

	if ((m->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		s->q->stats.datagrams_dropped++;
		return;
	}
	remote->len = m->msg_namelen;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL;
	     c = CMSG_NXTHDR(m, c))
		take_control(&in, c);
	while (len > 0) {
		n = in.segment == 0 || in.segment > len ? len : in.segment;
		quic_input(s, &in.local, remote, in.ecn, data, n);
		data += n;
		len -= n;
	}
}

struct rx_slot {
	struct iovec iov;
	struct address from;
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_LEN];
};

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct quic_socket *s = arg;
	struct mmsghdr messages[QUIC_RX_SLOTS];
	struct rx_slot slots[QUIC_RX_SLOTS];
	int n;

	(void)what;
	for (int round = 0; round < RX_ROUNDS; round++) {
		for (size_t i = 0; i < QUIC_RX_SLOTS; i++) {
			slots[i].iov.iov_base = s->q->rx + i * QUIC_RX_SLOT_LEN;
			slots[i].iov.iov_len = QUIC_RX_SLOT_LEN;
			messages[i].msg_hdr = (struct msghdr){
				.msg_name = &slots[i].from.sa,
				.msg_namelen = sizeof(struct sockaddr_in6),
				.msg_iov = &slots[i].iov,
				.msg_iovlen = 1,
				.msg_control = slots[i].control,
				.msg_controllen = CONTROL_LEN,
			};
		}
		n = recvmmsg(fd, messages, QUIC_RX_SLOTS, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			take_message(s, &messages[i].msg_hdr,
			    messages[i].msg_len, &slots[i].from);
		// Not full: empty, the next call would say EAGAIN.
		if (n < QUIC_RX_SLOTS)
			return;
	}
}

// ---- opening

static int
set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0
	    ? 0
	    : -errno;
}

static int
set_options(int fd, bool v6)
{
	int r;

	if (v6 && (r = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) < 0)
		return r;
	r = v6 ? set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
	       : set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	if (r < 0)
		return r;
	r = v6 ? set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE)
	       : set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	if (r < 0)
		return r;
	// All that follows only makes it faster.
	if (v6)
		(void)set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	else
		(void)set(fd, IPPROTO_IP, IP_RECVTOS, 1);
	(void)set(fd, IPPROTO_UDP, UDP_GRO, 1);
	(void)set(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
	(void)set(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
	return 0;
}

static void
read_back(struct quic *q, int fd)
{
	socklen_t len = sizeof(int);
	int value = 0;

	// The kernel doubles what was set, for its own overhead.
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &len) == 0)
		q->stats.receive_buffer = (size_t)value / 2;
	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, &len) == 0)
		q->stats.send_buffer = (size_t)value / 2;
}

int
quic_socket_open(struct quic_socket *s, struct quic *q, const struct address *a)
{
	const bool v6 = a->sa.sa_family == AF_INET6;
	AUTO_FD fd = -1;
	int r;

	if (!v6 && a->sa.sa_family != AF_INET)
		return -EAFNOSUPPORT;
	s->q = q;
	s->fd = -1;
	TAILQ_INIT(&s->dirty);
	fd = socket(
	    a->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -errno;
	if ((r = set_options(fd, v6)) < 0)
		return r;
	if (bind(fd, &a->sa, a->len) == -1)
		return -errno;
	s->bound.len = sizeof(struct sockaddr_in6);
	if (getsockname(fd, &s->bound.sa, &s->bound.len) == -1)
		return -errno;
	s->batch.bytes = malloc(QUIC_BATCH_MAX + QUIC_PACKET_MAX);
	if (s->batch.bytes == NULL)
		return -ENOMEM;
	read_back(q, fd);
	event_assign(&s->readable, q->config.base, fd, EV_READ | EV_PERSIST,
	    on_readable, s);
	event_assign(
	    &s->writable, q->config.base, fd, EV_WRITE, on_writable, s);
	if (event_add(&s->readable, NULL) < 0) {
		free(s->batch.bytes);
		return -ENOMEM;
	}
	s->fd = take_fd(&fd);
	return 0;
}

void
quic_socket_close(struct quic_socket *s)
{
	if (s->fd == -1)
		return;
	(void)event_del(&s->readable);
	(void)event_del(&s->writable);
	free(s->batch.bytes);
	s->batch.bytes = NULL;
	close_fd(&s->fd);
}
