// What the processes of the bare chain share: messages and descriptors through
// channels, as many as there are in one call, and waiting for them.
#include "tests/bench/chain.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/tools/tool.h"

void
mail_init(struct mail *m, int channel, size_t size, int epoll)
{
	memset(m, 0, sizeof(*m));
	m->channel = channel;
	m->epoll = epoll;
	m->size = size;
	for (size_t i = 0; i < BATCH_MAX; i++) {
		struct msghdr *h = &m->headers[i].msg_hdr;
		struct cmsghdr *c = &m->controls[i].first;

		m->parts[i].iov_base = &m->notes[i];
		m->parts[i].iov_len = size;
		h->msg_iov = &m->parts[i];
		h->msg_iovlen = 1;
		h->msg_control = c;
		h->msg_controllen = CMSG_LEN(sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
	}
}

static struct note *
add(struct mail *m, int theirs_taken, int ours)
{
	struct msghdr *h;

	if (m->n == BATCH_MAX)
		mail_send(m);
	h = &m->headers[m->n].msg_hdr;
	h->msg_controllen = theirs_taken == -1 ? 0 : CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&m->controls[m->n].first), &theirs_taken, sizeof(int));
	m->fds[m->n] = theirs_taken;
	m->ours[m->n] = ours;
	return &m->notes[m->n++];
}

struct note *
mail_add(struct mail *m)
{
	return add(m, -1, -1);
}

int
mail_add_tunnel(struct mail *m, const void *bytes, size_t len)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		tool_die("socketpair");
	chain_send(pair[0], bytes, len);
	(void)add(m, pair[1], pair[0]);
	return pair[0];
}

void
mail_send(struct mail *m)
{
	unsigned sent = 0;

	while (sent < m->n) {
		int n = sendmmsg(
		    m->channel, m->headers + sent, m->n - sent, MSG_NOSIGNAL);

		if (n <= 0)
			tool_die("sendmmsg");
		sent += (unsigned)n;
	}
	for (unsigned i = 0; i < m->n; i++) {
		if (m->fds[i] == -1)
			continue;
		chain_watch(m->epoll, m->ours[i]);
		(void)close(m->fds[i]);
	}
	m->n = 0;
}

void
mail_receive(struct mail *m, int flags)
{
	int n;

	// The last call has overwritten these.
	for (unsigned i = 0; i < m->n; i++)
		m->headers[i].msg_hdr.msg_controllen = CMSG_LEN(sizeof(int));
	n = recvmmsg(m->channel, m->headers, BATCH_MAX, flags, NULL);
	if (n <= 0)
		tool_die("recvmmsg");
	m->n = (unsigned)n;
	for (unsigned i = 0; i < m->n; i++) {
		if (m->headers[i].msg_len != m->size ||
		    (m->headers[i].msg_hdr.msg_flags & MSG_CTRUNC) != 0)
			tool_die("channel");
		m->fds[i] = -1;
		if (m->headers[i].msg_hdr.msg_controllen != 0)
			memcpy(&m->fds[i], CMSG_DATA(&m->controls[i].first),
			    sizeof(int));
	}
}

void
chain_watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == -1)
		tool_die("epoll_ctl");
}

unsigned
chain_wait(int epoll, struct epoll_event ret[static BATCH_MAX])
{
	int n = epoll_wait(epoll, ret, BATCH_MAX, -1);

	if (n == -1 && errno != EINTR)
		tool_die("epoll_wait");
	return n == -1 ? 0 : (unsigned)n;
}

// All of it: what a process of the chain sends fits into an empty buffer, and
// nobody sends twice.  A reader that left shows when it is read from.
void
chain_send(int fd, const void *bytes, size_t len)
{
	(void)!send(fd, bytes, len, MSG_NOSIGNAL);
}
