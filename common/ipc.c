// One end of a channel: frames in and out, the rule table, requests that wait
// for an answer.  The other end is hostile until a frame has passed every
// check of its rule; after a broken rule nothing more is read from it.  It
// must never decode what its rule does not allow, nor keep a descriptor that
// no handler took.
#include "common/ipc.h"

#include <event2/event_struct.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <uthash.h>

#include "common/arena.h"
#include "common/build_id.h"
#include "common/loop.h"
#include "common/process.h"

struct ipc_call {
	uint32_t id;
	uint16_t reply_type;
	struct ipc_peer *peer; // borrowed
	ipc_reply_fn *fn;
	void *arg;
	struct event timer;
	UT_hash_handle hh;
};

struct queued {
	TAILQ_ENTRY(queued) entry;
	int fd; // owned, or -1
	size_t len;
	uint8_t bytes[];
};

struct ipc_peer {
	struct ipc_channel_config config;
	int fd; // owned
	enum ipc_phase phase;
	bool closed, dying, is_leaving;
	unsigned busy; // frames of this peer that are being handled
	uint32_t next_id;
	struct event *read_event, *write_event; // owned
	struct ipc_call *calls;			// owned, by id
	size_t n_calls;
	TAILQ_HEAD(, queued) queue; // owned
	size_t n_queued;
	struct ipc_frame frame; // the one being handled
	struct arena arena;	// of its message
	_Alignas(ARENA_ALIGN) uint8_t arena_bytes[IPC_ARENA_BYTES];
};

static void peer_close(struct ipc_peer *, int reason);

static int
handle_hello(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__Hello *hello = (const Ipc__Hello *)msg;

	(void)frame;
	if (hello->build_id.len != sizeof(build_id) ||
	    memcmp(hello->build_id.data, build_id, sizeof(build_id)) != 0)
		return -EPROTO;
	if (hello->role != (uint32_t)peer->config.role)
		return -EPERM;
	peer->phase = IPC_SERVING;
	return 0;
}

static const struct ipc_rule hello_rule = { IPC__TYPE__IPC_HELLO, .from = ~0u,
	.phases = IPC_GREETING, .max_body = 64,
	.descriptor = &ipc__hello__descriptor, .handle = handle_hello };

static void
frame_wipe(struct ipc_frame *frame)
{
	close_fd(&frame->fd);
	sodium_memzero(frame->body, frame->body_len);
	frame->body_len = 0;
}

static const struct ipc_rule *
find_rule(const struct ipc_peer *peer, uint16_t type)
{
	if (type == IPC__TYPE__IPC_HELLO)
		return &hello_rule;
	for (size_t i = 0; i < peer->config.n_rules; i++)
		if (peer->config.rules[i].type == type)
			return &peer->config.rules[i];
	return NULL;
}

static struct ipc_call *
find_call(struct ipc_peer *peer, uint32_t id)
{
	struct ipc_call *call;

	HASH_FIND(hh, peer->calls, &id, sizeof(id), call);
	return call;
}

static void
call_forget(struct ipc_call *call)
{
	struct ipc_peer *peer = call->peer;

	HASH_DEL(peer->calls, call);
	peer->n_calls--;
	if (peer->config.base != NULL)
		(void)event_del(&call->timer);
	free(call);
}

static void
call_finish(struct ipc_call *call, int status, struct ipc_frame *frame,
    const ProtobufCMessage *msg)
{
	ipc_reply_fn *fn = call->fn;
	void *arg = call->arg;

	// First forgotten, then told: fn may start the next call.
	call_forget(call);
	fn(arg, status, frame, msg);
}

static int
deliver_reply(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct ipc_call *call = find_call(peer, frame->header.request_id);

	// An answer that comes after its deadline, or after ipc_cancel, is
	// no fault of the peer; one to a number never used is.
	if (call == NULL)
		return frame->header.request_id != 0 &&
			frame->header.request_id < peer->next_id
		    ? 0
		    : -EPROTO;
	if (call->reply_type != frame->header.type)
		return -EPROTO;
	call_finish(call, 0, frame, msg);
	return 0;
}

