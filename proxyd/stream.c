// Bytes in and out of one descriptor.  Trusts nothing about the other end but
// that the kernel counts right; must never hold plaintext longer than the
// other end is slow.
#include "proxyd/stream.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	if ((what & EV_TIMEOUT) != 0)
		s->ops->failed(s, s->arg, -ETIMEDOUT);
	else
		s->ops->readable(s, s->arg);
}

static int
flush_out(struct stream *s)
{
	ssize_t n;

	while (stream_is_blocked(s)) {
		n = send(s->fd, buf_data(&s->out), buf_len(&s->out),
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1)
			return errno == EINTR ? -EAGAIN : -errno;
		buf_consume(&s->out, (size_t)n);
	}
	buf_release(&s->out);
	return 0;
}

static void
on_write(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;
	int r;

	(void)fd;
	if ((what & EV_TIMEOUT) != 0) {
		s->ops->failed(s, s->arg, -ETIMEDOUT);
		return;
	}
	r = flush_out(s);
	if (r == -EAGAIN)
		return;
	(void)event_del(&s->write);
	if (r < 0)
		s->ops->failed(s, s->arg, r);
	else
		s->ops->writable(s, s->arg);
}

void
stream_init(struct stream *s, struct event_base *base, int fd,
    const struct stream_ops *ops, void *arg)
{
	memset(s, 0, sizeof(*s));
	s->fd = fd;
	s->base = base;
	s->ops = ops;
	s->arg = arg;
	buf_init(&s->out, STREAM_OUT_MAX);
	(void)event_assign(
	    &s->read, base, fd, EV_READ | EV_PERSIST, on_read, s);
	(void)event_assign(
	    &s->write, base, fd, EV_WRITE | EV_PERSIST, on_write, s);
}

void
stream_close(struct stream *s)
{
	if (s->fd == -1)
		return;
	(void)event_del(&s->read);
	(void)event_del(&s->write);
	buf_release(&s->out);
	close_fd(&s->fd);
	s->reading = false;
}

void
stream_read_start(struct stream *s, const struct timeval *timeout)
{
	if (s->fd == -1)
		return;
	// An event that is pending forgets its timeout only when removed.
	if (s->reading && timeout == NULL && s->timeout != NULL)
		(void)event_remove_timer(&s->read);
	s->timeout = timeout;
	s->reading = true;
	if (!s->deferred)
		(void)event_add(&s->read, timeout);
}

void
stream_defer(struct stream *s)
{
	s->deferred = true;
}

void
stream_watch(struct stream *s)
{
	if (s->fd == -1 || !s->deferred)
		return;
	s->deferred = false;
	if (s->reading)
		(void)event_add(&s->read, s->timeout);
}

void
stream_read_stop(struct stream *s)
{
	if (!s->reading)
		return;
	s->reading = false;
	(void)event_del(&s->read);
}

// After the end was read, level-triggered EV_READ would be true for ever.
// Edge-triggered it comes again when the other side closes: EPOLLHUP arrives
// as EV_CLOSED (with EPOLLRDHUP) or, with an error pending, as EV_READ.  All
// events of a descriptor have to agree about EV_ET.
void
stream_watch_hangup(struct stream *s)
{
	bool writing = event_pending(&s->write, EV_WRITE, NULL) != 0;

	if (s->fd == -1 || s->edge)
		return;
	(void)event_del(&s->read);
	(void)event_del(&s->write);
	s->edge = true;
	(void)event_assign(&s->read, s->base, s->fd,
	    EV_READ | EV_CLOSED | EV_ET | EV_PERSIST, on_read, s);
	(void)event_assign(&s->write, s->base, s->fd,
	    EV_WRITE | EV_ET | EV_PERSIST, on_write, s);
	s->reading = true;
	s->timeout = NULL;
	if (!s->deferred)
		(void)event_add(&s->read, NULL);
	if (writing)
		(void)event_add(&s->write, s->write_timeout);
}

bool
stream_has_hangup(const struct stream *s)
{
	struct pollfd p = { .fd = s->fd };

	if (poll(&p, 1, 0) <= 0)
		return false;
	return (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

ssize_t
stream_recv(struct stream *s, void *ret, size_t size)
{
	ssize_t n = recv(s->fd, ret, size, MSG_DONTWAIT);

	if (n == -1)
		return errno == EINTR ? -EAGAIN : -errno;
	return n;
}

ssize_t
stream_try(struct stream *s, struct iovec *iov, size_t n)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t sent = sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent == -1)
		return errno == EINTR ? -EAGAIN : -errno;
	return sent;
}

void
stream_finish(struct stream *s)
{
	if (s->fd != -1 && !stream_is_blocked(s))
		(void)shutdown(s->fd, SHUT_WR);
}

void
stream_want_write(struct stream *s, const struct timeval *timeout)
{
	if (s->fd != -1)
		(void)event_add(&s->write, timeout);
}

int
stream_send(struct stream *s, const void *bytes, size_t n)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, n };
	ssize_t sent = -EAGAIN;
	int r;

	if (s->fd == -1)
		return -EPIPE;
	if (n == 0)
		return 0;
	if (!stream_is_blocked(s))
		sent = stream_try(s, &iov, 1);
	if (sent == (ssize_t)n)
		return 0;
	if (sent < 0 && sent != -EAGAIN)
		return (int)sent;
	if (sent < 0)
		sent = 0;
	r = buf_append(
	    &s->out, (const uint8_t *)bytes + sent, n - (size_t)sent);
	if (r < 0)
		return r;
	stream_want_write(s, s->write_timeout);
	return 0;
}
