// One user: connects, sends, reads the answer, starts over.  The service under
// test may do anything with the connection; whatever it does ends in a counted
// answer or a counted error, never in a wait without end.
#include "tests/bench/load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_SIZE ((size_t)256 * 1024)
#define HEAD_MAX ((size_t)64 * 1024)

static void client_next(struct client *c);

static void
disconnect(struct client *c)
{
	if (c->fd == -1)
		return;
	(void)event_del(&c->readable);
	(void)event_del(&c->writable);
	close_fd(&c->fd);
}

static void
die_out(struct client *c)
{
	disconnect(c);
	(void)event_del(&c->timeout);
	if (c->state != CLIENT_DEAD && --c->load->live == 0)
		(void)event_base_loopbreak(c->load->base);
	c->state = CLIENT_DEAD;
}

static void
fail(struct client *c, const char *what)
{
	struct results *r = &c->load->results;

	results_error(r, what);
	disconnect(c);
	client_next(c);
}

static void
complete(struct client *c)
{
	struct results *r = &c->load->results;
	int64_t now = tool_now_ns();

	answer_end(c);
	if (c->problem != NULL) {
		fail(c, c->problem);
		return;
	}
	r->done++;
	r->end_ns = now;
	samples_add(&r->latency, now - c->start_ns);
	if (!c->keep_alive || c->by_eof || c->load->mode == MODE_STREAM)
		disconnect(c);
	client_next(c);
}

static void
begin_answer(struct client *c)
{
	c->state = CLIENT_HEAD;
	(void)event_del(&c->writable);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	const struct buffer *request =
	    c->load->mode == MODE_SOAK ? &c->request : &c->load->request;

	(void)what;
	while (c->sent < buffer_len(request)) {
		ssize_t n = send(fd, buffer_bytes(request) + c->sent,
		    buffer_len(request) - c->sent, MSG_NOSIGNAL);

		if (n == -1 && errno == EAGAIN)
			break;
		if (n == -1) {
			// The answer of one who stopped reading is in the
			// receive buffer; without one, reading fails as well.
			begin_answer(c);
			return;
		}
		c->sent += (size_t)n;
		c->load->results.bytes_sent += (uint64_t)n;
	}
	if (c->sent == buffer_len(request))
		begin_answer(c);
	else if (event_add(&c->writable, NULL) == -1)
		tool_die("event_add");
}

static const char *
find_field(const char *head, size_t len, const char *name)
{
	size_t name_len = strlen(name);
	const char *end = head + len;

	for (const char *p = head;
	     (p = memmem(p, (size_t)(end - p), "\r\n", 2)) != NULL;) {
		p += 2;
		if ((size_t)(end - p) > name_len && p[name_len] == ':' &&
		    strncasecmp(p, name, name_len) == 0) {
			p += name_len + 1;
			return p + strspn(p, " ");
		}
	}
	return NULL;
}

static size_t
take_head(struct client *c, const char *p, size_t len)
{
	const char *end = memmem(p, len, "\r\n\r\n", 4);
	const char *value;

	if (end == NULL) {
		c->problem = len > HEAD_MAX ? "head too long" : NULL;
		return 0;
	}
	len = (size_t)(end - p) + 4;
	if (len < 16 || memcmp(p, "HTTP/1.1 ", 9) != 0) {
		c->problem = "no HTTP head";
		return 0;
	}
	c->status = (int)strtol(p + 9, NULL, 10);
	if (c->status >= 100 && c->status < 200)
		return len;
	value = find_field(p, len, "connection");
	c->keep_alive = value == NULL || strncasecmp(value, "close", 5) != 0;
	value = find_field(p, len, "content-type");
	c->reading_stream =
	    value != NULL && strncasecmp(value, "text/event-stream", 17) == 0;
	c->by_eof = false;
	if (find_field(p, len, "transfer-encoding") != NULL) {
		c->state = CLIENT_CHUNK_LINE;
	} else if ((value = find_field(p, len, "content-length")) != NULL) {
		c->left = strtoull(value, NULL, 10);
		c->state = CLIENT_BODY;
	} else {
		c->by_eof = true;
		c->left = UINT64_MAX;
		c->state = CLIENT_BODY;
	}
	return len;
}

static size_t
take_data(struct client *c, const char *p, size_t len)
{
	len = len < c->left ? len : (size_t)c->left;
	answer_bytes(c, p, len);
	c->left -= len;
	if (c->left == 0 && c->state == CLIENT_CHUNK_DATA)
		c->state = CLIENT_CHUNK_END;
	return len;
}

