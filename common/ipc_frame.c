// One datagram with at most one descriptor, in and out, and the check of its
// message that protobuf-c leaves to us; the names of roles.  A descriptor that
// came is owned by the frame, whatever else was wrong with it.
#include "common/ipc.h"

#include <string.h>
#include <sys/socket.h>

int
ipc_receive(int fd, struct ipc_frame *ret)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_LEN(sizeof(int))];
	} control;
	struct iovec iov[2] = {
		{ &ret->header, sizeof(ret->header) },
		{ ret->body, sizeof(ret->body) },
	};
	// LEN, not SPACE: the padding has room for a second descriptor.
	struct msghdr msg = { .msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c;
	ssize_t n;

	ret->fd = -1;
	ret->body_len = 0;
	n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	// Gone before it had read all of ours.  That is said once; what it had
	// sent is still there.
	if (n == -1 && errno == ECONNRESET)
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n == -1 && errno == ECONNRESET)
		return -EPIPE;
	if (n == -1)
		return errno == EINTR ? -EAGAIN : -errno;
	// Take a passed descriptor first, so that every refusal closes it.
	if ((c = CMSG_FIRSTHDR(&msg)) != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&ret->fd, CMSG_DATA(c), sizeof(ret->fd));
	if (n == 0 && ret->fd == -1)
		return -EPIPE;
	if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
	    (size_t)n < sizeof(ret->header)) {
		close_fd(&ret->fd);
		return -EPROTO;
	}
	ret->body_len = (size_t)n - sizeof(ret->header);
	return 0;
}

int
ipc_send(int fd, const uint8_t *bytes, size_t len, int passed)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (passed != -1) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &passed, sizeof(passed));
	}
	if (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) != -1)
		return 0;
	if (errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS)
		return -EAGAIN;
	return errno == ECONNRESET ? -EPIPE : -errno;
}

bool
ipc_has_unknown_fields(const ProtobufCMessage *msg)
{
	const ProtobufCMessageDescriptor *d = msg->descriptor;

	if (msg->n_unknown_fields != 0)
		return true;
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		const uint8_t *member = (const uint8_t *)msg + f->offset;
		ProtobufCMessage *const *list;
		size_t n;

		if (f->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			n = *(const size_t *)((const uint8_t *)msg +
			    f->quantifier_offset);
			list = *(ProtobufCMessage *const *const *)member;
		} else {
			list = (ProtobufCMessage *const *)member;
			n = *list == NULL ? 0 : 1;
		}
		for (size_t k = 0; k < n; k++)
			if (ipc_has_unknown_fields(list[k]))
				return true;
	}
	return false;
}

const char *
ipc_role_name(enum ipc_role role)
{
	static const char *const names[ROLE_MAX] = {
		[ROLE_PARENT] = "meshllm",
		[ROLE_CRYPTOD] = "cryptod",
		[ROLE_SIGNER] = "attestd-signer",
		[ROLE_VERIFIER] = "attestd-verifier",
		[ROLE_GOSSIPD] = "gossipd",
		[ROLE_GOSSIPD_TLS] = "gossipd-tls",
		[ROLE_PROXYD] = "proxyd",
		[ROLE_RELOADER] = "meshllm-reload",
	};

	return (unsigned)role < ROLE_MAX ? names[role] : "nobody";
}
