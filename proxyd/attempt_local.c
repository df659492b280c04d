// An answer from an inference server of this machine, over a kept-alive
// connection where there is one.  The server's word counts as that of any
// stranger.  A request is repeated only when a reused connection ended before
// one byte of an answer: the server had closed it already.
#include <sodium.h>
#include <string.h>

#include "proxyd/attempt.h"
#include "proxyd/silence.h"

static void on_readable(struct stream *, void *arg);
static void on_writable(struct stream *, void *arg);
static void on_failed(struct stream *, void *arg, int error);

static const struct stream_ops local_ops = { on_readable, on_writable,
	on_failed };

// Nobody listens there; other errors may concern one request alone.
static bool
is_unreachable(int error)
{
	return error == -ECONNREFUSED || error == -ENOENT ||
	    error == -EHOSTUNREACH || error == -ENETUNREACH || error == -EACCES;
}

static void
fail_backend(struct attempt *a, int error)
{
	struct backend *backend = a->to.backend;

	if (error == -ETIMEDOUT) {
		attempt_fail(a, 504, "backend_timeout",
		    "the backend did not answer in time");
	} else if (is_unreachable(error)) {
		backend_failed(backend, strerror(-error));
		attempt_fail(a, 503, "backend_unavailable",
		    "the backend cannot be reached: %s", strerror(-error));
	} else {
		backend_suspect(backend);
		attempt_fail(a, 502, "backend_failed",
		    a->up.any ? "the backend ended in the middle of its answer"
			      : "the backend closed the connection without "
				"an answer");
	}
}

static void
write_request(struct attempt *a)
{
	struct slice body = attempt_body(a);
	size_t all = a->head_len + body.len;
	ssize_t n = 0;

	while (a->sent < all) {
		struct iovec iov[2] = {
			{ a->head + a->sent, a->head_len - a->sent },
			{ (void *)(uintptr_t)body.at, body.len },
		};
		size_t in_body = a->sent - a->head_len;

		if (a->sent < a->head_len) {
			n = stream_try(&a->conn->stream, iov, 2);
		} else {
			iov[0].iov_base = (char *)iov[1].iov_base + in_body;
			iov[0].iov_len = body.len - in_body;
			n = stream_try(&a->conn->stream, iov, 1);
		}
		if (n < 0)
			break;
		a->sent += (size_t)n;
	}
	a->is_written = a->sent == all;
	if (n == -EAGAIN)
		stream_want_write(&a->conn->stream, a->d->timeouts.answer);
	// After other errors there may be an answer all the same (413, and the
	// connection closed); if not, the read will find the end.
}

static int
connect_and_write(struct attempt *a, bool must_be_new)
{
	int r;

	r = backend_conn_get(
	    a->to.backend, must_be_new, &local_ops, a, &a->conn, &a->is_reused);
	if (r < 0)
		return r;
	a->sent = 0;
	stream_read_start(&a->conn->stream, a->d->timeouts.answer);
	write_request(a);
	return 0;
}

// The server may have closed the connection while it was idle.
static bool
repeat(struct attempt *a)
{
	if (!a->is_reused || a->up.any || silence_is_given_up(a->req))
		return false;
	backend_conn_drop(a->conn);
	a->conn = NULL;
	return connect_and_write(a, true) == 0;
}

static void
source_ended(struct attempt *a, int error)
{
	int r;

	if (repeat(a))
		return;
	if (error == 0 && a->up.has_head) {
		r = upstream_end(&a->up);
		if (r == 0) {
			request_answer_end(a->req);
			return;
		}
	}
	if (a->conn == NULL)
		error = -ECONNREFUSED;
	fail_backend(a, error == 0 ? -ECONNRESET : error);
}

static void
answer_is_complete(struct attempt *a, bool is_clean)
{
	struct backend_conn *conn = a->conn;

	// Given back first: what follows may want it at once.
	a->conn = NULL;
	if (is_clean && a->is_written && a->up.keep_alive)
		backend_conn_put(conn);
	else
		backend_conn_drop(conn);
	request_answer_end(a->req);
}

static void
on_readable(struct stream *s, void *arg)
{
	struct attempt *a = arg;
	uint8_t *scratch = a->d->scratch;
	size_t used = 0;
	ssize_t n = stream_recv(s, scratch, SCRATCH_BYTES);
	int r;

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		source_ended(a, (int)n);
		return;
	}
	r = attempt_feed(a, scratch, (size_t)n, &used);
	sodium_memzero(scratch, (size_t)n);
	if (r == -EAGAIN)
		attempt_fail(
		    a, 503, "backend_unavailable", "the backend is not ready");
	else if (r == -EBUSY)
		attempt_fail(a, 429, "too_many_requests",
		    "the backend has too much to do");
	else if (r == -EOPNOTSUPP)
		attempt_fail(a, 501, "not_implemented",
		    "the backend has no /v1/responses");
	else if (r < 0)
		attempt_fail(a, 502, "bad_backend_answer",
		    "the backend's answer is not proper HTTP");
	else if (upstream_is_complete(&a->up))
		answer_is_complete(a, used == (size_t)n);
	else
		attempt_flush(a, false);
}

static void
on_writable(struct stream *s, void *arg)
{
	(void)s;
	write_request(arg);
}

static void
on_failed(struct stream *s, void *arg, int error)
{
	(void)s;
	fail_backend(arg, error);
}

int
attempt_local_start(struct attempt *a, struct failure *ret_failure)
{
	const struct backend_url *url = &a->to.backend->url;
	int r;

	r = attempt_head(a, url->prefix, url->host, true);
	if (r == 0)
		r = connect_and_write(a, false);
	if (r == 0)
		return 0;
	backend_failed(a->to.backend, strerror(-r));
	failure_set(ret_failure, 503, "backend_unavailable",
	    "the backend cannot be reached: %s", strerror(-r));
	ret_failure->retry_after_s = RETRY_AFTER_S;
	return r;
}

void
attempt_local_stop(struct attempt *a)
{
	if (a->conn == NULL)
		return;
	backend_conn_drop(a->conn);
	a->conn = NULL;
}