// A line of the chunked framing; *ret_end after the last one.
static size_t
take_line(struct client *c, const char *p, size_t len, bool *ret_end)
{
	const char *eol = memmem(p, len, "\r\n", 2);
	char *end;

	if (eol == NULL)
		return 0;
	if (c->state == CLIENT_TRAILER) {
		*ret_end = eol == p;
	} else if (c->state == CLIENT_CHUNK_END) {
		c->problem = eol == p ? c->problem : "bad chunk";
		c->state = CLIENT_CHUNK_LINE;
	} else {
		c->left = strtoull(p, &end, 16);
		c->problem = end != p ? c->problem : "bad chunk";
		c->state = c->left != 0 ? CLIENT_CHUNK_DATA : CLIENT_TRAILER;
	}
	return (size_t)(eol - p) + 2;
}

// Read what there is; true when the answer is complete.
static bool
consume(struct client *c)
{
	while (buffer_len(&c->in) != 0 && c->problem == NULL) {
		const char *p = buffer_bytes(&c->in);
		size_t len = buffer_len(&c->in);
		bool end = false;
		size_t used;

		if (c->state == CLIENT_HEAD)
			used = take_head(c, p, len);
		else if (c->state == CLIENT_BODY ||
		    c->state == CLIENT_CHUNK_DATA)
			used = take_data(c, p, len);
		else
			used = take_line(c, p, len, &end);
		if (used == 0)
			return false;
		buffer_take(&c->in, used);
		if (end || (c->state == CLIENT_BODY && c->left == 0))
			return true;
	}
	return false;
}

static void
end_of_input(struct client *c)
{
	if (c->state == CLIENT_BODY && c->by_eof) {
		complete(c);
	} else if (c->reused && !c->got_byte) {
		// The service closed a kept connection just as it was used.
		c->load->results.reconnects++;
		disconnect(c);
		c->load->results.started--;
		client_next(c);
	} else if (c->state == CLIENT_SENDING || c->state == CLIENT_HEAD) {
		fail(c, "closed before the answer");
	} else {
		fail(c, "closed inside the answer");
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	static char scratch[RECEIVE_SIZE];
	struct client *c = arg;
	ssize_t n = recv(fd, scratch, sizeof(scratch), 0);

	(void)what;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_of_input(c);
		return;
	}
	c->got_byte = true;
	c->load->results.bytes_received += (uint64_t)n;
	if (c->state == CLIENT_SENDING)
		begin_answer(c); // it answers before it has read all
	buffer_add(&c->in, scratch, (size_t)n);
	if (consume(c)) {
		complete(c);
	} else if (c->problem != NULL) {
		fail(c, c->problem);
	} else if (c->to_abort && c->tokens >= 2) {
		c->load->results.aborted++;
		disconnect(c);
		client_next(c);
	}
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;

	(void)fd;
	(void)what;
	if (c->load->mode == MODE_IDLE && c->got_first)
		return;
	fail(c, "timeout");
}

static bool
connect_client(struct client *c)
{
	struct load *l = c->load;
	int one = 1;

	c->reused = c->fd != -1;
	if (c->reused)
		return true;
	buffer_reset(&c->in);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd == -1)
		tool_die("socket");
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, (struct sockaddr *)&l->address,
		sizeof(l->address)) == -1 &&
	    errno != EINPROGRESS)
		return false;
	if (event_assign(&c->readable, l->base, c->fd, EV_READ | EV_PERSIST,
		on_readable, c) == -1 ||
	    event_assign(
		&c->writable, l->base, c->fd, EV_WRITE, on_writable, c) == -1 ||
	    event_add(&c->readable, NULL) == -1)
		tool_die("event_assign");
	return true;
}

static void
client_next(struct client *c)
{
	struct load *l = c->load;
	struct timeval limit = { .tv_sec = l->timeout_s };
	bool once = l->mode == MODE_STREAM || l->mode == MODE_IDLE;

	if (l->stopping || (once && c->start_ns != 0 && !c->reused) ||
	    (l->requests != 0 && l->results.started >= l->requests)) {
		die_out(c);
		return;
	}
	l->results.started++;
	if (l->mode == MODE_SOAK)
		request_make_soak(c);
	if (!connect_client(c)) {
		results_error(&l->results, "connect");
		die_out(c);
		return;
	}
	answer_begin(c);
	c->state = CLIENT_SENDING;
	c->sent = 0;
	c->start_ns = tool_now_ns();
	if (evtimer_add(&c->timeout, &limit) == -1)
		tool_die("evtimer_add");
	if (c->reused)
		on_writable(c->fd, EV_WRITE, c);
	else if (event_add(&c->writable, NULL) == -1)
		tool_die("event_add");
}

void
client_start(struct client *c)
{
	c->fd = -1;
	c->state = CLIENT_SENDING;
	if (evtimer_assign(&c->timeout, c->load->base, on_timeout, c) == -1)
		tool_die("evtimer_assign");
	c->load->live++;
	client_next(c);
}

void
client_stop(struct client *c)
{
	if (c->state != CLIENT_DEAD && c->load->mode != MODE_IDLE)
		results_error(&c->load->results, "not finished in time");
	die_out(c);
	buffer_done(&c->in);
	buffer_done(&c->body);
	buffer_done(&c->request);
	buffer_done(&c->expected);
}
