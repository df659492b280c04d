// The two processes of the bare chain that speak with the client and with the
// backend.  They look for the end of a request or an answer, as the load
// client and the demo backend write it, and at nothing else in it.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxyd/ready_keys.h"
#include "tests/bench/chain.h"
#include "tests/tools/tool.h"

enum slot_kind { SLOT_CLIENT, SLOT_TUNNEL, SLOT_BACKEND };

// What a descriptor is; found by its number.
struct slot {
	enum slot_kind kind;
	int peer;   // the descriptor that gets the answer; -1: none does
	bool waits; // a client whose request has no key
	size_t len;
	char bytes[MESSAGE_MAX];
};

struct proxy {
	int epoll;
	struct mail to_gossip, from_gossip, to_crypto, from_crypto;
	// near
	int listener;
	unsigned n_keys, n_asked;
	struct note keys[READY_KEYS_MAX];
	unsigned n_waiting;
	int waiting[FDS_MAX];
	// far
	const struct sockaddr_in *backend;
	unsigned n_idle;
	int idle[FDS_MAX]; // connections to the backend
	struct slot slots[FDS_MAX];
};

static struct proxy *
proxy_new(int gossip, int crypto, size_t size_of_keys)
{
	struct proxy *p = calloc(1, sizeof(*p));

	if (p == NULL || (p->epoll = epoll_create1(EPOLL_CLOEXEC)) == -1)
		tool_die("epoll_create1");
	mail_init(&p->to_gossip, gossip, NOTE_OF_ONE_KEY, p->epoll);
	mail_init(&p->from_gossip, gossip, NOTE_OF_ONE_KEY, p->epoll);
	mail_init(&p->to_crypto, crypto, size_of_keys, p->epoll);
	mail_init(&p->from_crypto, crypto, size_of_keys, p->epoll);
	chain_watch(p->epoll, crypto);
	return p;
}

static bool
is_whole(const char *p, size_t len)
{
	static const char name[] = "\r\nContent-Length: ";
	const char *end = memmem(p, len, "\r\n\r\n", 4);
	const char *value;
	size_t body = 0;

	if (end == NULL)
		return false;
	value = memmem(p, (size_t)(end - p), name, sizeof(name) - 1);
	if (value != NULL)
		body = strtoul(value + sizeof(name) - 1, NULL, 10);
	return (size_t)(p + len - end) - 4 >= body;
}

// What came for a slot, behind what it has; false: it ended.
static bool
slot_read(struct slot *s, int fd)
{
	ssize_t n = recv(fd, s->bytes + s->len, sizeof(s->bytes) - s->len, 0);

	if (n <= 0)
		return false;
	s->len += (size_t)n;
	return true;
}

static struct slot *
slot_init(struct proxy *p, int fd, enum slot_kind kind, int peer)
{
	struct slot *s = &p->slots[fd];

	s->kind = kind;
	s->peer = peer;
	s->waits = false;
	s->len = 0;
	return s;
}

static void
flush(struct proxy *p)
{
	if (p->to_gossip.n != 0)
		mail_send(&p->to_gossip);
	if (p->to_crypto.n != 0)
		mail_send(&p->to_crypto);
}

// As proxyd does: some at once, while there is room.
static void
ask_keys(struct proxy *p)
{
	while (p->n_keys + p->n_asked + READY_KEYS_PER_ASK <= READY_KEYS_MAX) {
		for (int i = 0; i < READY_KEYS_PER_ASK; i++)
			(void)mail_add(&p->to_crypto);
		p->n_asked += READY_KEYS_PER_ASK;
	}
}

// The ephemeral key stands before the request.
static void
open_tunnel(struct proxy *p, int client)
{
	struct slot *s = &p->slots[client];

	memcpy(s->bytes, p->keys[--p->n_keys].ephemeral, KEY_LEN);
	s->peer = mail_add_tunnel(&p->to_gossip, s->bytes, s->len);
	slot_init(p, s->peer, SLOT_TUNNEL, client);
	s->len = KEY_LEN;
}

static void
client_left(struct proxy *p, int fd)
{
	struct slot *s = &p->slots[fd];
	unsigned kept = 0;

	if (s->peer != -1)
		p->slots[s->peer].peer = -1;
	for (unsigned i = 0; s->waits && i < p->n_waiting; i++)
		if (p->waiting[i] != fd)
			p->waiting[kept++] = p->waiting[i];
	if (s->waits)
		p->n_waiting = kept;
	(void)close(fd);
}

static void
on_client(struct proxy *p, int fd)
{
	struct slot *s = &p->slots[fd];

	if (!slot_read(s, fd)) {
		client_left(p, fd);
		return;
	}
	if (s->waits || s->peer != -1 ||
	    !is_whole(s->bytes + KEY_LEN, s->len - KEY_LEN))
		return;
	if (p->n_keys != 0) {
		open_tunnel(p, fd);
		return;
	}
	s->waits = true;
	p->waiting[p->n_waiting++] = fd;
}