static int
check_rule(const struct ipc_peer *peer, const struct ipc_rule *rule,
    const struct ipc_frame *frame)
{
	if (rule == NULL || frame->header.zero != 0)
		return -EPROTO;
	if ((rule->from & FROM(peer->config.role)) == 0)
		return -EPERM;
	if ((rule->phases & (unsigned)peer->phase) == 0)
		return -EPERM;
	if (frame->body_len > rule->max_body)
		return -EMSGSIZE;
	if ((frame->fd != -1) != (rule->n_fds == 1))
		return -EPROTO;
	return 0;
}

static int
decode_and_handle(
    struct ipc_peer *peer, const struct ipc_rule *rule, struct ipc_frame *frame)
{
	ProtobufCAllocator allocator = arena_allocator(&peer->arena);
	ProtobufCMessage *msg;

	msg = protobuf_c_message_unpack(
	    rule->descriptor, &allocator, frame->body_len, frame->body);
	if (msg == NULL || ipc_has_unknown_fields(msg))
		return -EBADMSG;
	return rule->is_reply ? deliver_reply(peer, frame, msg)
			      : rule->handle(peer, frame, msg);
}

int
ipc_dispatch(struct ipc_peer *peer, struct ipc_frame *frame)
{
	const struct ipc_rule *rule = find_rule(peer, frame->header.type);
	int r = check_rule(peer, rule, frame);

	peer->busy++;
	if (r == 0)
		r = decode_and_handle(peer, rule, frame);
	arena_wipe(&peer->arena);
	frame_wipe(frame);
	peer->busy--;
	return r;
}

static void
queue_drop(struct ipc_peer *peer, struct queued *q)
{
	TAILQ_REMOVE(&peer->queue, q, entry);
	peer->n_queued--;
	close_fd(&q->fd);
	sodium_memzero(q->bytes, q->len);
	free(q);
}

static void
peer_destroy(struct ipc_peer *peer)
{
	struct queued *q;

	while ((q = TAILQ_FIRST(&peer->queue)) != NULL)
		queue_drop(peer, q);
	if (peer->read_event != NULL)
		event_free(peer->read_event);
	if (peer->write_event != NULL)
		event_free(peer->write_event);
	close_fd(&peer->fd);
	sodium_memzero(peer, sizeof(*peer));
	free(peer);
}

static void
fail_calls(struct ipc_peer *peer)
{
	while (peer->calls != NULL)
		call_finish(peer->calls, -EPIPE, NULL, NULL);
}

static void
peer_close(struct ipc_peer *peer, int reason)
{
	if (peer->closed)
		return;
	peer->closed = true;
	peer->busy++;
	if (peer->read_event != NULL)
		(void)event_del(peer->read_event);
	if (peer->write_event != NULL)
		(void)event_del(peer->write_event);
	fail_calls(peer);
	// Before the descriptor's number can be another's.
	if (!peer->dying && peer->config.closed != NULL)
		peer->config.closed(peer, reason);
	close_fd(&peer->fd);
	peer->busy--;
	peer->dying = true;
}

void
ipc_peer_free(struct ipc_peer *peer)
{
	if (peer == NULL)
		return;
	peer->dying = true;
	peer_close(peer, -EPIPE);
	// From within a handler: the loop frees it when the handler is back.
	if (peer->busy == 0)
		peer_destroy(peer);
}

static int
queue_frame(
    struct ipc_peer *peer, const uint8_t *bytes, size_t len, int *passed)
{
	struct queued *q;

	if (peer->write_event == NULL || peer->n_queued >= IPC_QUEUE_MAX)
		return -EAGAIN;
	if ((q = malloc(sizeof(*q) + len)) == NULL)
		return -ENOMEM;
	q->fd = take_fd(passed);
	q->len = len;
	memcpy(q->bytes, bytes, len);
	TAILQ_INSERT_TAIL(&peer->queue, q, entry);
	if (peer->n_queued++ == 0)
		(void)event_add(peer->write_event, NULL);
	return 0;
}

// *passed: sent with it; taken when the message has to wait, if it may.
static int
send_frame(struct ipc_peer *peer, uint16_t type, uint32_t id,
    const ProtobufCMessage *msg, int *passed, bool may_wait)
{
	struct ipc_header header = { .type = type, .request_id = id };
	uint8_t bytes[sizeof(header) + IPC_BODY_MAX];
	size_t len = protobuf_c_message_get_packed_size(msg);
	int r;

	if (len > IPC_BODY_MAX)
		return -EMSGSIZE;
	if (peer->closed)
		return -EPIPE;
	memcpy(bytes, &header, sizeof(header));
	(void)protobuf_c_message_pack(msg, bytes + sizeof(header));
	len += sizeof(header);
	r = peer->n_queued != 0 ? -EAGAIN
				: ipc_send(peer->fd, bytes, len, *passed);
	if (r == -EAGAIN && may_wait)
		r = queue_frame(peer, bytes, len, passed);
	sodium_memzero(bytes, len);
	return r;
}

