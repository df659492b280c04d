// One connection of the demo backend: bytes in, requests found in them, bytes
// out.  One request is answered at a time; what the client sends meanwhile
// waits.  The client is a test's: it may send anything and leave at any time.
// Only the event callbacks free a connection; everything they call returns
// -errno for that.
#include "tests/tools/backend.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX ((size_t)64 * 1024)
#define LINE_MAX_BYTES ((size_t)4096)
#define WAITING_MAX ((size_t)1024 * 1024)
#define DRAIN_NS ((int64_t)1000000000)

static void
conn_free(struct conn *c)
{
	struct stats *stats = &c->backend->stats;
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	if (c->phase == PHASE_ANSWER && !c->close_after && !c->reset)
		stats->aborted++;
	if (c->reply.counted)
		stats->streams_now--;
	if (c->phase == PHASE_ANSWER)
		stats->answers_now--;
	stats->connections_now--;
	(void)event_del(&c->readable);
	(void)event_del(&c->writable);
	(void)event_del(&c->timer);
	if (c->reset)
		(void)setsockopt(
		    c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	(void)close(c->fd);
	buffer_done(&c->in);
	buffer_done(&c->out);
	buffer_done(&c->reply.held);
	ask_done(&c->ask, &c->scan);
	free(c);
}

void
conn_schedule(struct conn *c)
{
	int64_t wait = c->reply.due - tool_now_ns();
	struct timeval tv;

	wait = wait < 0 ? 0 : wait;
	tv.tv_sec = wait / 1000000000;
	tv.tv_usec = wait % 1000000000 / 1000;
	if (evtimer_add(&c->timer, &tv) == -1)
		tool_die("evtimer_add");
}

void
conn_answered(struct conn *c)
{
	struct stats *stats = &c->backend->stats;

	if (c->reply.counted)
		stats->streams_now--;
	stats->answers_now--;
	c->reply.counted = false;
	c->reply.kind = REPLY_NONE;
	c->phase = PHASE_HEAD;
	if (!c->keep_alive || c->reply.eof)
		c->close_after = true;
}

static int
refuse(struct conn *c, int status)
{
	c->backend->stats.bad++;
	c->keep_alive = false;
	c->phase = PHASE_ANSWER;
	c->backend->stats.answers_now++;
	answer_error(c, status, "invalid_request_error", NULL, "bad request");
	return 0;
}

static int
request_complete(struct conn *c)
{
	stats_count_body(c);
	c->phase = PHASE_ANSWER;
	c->backend->stats.answers_now++;
	return answer_start(c);
}

static int
consume_head(struct conn *c, const char *p, size_t len, size_t *ret_used)
{
	const char *end;
	size_t blank = 0;
	int status;

	while (len - blank >= 2 && memcmp(p + blank, "\r\n", 2) == 0)
		blank += 2; // RFC 9112 section 2.2
	*ret_used = blank;
	p += blank;
	len -= blank;
	end = len != 0 ? memmem(p, len, "\r\n\r\n", 4) : NULL;
	if (end == NULL)
		return len > HEAD_MAX ? refuse(c, 431) : 0;
	len = (size_t)(end - p) + 4;
	*ret_used += len;
	status = head_parse(c, p, len);
	stats_count_head(c, p, len);
	if (status != 0)
		return refuse(c, status);
	c->body_bytes = 0;
	c->body_sum = 14695981039346656037U;
	ask_start(&c->ask, &c->scan, &c->backend->defaults);
	if (c->expect_continue)
		buffer_add_text(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
	c->phase = c->chunked ? PHASE_CHUNK_LINE : PHASE_BODY;
	return !c->chunked && c->left == 0 ? request_complete(c) : 0;
}

static void
consume_body(struct conn *c, const char *p, size_t len, size_t *ret_used)
{
	len = len < c->left ? len : (size_t)c->left;
	ask_feed(&c->ask, &c->scan, p, len);
	c->left -= len;
	c->body_bytes += len;
	if (c->backend->checksum)
		for (size_t i = 0; i < len; i++)
			c->body_sum = (c->body_sum ^ (unsigned char)p[i]) *
			    1099511628211U;
	*ret_used = len;
}

// A chunk-size line (RFC 9112 section 7.1); false when it is none.
static bool
parse_chunk_size(const char *p, size_t len, uint64_t *ret)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < len && i < 15; i++) {
		char c = p[i];

		if (c >= '0' && c <= '9')
			n = n * 16 + (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			n = n * 16 + (uint64_t)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			n = n * 16 + (uint64_t)(c - 'A' + 10);
		else
			break;
	}
	*ret = n;
	return i != 0 && (i == len || p[i] == ';');
}

static int
consume_line(struct conn *c, const char *p, size_t len, size_t *ret_used)
{
	const char *end = len != 0 ? memmem(p, len, "\r\n", 2) : NULL;

	*ret_used = 0;
	if (end == NULL)
		return len > LINE_MAX_BYTES ? refuse(c, 400) : 0;
	*ret_used = (size_t)(end - p) + 2;
	if (c->phase == PHASE_TRAILER)
		return end == p ? request_complete(c) : 0;
	if (c->phase == PHASE_CHUNK_END) {
		c->phase = PHASE_CHUNK_LINE;
		return end == p ? 0 : refuse(c, 400);
	}
	if (!parse_chunk_size(p, (size_t)(end - p), &c->left))
		return refuse(c, 400);
	c->phase = c->left != 0 ? PHASE_CHUNK_DATA : PHASE_TRAILER;
	return 0;
}

// Read requests from len bytes at p until one has to be answered first.
static int
conn_consume(struct conn *c, const char *p, size_t len, size_t *ret_used)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && !c->close_after && c->phase < PHASE_ANSWER) {
		enum phase before = c->phase;
		size_t used = 0;

		if (c->phase == PHASE_HEAD) {
			r = consume_head(c, p + at, len - at, &used);
		} else if (c->phase == PHASE_BODY ||
		    c->phase == PHASE_CHUNK_DATA) {
			consume_body(c, p + at, len - at, &used);
			if (c->left == 0 && c->phase == PHASE_BODY)
				r = request_complete(c);
			else if (c->left == 0)
				c->phase = PHASE_CHUNK_END;
		} else {
			r = consume_line(c, p + at, len - at, &used);
		}
		at += used;
		if (used == 0 && c->phase == before)
			break;
	}
	*ret_used = c->close_after || c->phase == PHASE_DRAIN ? len : at;
	return r;
}