static void
on_answer(struct proxy *p, int fd)
{
	struct slot *s = &p->slots[fd];

	if (s->peer != -1) {
		if (slot_read(s, fd))
			chain_send(s->peer, s->bytes, s->len);
		else
			(void)shutdown(s->peer, SHUT_RDWR); // none came
		p->slots[s->peer].peer = -1;
	}
	(void)close(fd);
	ask_keys(p);
}

static void
on_keys(struct proxy *p)
{
	struct mail *m = &p->from_crypto;
	unsigned served = 0;

	mail_receive(m, MSG_DONTWAIT);
	p->n_asked -= m->n;
	for (unsigned i = 0; i < m->n; i++)
		p->keys[p->n_keys++] = m->notes[i];
	while (served < p->n_waiting && p->n_keys != 0) {
		int fd = p->waiting[served++];

		p->slots[fd].waits = false;
		open_tunnel(p, fd);
	}
	p->n_waiting -= served;
	memmove(p->waiting, p->waiting + served,
	    p->n_waiting * sizeof(p->waiting[0]));
}

static void
on_listener(struct proxy *p)
{
	int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd == -1)
		return; // it left meanwhile
	chain_watch(p->epoll, fd);
	slot_init(p, fd, SLOT_CLIENT, -1)->len = KEY_LEN;
}

void
proxy_near(int gossip, int crypto, int listener)
{
	struct proxy *p = proxy_new(gossip, crypto, NOTE_OF_TWO_KEYS);
	struct epoll_event events[BATCH_MAX];

	p->listener = listener;
	chain_watch(p->epoll, listener);
	ask_keys(p);
	for (;;) {
		unsigned n;

		flush(p);
		n = chain_wait(p->epoll, events);
		for (unsigned i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == listener)
				on_listener(p);
			else if (fd == crypto)
				on_keys(p);
			else if (p->slots[fd].kind == SLOT_CLIENT)
				on_client(p, fd);
			else
				on_answer(p, fd);
		}
	}
}

// A request waits in its slot until its key is there.
static void
on_tunnels(struct proxy *p)
{
	struct mail *m = &p->from_gossip;

	mail_receive(m, MSG_DONTWAIT);
	for (unsigned i = 0; i < m->n; i++) {
		int fd = m->fds[i];
		struct slot *s = slot_init(p, fd, SLOT_TUNNEL, -1);
		struct note *note;

		if (!slot_read(s, fd) || s->len < KEY_LEN) {
			(void)close(fd);
			continue;
		}
		note = mail_add(&p->to_crypto);
		note->number = (uint64_t)fd;
		memcpy(note->ephemeral, s->bytes, KEY_LEN);
	}
}

static int
take_connection(struct proxy *p)
{
	int fd;

	if (p->n_idle != 0)
		return p->idle[--p->n_idle];
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1 ||
	    connect(fd, (const struct sockaddr *)p->backend,
		sizeof(*p->backend)) == -1)
		tool_die("connect");
	chain_watch(p->epoll, fd);
	return fd;
}

static void
on_opened(struct proxy *p)
{
	struct mail *m = &p->from_crypto;

	mail_receive(m, MSG_DONTWAIT);
	for (unsigned i = 0; i < m->n; i++) {
		int tunnel = (int)m->notes[i].number;
		struct slot *s = &p->slots[tunnel];
		int fd = take_connection(p);

		slot_init(p, fd, SLOT_BACKEND, tunnel);
		chain_send(fd, s->bytes + KEY_LEN, s->len - KEY_LEN);
	}
}

static void
on_backend_left(struct proxy *p, int fd)
{
	for (unsigned i = 0; i < p->n_idle; i++)
		if (p->idle[i] == fd)
			p->idle[i] = p->idle[--p->n_idle];
	if (p->slots[fd].peer != -1)
		(void)close(p->slots[fd].peer);
	(void)close(fd);
}

static void
on_backend(struct proxy *p, int fd)
{
	struct slot *s = &p->slots[fd];

	if (!slot_read(s, fd)) {
		on_backend_left(p, fd);
		return;
	}
	if (s->peer == -1 || !is_whole(s->bytes, s->len))
		return;
	chain_send(s->peer, s->bytes, s->len);
	(void)close(s->peer);
	s->peer = -1;
	p->idle[p->n_idle++] = fd;
}

void
proxy_far(int gossip, int crypto, const struct sockaddr_in *backend)
{
	struct proxy *p = proxy_new(gossip, crypto, NOTE_OF_ONE_KEY);
	struct epoll_event events[BATCH_MAX];

	p->backend = backend;
	chain_watch(p->epoll, gossip);
	for (;;) {
		unsigned n = chain_wait(p->epoll, events);

		for (unsigned i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == gossip)
				on_tunnels(p);
			else if (fd == crypto)
				on_opened(p);
			else
				on_backend(p, fd);
		}
		flush(p);
	}
}
