// The two processes of the bare chain that speak over the network.  All that
// is there to send leaves in one datagram; on loopback none is lost while the
// buffers have room, and nothing here would notice: the request gets no answer
// then, and the load client counts that.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/chain.h"
#include "tests/tools/tool.h"

enum {
	DATAGRAM_MAX = 60 * 1024,
	DATAGRAMS_MAX = 4, // read at once
};

// Before each message in a datagram.
struct label {
	uint32_t number; // the near process's descriptor of the tunnel
	uint32_t len;
};

struct datagram {
	size_t len;
	uint8_t bytes[DATAGRAM_MAX];
};

struct gossip {
	int epoll;
	int udp;
	struct mail mail; // tunnels to or from the proxy
	struct datagram out;
	struct datagram in[DATAGRAMS_MAX];
	struct mmsghdr headers[DATAGRAMS_MAX];
	struct iovec parts[DATAGRAMS_MAX];
	uint32_t numbers[FDS_MAX]; // far: by our descriptor
};

typedef void message_fn(
    struct gossip *, const struct label *, const uint8_t *bytes);

static struct gossip *
gossip_new(int proxy, int udp)
{
	struct gossip *g = calloc(1, sizeof(*g));

	if (g == NULL || (g->epoll = epoll_create1(EPOLL_CLOEXEC)) == -1)
		tool_die("epoll_create1");
	g->udp = udp;
	mail_init(&g->mail, proxy, NOTE_OF_ONE_KEY, g->epoll);
	for (size_t i = 0; i < DATAGRAMS_MAX; i++) {
		g->parts[i].iov_base = g->in[i].bytes;
		g->parts[i].iov_len = sizeof(g->in[i].bytes);
		g->headers[i].msg_hdr.msg_iov = &g->parts[i];
		g->headers[i].msg_hdr.msg_iovlen = 1;
	}
	chain_watch(g->epoll, udp);
	return g;
}

static void
flush(struct gossip *g)
{
	if (g->out.len == 0)
		return;
	if (send(g->udp, g->out.bytes, g->out.len, 0) == -1)
		tool_die("send");
	g->out.len = 0;
}

// What is in a tunnel goes into the datagram; false: nothing was.
static bool
pack(struct gossip *g, int fd, uint32_t number)
{
	struct label label = { .number = number };
	uint8_t *at;
	ssize_t n;

	if (sizeof(g->out.bytes) - g->out.len < sizeof(label) + MESSAGE_MAX)
		flush(g);
	at = g->out.bytes + g->out.len;
	n = recv(fd, at + sizeof(label), MESSAGE_MAX, MSG_DONTWAIT);
	if (n <= 0)
		return false;
	label.len = (uint32_t)n;
	memcpy(at, &label, sizeof(label));
	g->out.len += sizeof(label) + (size_t)n;
	return true;
}

static void
unpack(struct gossip *g, message_fn *take)
{
	int n = recvmmsg(g->udp, g->headers, DATAGRAMS_MAX, MSG_DONTWAIT, NULL);
	struct label label;

	if (n == -1 && errno != EAGAIN)
		tool_die("recvmmsg");
	for (int i = 0; i < n; i++) {
		const uint8_t *p = g->in[i].bytes;
		const uint8_t *end = p + g->headers[i].msg_len;

		while (p < end) {
			memcpy(&label, p, sizeof(label));
			p += sizeof(label);
			take(g, &label, p);
			p += label.len;
		}
	}
}

// The answer, for the proxy.
static void
take_answer(struct gossip *g, const struct label *label, const uint8_t *bytes)
{
	(void)g;
	chain_send((int)label->number, bytes, label->len);
	(void)close((int)label->number);
}

static void
take_tunnels(struct gossip *g)
{
	mail_receive(&g->mail, MSG_DONTWAIT);
	for (unsigned i = 0; i < g->mail.n; i++) {
		int fd = g->mail.fds[i];

		// What was written before the descriptor was sent.
		if (!pack(g, fd, (uint32_t)fd))
			(void)close(fd);
	}
}

void
gossip_near(int proxy, int udp)
{
	struct gossip *g = gossip_new(proxy, udp);
	struct epoll_event events[BATCH_MAX];

	chain_watch(g->epoll, proxy);
	for (;;) {
		unsigned n = chain_wait(g->epoll, events);

		for (unsigned i = 0; i < n; i++) {
			if (events[i].data.fd == udp)
				unpack(g, take_answer);
			else
				take_tunnels(g);
		}
		flush(g);
	}
}

// The request, in a tunnel for the proxy.
static void
take_request(struct gossip *g, const struct label *label, const uint8_t *bytes)
{
	int fd = mail_add_tunnel(&g->mail, bytes, label->len);

	g->numbers[fd] = label->number;
}

void
gossip_far(int proxy, int udp)
{
	struct gossip *g = gossip_new(proxy, udp);
	struct epoll_event events[BATCH_MAX];

	for (;;) {
		unsigned n = chain_wait(g->epoll, events);

		for (unsigned i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == udp)
				unpack(g, take_request);
			else
				(void)pack(g, fd, g->numbers[fd]);
		}
		flush(g);
		if (g->mail.n != 0)
			mail_send(&g->mail);
		for (unsigned i = 0; i < n; i++)
			if (events[i].data.fd != udp)
				(void)close(events[i].data.fd);
	}
}
