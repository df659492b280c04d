// A connected descriptor in the loop: TCP, backend or tunnel.
//
// Bytes are sent at once; what the kernel does not take is kept, and EV_WRITE
// is armed only while something is kept.  Whoever feeds a stream stops reading
// its own source while stream_is_blocked() (notes on cost: two system calls
// for each token, no more).
#ifndef PROXYD_STREAM_H
#define PROXYD_STREAM_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/buf.h"
#include "common/cleanup.h"

struct stream;

struct stream_ops {
	void (*readable)(struct stream *, void *arg);
	// Nothing is kept any more, or stream_want_write() came true.
	void (*writable)(struct stream *, void *arg);
	// -ETIMEDOUT, or what a send said.
	void (*failed)(struct stream *, void *arg, int error);
};

struct stream {
	int fd;
	bool reading;
	bool edge;     // see stream_watch_hangup()
	bool deferred; // see stream_defer()
	struct event read;
	struct event write;
	struct buf out; // bytes that the kernel did not take yet
	struct event_base *base;
	const struct timeval *timeout;	     // for reads; NULL: none
	const struct timeval *write_timeout; // while something is kept
	const struct stream_ops *ops;
	void *arg;
};

enum { STREAM_OUT_MAX = 20 * 1024 * 1024 };

// Takes fd; nothing is watched yet.
void stream_init(struct stream *, struct event_base *, int fd,
    const struct stream_ops *, void *arg);
// Close and forget everything; can be repeated.
void stream_close(struct stream *);
static inline bool
stream_is_open(const struct stream *s)
{
	return s->fd != -1;
}

// Watch for bytes; timeout may be NULL, else it starts anew with each read.
void stream_read_start(struct stream *, const struct timeval *timeout);
void stream_read_stop(struct stream *);
// Until stream_watch() reads are not watched for, whatever is said of them: for
// a stream that is likely to be read to its end before that.
void stream_defer(struct stream *);
void stream_watch(struct stream *);
// Of a stream whose end was read: call readable() again only when the other
// side goes away completely.
void stream_watch_hangup(struct stream *);
bool stream_has_hangup(const struct stream *);

// Bytes read, 0 at the end, -EAGAIN, -errno.
MUST_CHECK ssize_t stream_recv(struct stream *, void *ret, size_t size);
// Send, keep the rest.  -errno: the stream is broken.
MUST_CHECK int stream_send(struct stream *, const void *bytes, size_t n);
// Send what the kernel takes, keep nothing.  -EAGAIN, -errno.
MUST_CHECK ssize_t stream_try(struct stream *, struct iovec *, size_t n);
// Nothing more will be sent: FIN, at once if nothing is kept.
void stream_finish(struct stream *);
void stream_want_write(struct stream *, const struct timeval *timeout);

static inline bool
stream_is_blocked(const struct stream *s)
{
	return buf_len(&s->out) != 0;
}

#endif