static int
peer_send(struct ipc_peer *peer, uint16_t type, uint32_t id,
    const ProtobufCMessage *msg, int fd)
{
	AUTO_FD passed = fd;

	return send_frame(peer, type, id, msg, &passed, true);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct ipc_peer *peer = arg;
	struct queued *q;
	int r = 0;

	(void)fd;
	(void)what;
	while (r == 0 && (q = TAILQ_FIRST(&peer->queue)) != NULL) {
		r = ipc_send(peer->fd, q->bytes, q->len, q->fd);
		if (r == 0)
			queue_drop(peer, q);
	}
	if (r == 0)
		(void)event_del(peer->write_event);
	// Other errors: the read side sees the end of the peer.
}

void
ipc_read(struct ipc_peer *peer)
{
	int r = 0;

	peer->busy++;
	// All that is there before going back to the loop, but bounded: one
	// peer must not starve the others.
	for (unsigned i = 0; i < 64 && r == 0 && !peer->closed; i++) {
		r = ipc_receive(peer->fd, &peer->frame);
		if (r == 0)
			r = ipc_dispatch(peer, &peer->frame);
	}
	if (r != 0 && r != -EAGAIN)
		peer_close(peer, r);
	peer->busy--;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct ipc_peer *peer = arg;

	(void)fd;
	(void)what;
	ipc_read(peer);
	if (peer->dying && peer->busy == 0)
		peer_destroy(peer);
}

static int
peer_watch(struct ipc_peer *peer)
{
	struct event_base *base = peer->config.base;

	if (base == NULL || peer->fd == -1)
		return 0;
	peer->read_event =
	    event_new(base, peer->fd, EV_READ | EV_PERSIST, on_readable, peer);
	peer->write_event =
	    event_new(base, peer->fd, EV_WRITE | EV_PERSIST, on_writable, peer);
	if (peer->read_event == NULL || peer->write_event == NULL)
		return -ENOMEM;
	// The parent tells all to stop: none shall first take the siblings that
	// were faster for dead.
	if (peer->config.role == ROLE_PARENT)
		(void)event_priority_set(peer->read_event, LOOP_FIRST);
	return event_add(peer->read_event, NULL) == -1 ? -ENOMEM : 0;
}

int
ipc_peer_new_detached(struct ipc_peer **ret,
    const struct ipc_channel_config *config, enum ipc_phase phase)
{
	struct ipc_peer *peer = calloc(1, sizeof(*peer));

	if (peer == NULL)
		return -ENOMEM;
	peer->config = *config;
	peer->fd = -1;
	peer->phase = phase;
	peer->next_id = 1;
	peer->frame.fd = -1;
	TAILQ_INIT(&peer->queue);
	peer->arena = (struct arena){ .bytes = peer->arena_bytes,
		.size = sizeof(peer->arena_bytes) };
	*ret = peer;
	return 0;
}

int
ipc_peer_new(struct ipc_peer **ret, const struct ipc_channel_config *config)
{
	Ipc__Hello hello = IPC__HELLO__INIT;
	AUTO_FD fd = config->fd;
	struct ipc_peer *peer = NULL;
	int r;

	if ((r = ipc_peer_new_detached(&peer, config, IPC_GREETING)) < 0)
		return r;
	peer->fd = take_fd(&fd);
	hello.build_id.data = (uint8_t *)(uintptr_t)build_id;
	hello.build_id.len = sizeof(build_id);
	hello.role = (uint32_t)config->self;
	r = peer_watch(peer);
	if (r == 0)
		r = peer_send(peer, IPC__TYPE__IPC_HELLO, 0, &hello.base, -1);
	if (r < 0 && r != -EPIPE) {
		peer_destroy(peer);
		return r;
	}
	// -EPIPE: the peer is gone already; the loop will say so.
	*ret = peer;
	return 0;
}

void *
ipc_peer_daemon(struct ipc_peer *peer)
{
	return peer->config.daemon;
}

