// The answer that comes out of a tunnel: opened, fed to the reader of HTTP, and
// ended.  The host and all on the way are trusted with nothing: a byte counts
// when it opens under the key of the request, and an end when HTTP and the
// sealed format agree that it is one.
#include <sodium.h>
#include <string.h>

#include "proxyd/attempt.h"
#include "proxyd/silence.h"

// gossipd answers only when it failed.
void
attempt_tunnel_forget_call(struct attempt *a)
{
	if (a->tunnel_id != 0 && a->d->gossipd != NULL)
		ipc_cancel(a->d->gossipd, a->tunnel_id);
	a->tunnel_id = 0;
}

static void
fail_answer(struct attempt *a, int error)
{
	switch (error) {
	case -EAGAIN:
		attempt_fail(
		    a, 503, "host_unavailable", "the host is not ready");
		break;
	case -EBUSY:
		attempt_fail(
		    a, 429, "too_many_requests", "the host has too much to do");
		break;
	case -EOPNOTSUPP:
		attempt_fail(
		    a, 501, "not_implemented", "the host has no /v1/responses");
		break;
	case -EPROTO:
		attempt_fail(a, 502, "bad_sealed_answer",
		    "the host's answer is not sealed as agreed");
		break;
	case -EKEYREJECTED:
		attempt_fail(a, 502, "bad_sealed_answer",
		    "the answer names another key than the host's");
		break;
	case -ETIMEDOUT:
		attempt_fail(
		    a, 504, "host_timeout", "the host did not answer in time");
		break;
	case -EPIPE:
		attempt_fail(a, a->up.has_head ? 502 : 503,
		    a->up.has_head ? "host_failed" : "host_unavailable",
		    a->up.has_head ? "the host's answer was cut off"
				   : "the host closed the tunnel");
		break;
	case -EBADMSG:
		attempt_fail(a, 502, "bad_sealed_answer",
		    "the host's answer is damaged");
		break;
	default:
		attempt_fail(
		    a, 502, "host_failed", "the tunnel to the host failed");
	}
}

static bool
is_proven_complete(const struct attempt *a)
{
	return upstream_is_complete(&a->up) && (!a->is_sealed || a->in.done);
}

// Open all that is there and read it as HTTP.
static int
feed_sealed(struct attempt *a, const uint8_t *bytes, size_t n, bool *ret_is_fed)
{
	uint8_t *at;
	size_t len, used;
	int r;

	if ((r = sealed_answer_reserve(&a->in, n, &at)) < 0)
		return r;
	memcpy(at, bytes, n);
	sealed_answer_commit(&a->in, n);
	while ((r = sealed_answer_next(&a->in, &at, &len)) == 0) {
		a->is_heard = true;
		if (len == 0) {
			silence_promised(a);
			continue;
		}
		*ret_is_fed = true;
		r = attempt_feed(a, at, len, &used);
		sodium_memzero(at, len);
		if (r < 0)
			return r;
		if (used < len) // bytes behind the end of the answer
			return -EBADMSG;
	}
	return r == -EAGAIN ? 0 : r;
}

static void
end_of_tunnel(struct attempt *a, int error)
{
	int r = error;

	if (r == 0 && a->to.source == SOURCE_SEALED)
		r = a->is_sealed ? sealed_answer_end(&a->in) : -EPIPE;
	if (r == 0)
		r = upstream_end(&a->up);
	if (r == 0)
		request_answer_end(a->req);
	else
		fail_answer(a, r == -ECONNRESET ? -EPIPE : r);
}

void
attempt_tunnel_readable(struct stream *s, void *arg)
{
	struct attempt *a = arg;
	uint8_t *scratch = a->d->scratch;
	ssize_t n = stream_recv(s, scratch, SCRATCH_BYTES);
	bool is_fed = !a->is_sealed;
	size_t used;
	int r;

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		end_of_tunnel(a, (int)n);
		return;
	}
	attempt_tunnel_forget_call(a);
	if (a->is_sealed)
		r = feed_sealed(a, scratch, (size_t)n, &is_fed);
	else if (a->to.source == SOURCE_PLAIN)
		r = attempt_feed(a, scratch, (size_t)n, &used);
	else
		r = -EPROTO; // an answer before there was a question
	sodium_memzero(scratch, (size_t)n);
	if (r == 0 && a->is_sealed && a->in.done)
		r = upstream_end(&a->up);
	if (r < 0)
		fail_answer(a, r);
	else if (is_proven_complete(a))
		request_answer_end(a->req);
	else if (is_fed)
		attempt_flush(a, upstream_is_complete(&a->up));
}

void
attempt_tunnel_failed(struct stream *s, void *arg, int error)
{
	(void)s;
	fail_answer(arg, error);
}
