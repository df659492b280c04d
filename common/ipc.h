// Channels between our own processes (docs/architecture.md, section 4).
//
// A channel is one end of a SOCK_SEQPACKET socketpair to one role.  One
// datagram is an 8-byte header, one protobuf message and at most one
// descriptor.  A daemon's const table of rules is its whole contract: type,
// sender, phase, largest size, descriptors, handler, checked in this order
// before anything is decoded.  A peer that breaks a rule is hostile: the
// channel is closed, its outstanding requests fail at once.
#ifndef COMMON_IPC_H
#define COMMON_IPC_H

#include <event2/event.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "proto/ipc.pb-c.h"

enum ipc_role {
	ROLE_PARENT,
	ROLE_CRYPTOD,
	ROLE_SIGNER,
	ROLE_VERIFIER,
	ROLE_GOSSIPD,
	ROLE_GOSSIPD_TLS, // gossipd's second channel: handshake signatures only
	ROLE_PROXYD,
	ROLE_RELOADER, // `meshllm reload`: comes, hands over files, goes
	ROLE_MAX,
};

#define FROM(role) (1u << (role))

enum ipc_phase {
	IPC_GREETING = 1, // only Hello is taken
	IPC_SERVING = 2,
};

enum {
	IPC_BODY_MAX = 8192,	     // of any message, bytes
	IPC_ARENA_BYTES = 64 * 1024, // decoded form of one message
	IPC_INFLIGHT_MAX =
	    4096, // requests that we have outstanding on one channel
	IPC_QUEUE_MAX = 1024, // frames waiting for a slow peer
};

struct ipc_header {
	uint16_t type;
	uint16_t zero;
	uint32_t request_id; // 0: a notice, nobody waits for an answer
};

struct ipc_frame {
	struct ipc_header header;
	int fd; // -1 or owned by the frame until take_fd()
	size_t body_len;
	uint8_t body[IPC_BODY_MAX];
};

struct ipc_peer;

// 0, or -errno when the peer broke the contract: the channel is then closed.
// Borrows frame and msg; both are wiped after it returns.
typedef int ipc_handler(
    struct ipc_peer *, struct ipc_frame *, const ProtobufCMessage *msg);

struct ipc_rule {
	uint16_t type;
	uint32_t from;	 // FROM(role) | ...
	unsigned phases; // enum ipc_phase, or'ed
	uint32_t max_body;
	bool is_reply; // goes to the waiting request, handle is NULL
	uint8_t n_fds; // 0 or 1, exactly
	const ProtobufCMessageDescriptor *descriptor;
	ipc_handler *handle;
};

// status 0: frame and msg are the answer, borrowed.  Else -ETIMEDOUT or
// -EPIPE, frame and msg NULL.  Called exactly once per request.
typedef void ipc_reply_fn(void *arg, int status, struct ipc_frame *frame,
    const ProtobufCMessage *msg);

struct ipc_channel_config {
	struct event_base *base; // NULL: no loop, ipc_call_wait() only
	int fd;			 // taken, also on failure
	enum ipc_role self;
	enum ipc_role role;	      // of the other end
	const struct ipc_rule *rules; // static
	size_t n_rules;
	void *daemon; // ipc_peer_daemon()
	// The channel was closed (peer died, or broke the contract: reason
	// is -EPIPE or what the dispatch said).  The peer frees itself after.
	void (*closed)(struct ipc_peer *, int reason);
};

// Sends our Hello.  The peer is owned by the caller until closed() was called.
MUST_CHECK int ipc_peer_new(
    struct ipc_peer **ret, const struct ipc_channel_config *);
// Fails outstanding requests with -EPIPE; closed() is not called.
void ipc_peer_free(struct ipc_peer *);

void *ipc_peer_daemon(struct ipc_peer *);
enum ipc_role ipc_peer_role(const struct ipc_peer *);
const char *ipc_role_name(enum ipc_role);
// It has said that it was told to stop.
void ipc_peer_set_leaving(struct ipc_peer *);
bool ipc_peer_is_leaving(const struct ipc_peer *);

// Send without waiting for an answer.  fd: -1, or taken (also on failure).
// -EAGAIN: the peer is too slow and the queue is full.
MUST_CHECK int ipc_notify(
    struct ipc_peer *, uint16_t type, const ProtobufCMessage *msg, int fd);
// The same, with a descriptor that stays the caller's.  -EAGAIN: not now.
MUST_CHECK int ipc_notify_lending(
    struct ipc_peer *, uint16_t type, const ProtobufCMessage *msg, int fd);
// Answer the request that is in frame.
MUST_CHECK int ipc_reply(struct ipc_peer *, const struct ipc_frame *,
    uint16_t type, const ProtobufCMessage *msg);
// Answer later: keep request_id from frame->header.
MUST_CHECK int ipc_reply_to(struct ipc_peer *, uint32_t request_id,
    uint16_t type, const ProtobufCMessage *msg);

// Ask; the answer, of type reply_type, comes to fn.  ret_id may be NULL.
// On failure fn is not called.  fd: -1, or taken (also on failure).
MUST_CHECK int ipc_call(struct ipc_peer *, uint16_t type,
    const ProtobufCMessage *msg, int fd, uint16_t reply_type,
    unsigned deadline_ms, ipc_reply_fn *fn, void *arg, uint32_t *ret_id);
// Forget a request of ours: fn will not be called.
void ipc_cancel(struct ipc_peer *, uint32_t id);

// Ask and block until the answer is there, for a channel without a loop.
MUST_CHECK int ipc_call_wait(struct ipc_peer *, uint16_t type,
    const ProtobufCMessage *msg, uint16_t reply_type, unsigned deadline_ms,
    ipc_reply_fn *fn, void *arg);

// For such a channel: take what is there now, do not wait.  If the peer is
// gone, closed() was called.
void ipc_read(struct ipc_peer *);

// ---- below: the pieces, for tests and fuzzers

// Receive one frame; *ret->fd is -1 or open.  -EAGAIN, -EPIPE (peer gone),
// -EPROTO (truncated, too many descriptors, short).
MUST_CHECK int ipc_receive(int fd, struct ipc_frame *ret);
// On any level; they are refused.
bool ipc_has_unknown_fields(const ProtobufCMessage *);
// Send header and body as one datagram; passed: -1, or lent.  -EAGAIN: full.
MUST_CHECK int ipc_send(int fd, const uint8_t *bytes, size_t len, int passed);
// Check against the table, decode, hand over.  What a Hello and replies need
// of the peer's state is looked up in it.  Closes frame->fd unless taken.
MUST_CHECK int ipc_dispatch(struct ipc_peer *, struct ipc_frame *);
// A peer without a descriptor, in the given phase, for generated tests.
MUST_CHECK int ipc_peer_new_detached(
    struct ipc_peer **ret, const struct ipc_channel_config *, enum ipc_phase);

#endif