enum ipc_role
ipc_peer_role(const struct ipc_peer *peer)
{
	return peer->config.role;
}

void
ipc_peer_set_leaving(struct ipc_peer *peer)
{
	peer->is_leaving = true;
}

bool
ipc_peer_is_leaving(const struct ipc_peer *peer)
{
	return peer->is_leaving;
}

int
ipc_notify(
    struct ipc_peer *peer, uint16_t type, const ProtobufCMessage *msg, int fd)
{
	return peer_send(peer, type, 0, msg, fd);
}

int
ipc_notify_lending(
    struct ipc_peer *peer, uint16_t type, const ProtobufCMessage *msg, int fd)
{
	return send_frame(peer, type, 0, msg, &fd, false);
}

int
ipc_reply_to(struct ipc_peer *peer, uint32_t request_id, uint16_t type,
    const ProtobufCMessage *msg)
{
	return peer_send(peer, type, request_id, msg, -1);
}

int
ipc_reply(struct ipc_peer *peer, const struct ipc_frame *frame, uint16_t type,
    const ProtobufCMessage *msg)
{
	return ipc_reply_to(peer, frame->header.request_id, type, msg);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	call_finish(arg, -ETIMEDOUT, NULL, NULL);
}

static void
call_arm(struct ipc_call *call, unsigned deadline_ms)
{
	struct timeval tv = { .tv_sec = deadline_ms / 1000,
		.tv_usec = (suseconds_t)(deadline_ms % 1000) * 1000 };

	if (call->peer->config.base == NULL)
		return;
	(void)evtimer_assign(
	    &call->timer, call->peer->config.base, on_deadline, call);
	(void)evtimer_add(&call->timer, &tv);
}

int
ipc_call(struct ipc_peer *peer, uint16_t type, const ProtobufCMessage *msg,
    int fd, uint16_t reply_type, unsigned deadline_ms, ipc_reply_fn *fn,
    void *arg, uint32_t *ret_id)
{
	AUTO_FD passed = fd;
	struct ipc_call *call;
	int r;

	if (peer->n_calls >= IPC_INFLIGHT_MAX)
		return -EAGAIN;
	if ((call = calloc(1, sizeof(*call))) == NULL)
		return -ENOMEM;
	call->id = peer->next_id;
	// 2^32 requests later a number comes again; 0 is for notices.
	peer->next_id = peer->next_id == UINT32_MAX ? 1 : peer->next_id + 1;
	call->reply_type = reply_type;
	call->peer = peer;
	call->fn = fn;
	call->arg = arg;
	r = peer_send(peer, type, call->id, msg, take_fd(&passed));
	if (r < 0) {
		free(call);
		return r;
	}
	HASH_ADD(hh, peer->calls, id, sizeof(call->id), call);
	peer->n_calls++;
	call_arm(call, deadline_ms);
	if (ret_id != NULL)
		*ret_id = call->id;
	return 0;
}

void
ipc_cancel(struct ipc_peer *peer, uint32_t id)
{
	struct ipc_call *call = find_call(peer, id);

	if (call != NULL)
		call_forget(call);
}

static int
wait_readable(int fd, uint64_t until_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t now = clock_mono_ms();
	int n;

	if (now >= until_ms)
		return -ETIMEDOUT;
	n = poll(&p, 1, (int)(until_ms - now));
	if (n == -1 && errno != EINTR)
		return -errno;
	return 0;
}

int
ipc_call_wait(struct ipc_peer *peer, uint16_t type, const ProtobufCMessage *msg,
    uint16_t reply_type, unsigned deadline_ms, ipc_reply_fn *fn, void *arg)
{
	uint64_t until = clock_mono_ms() + deadline_ms;
	uint32_t id = 0;
	int r;

	r = ipc_call(
	    peer, type, msg, -1, reply_type, deadline_ms, fn, arg, &id);
	if (r < 0)
		return r;
	while (r == 0 && find_call(peer, id) != NULL) {
		r = ipc_receive(peer->fd, &peer->frame);
		if (r == 0)
			r = ipc_dispatch(peer, &peer->frame);
		else if (r == -EAGAIN)
			r = wait_readable(peer->fd, until);
	}
	if (r < 0)
		ipc_cancel(peer, id);
	// Gone, or hostile: nothing more is read from it.
	if (r < 0 && r != -ETIMEDOUT)
		peer_close(peer, r);
	return r;
}
