// Listening sockets: loopback, unless API keys are wanted (config.c); bounded,
// without delay.
#include "proxyd/listen.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "proxyd/client_conn.h"
#include "proxyd/proxyd.h"
#include "proxyd/request.h"

enum { ACCEPT_AT_A_TIME = 64 };

static int
listen_address(struct listener *l, const struct address *address, int *ret)
{
	AUTO_FD fd = socket(address->sa.sa_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	if (fd == -1)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	// Accepted sockets inherit it: one call less for each.
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, &address->sa, address->len) == -1 ||
	    listen(fd, LISTEN_BACKLOG) == -1)
		return -errno;
	l->address = *address;
	l->address.len = sizeof(l->address.in6);
	if (getsockname(fd, &l->address.sa, &l->address.len) == -1)
		return -errno;
	*ret = take_fd(&fd);
	return 0;
}

int
listener_open(struct listener *l, struct proxyd *d, enum door door,
    const struct listen_at *at)
{
	AUTO_FD fd = -1;
	char text[ADDRESS_TEXT_MAX];
	int r;

	l->fd = -1;
	l->is_unix = at->unix_path != NULL;
	r = l->is_unix ? listen_unix(at, &fd)
		       : listen_address(l, &at->address, &fd);
	if (r == 0 && !l->is_unix)
		r = address_format(&l->address.sa, l->address.len, text);
	if (r < 0)
		return r;
	(void)snprintf(l->text, sizeof(l->text), "%s%s",
	    l->is_unix ? "unix:" : "", l->is_unix ? at->unix_path : text);
	l->d = d;
	l->door = door;
	l->fd = take_fd(&fd);
	return 0;
}

static const char full[] =
    "{\"error\":{\"message\":\"too many connections, and none is idle\","
    "\"type\":\"server_error\",\"param\":null,\"code\":\"overloaded\"}}";
static const char share[] =
    "{\"error\":{\"message\":\"this client has too many connections, and none "
    "is idle\",\"type\":\"rate_limit_error\",\"param\":null,"
    "\"code\":\"rate_limit_exceeded\"}}";

static void
refuse(struct listener *l, int fd, bool is_share)
{
	char text[512];
	const char *body = is_share ? share : full;

	(void)snprintf(text, sizeof(text),
	    "HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
	    "Content-Length: %zu\r\nRetry-After: %d\r\n"
	    "Connection: close\r\n\r\n%s",
	    is_share ? "429 Too Many Requests" : "503 Service Unavailable",
	    strlen(body), RETRY_AFTER_S, body);
	client_conn_refuse(l, fd, text);
}

static void
take(struct listener *l, int fd, const struct address *from)
{
	struct party_id holder;
	const char *limit;

	l->d->counters.connections++;
	party_id_of_holder(&holder, fd, from);
	limit = client_room_make(l, &holder);
	if (limit != NULL || client_conn_new(l, fd, &from->sa, &holder) < 0)
		refuse(
		    l, fd, limit != NULL && strcmp(limit, "connections") != 0);
}

static void
on_unpause(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)fd;
	(void)what;
	if (l->fd != -1)
		(void)event_add(&l->event, NULL);
}

static void
on_connection(evutil_socket_t listening, short what, void *arg)
{
	static const struct timeval second = { 1, 0 };
	struct listener *l = arg;
	int fd = -1;

	(void)what;
	for (unsigned i = 0; i < ACCEPT_AT_A_TIME; i++) {
		struct address from = { .len = sizeof(from.in6) };

		fd = accept4(listening, &from.sa, &from.len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1)
			break;
		take(l, fd, &from);
	}
	if (fd == -1 && (errno == EMFILE || errno == ENFILE)) {
		LOG(LOG_WARNING, "no-descriptors-left",
		    F("listener", (const char *)l->text));
		(void)event_del(&l->event);
		(void)evtimer_add(&l->pause, &second);
	}
}

int
listener_start(struct listener *l)
{
	struct event_base *base = l->d->base;

	(void)evtimer_assign(&l->pause, base, on_unpause, l);
	(void)event_assign(
	    &l->event, base, l->fd, EV_READ | EV_PERSIST, on_connection, l);
	return event_add(&l->event, NULL) == -1 ? -ENOMEM : 0;
}

void
listener_close(struct listener *l)
{
	if (event_initialized(&l->event)) {
		(void)event_del(&l->event);
		(void)event_del(&l->pause);
	}
	if (l->d != NULL)
		close_fd(&l->fd);
}