static int
conn_write(struct conn *c)
{
	while (buffer_len(&c->out) != 0) {
		ssize_t n = send(c->fd, buffer_bytes(&c->out),
		    buffer_len(&c->out), MSG_NOSIGNAL);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN) {
			if (event_add(&c->writable, NULL) == -1)
				tool_die("event_add");
			return 0;
		}
		if (n == -1)
			return -errno;
		c->backend->stats.bytes_out += (uint64_t)n;
		buffer_take(&c->out, (size_t)n);
	}
	if (c->reset)
		return -ECONNRESET;
	if (c->close_after && c->phase != PHASE_DRAIN) {
		// What the client still sends must not turn into a reset that
		// destroys the answer (RFC 9112 section 9.6).
		(void)shutdown(c->fd, SHUT_WR); // it may have left
		c->phase = PHASE_DRAIN;
		c->reply.due = tool_now_ns() + DRAIN_NS;
		conn_schedule(c);
	} else if (c->phase == PHASE_ANSWER && c->reply.kind == REPLY_FILL) {
		conn_schedule(c);
	}
	return c->saw_eof && c->phase != PHASE_ANSWER ? -EPIPE : 0;
}

// Serve what was kept while an answer was under way, then write.
static int
conn_pump(struct conn *c)
{
	size_t used;
	int r = 0;

	while (r == 0 && buffer_len(&c->in) != 0) {
		r = conn_consume(
		    c, buffer_bytes(&c->in), buffer_len(&c->in), &used);
		buffer_take(&c->in, used);
		if (used == 0)
			break;
	}
	if (r == 0)
		r = conn_write(c);
	if (r == 0 && buffer_len(&c->in) < WAITING_MAX && !c->saw_eof &&
	    event_add(&c->readable, NULL) == -1)
		tool_die("event_add");
	return r;
}

static int
conn_end_of_input(struct conn *c)
{
	if (c->phase != PHASE_ANSWER || !c->backend->half_close)
		return -EPIPE;
	c->saw_eof = true;
	(void)event_del(&c->readable);
	return 0;
}

static int
conn_read(struct conn *c)
{
	char *scratch = c->backend->scratch;
	size_t used;
	int r = 0;

	for (int i = 0; i < 16 && r == 0 && !c->saw_eof; i++) {
		ssize_t n = recv(c->fd, scratch, SCRATCH_SIZE, 0);

		if (n == -1)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0)
			return conn_end_of_input(c);
		c->backend->stats.bytes_in += (uint64_t)n;
		if (c->phase == PHASE_DRAIN)
			continue;
		if (buffer_len(&c->in) != 0 || c->phase == PHASE_ANSWER) {
			buffer_add(&c->in, scratch, (size_t)n);
		} else {
			r = conn_consume(c, scratch, (size_t)n, &used);
			buffer_add(&c->in, scratch + used, (size_t)n - used);
		}
		if (buffer_len(&c->in) >= WAITING_MAX &&
		    c->phase == PHASE_ANSWER)
			return event_del(&c->readable);
		if ((size_t)n < SCRATCH_SIZE)
			break;
	}
	return r;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	int r = conn_read(c);

	(void)fd;
	(void)what;
	if (r == 0)
		r = conn_pump(c);
	if (r < 0)
		conn_free(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (conn_pump(c) < 0)
		conn_free(c);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	int r;

	(void)fd;
	(void)what;
	r = c->phase == PHASE_DRAIN ? -ETIMEDOUT : reply_step(c);
	if (r == 0)
		r = conn_pump(c);
	if (r < 0)
		conn_free(c);
}

void
conn_new(struct backend *b, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));
	int one = 1;

	if (c == NULL)
		tool_die("calloc");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->backend = b;
	c->fd = fd;
	b->stats.connections++;
	b->stats.connections_now++;
	if (event_assign(&c->readable, b->base, fd, EV_READ | EV_PERSIST,
		on_readable, c) == -1 ||
	    event_assign(&c->writable, b->base, fd, EV_WRITE, on_writable, c) ==
		-1 ||
	    evtimer_assign(&c->timer, b->base, on_timer, c) == -1 ||
	    event_add(&c->readable, NULL) == -1)
		tool_die("event_add");
}
