// The attacker's messages.  Their fields are filled in by their descriptors,
// so that a new message is attacked as well.
#include "tests/takeover/attack.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attestd/evidence.h"
#include "common/build_id.h"

enum { FDS_MAX = 8, BYTES = 32 };

// clang-format off
const struct attack_rules attack_cryptod_proxyd = {
	{ IPC__TYPE__IPC_KEYS_REPLY, IPC__TYPE__IPC_SEAL_REPLY,
	    IPC__TYPE__IPC_OPEN_REPLY },
	{ IPC__TYPE__IPC_KEYS_REQUEST, IPC__TYPE__IPC_SEAL_REQUEST,
	    IPC__TYPE__IPC_OPEN_REQUEST },
};
const struct attack_rules attack_cryptod_gossipd = {
	{ IPC__TYPE__IPC_KEYS_REPLY, IPC__TYPE__IPC_ANNOUNCE_REPLY },
	{ IPC__TYPE__IPC_KEYS_REQUEST, IPC__TYPE__IPC_ANNOUNCE_REQUEST },
};
const struct attack_rules attack_cryptod_tls = {
	{ IPC__TYPE__IPC_SIGN_REPLY }, { IPC__TYPE__IPC_SIGN_REQUEST },
};
const struct attack_rules attack_signer_gossipd = {
	{ IPC__TYPE__IPC_EVIDENCE_REPLY, IPC__TYPE__IPC_ATTEST_REPLY,
	    IPC__TYPE__IPC_ACTIVATE_REPLY },
	{ IPC__TYPE__IPC_EVIDENCE_REQUEST, IPC__TYPE__IPC_ATTEST_REQUEST,
	    IPC__TYPE__IPC_ACTIVATE_REQUEST },
};
const struct attack_rules attack_verifier_proxyd = {
	{ IPC__TYPE__IPC_VERDICT_REPLY, IPC__TYPE__IPC_EVIDENCE_COPY_REPLY,
	    IPC__TYPE__IPC_SESSION_REPLY, IPC__TYPE__IPC_VERDICTS_VOID },
	{ IPC__TYPE__IPC_VERDICT_REQUEST, IPC__TYPE__IPC_EVIDENCE_COPY_REQUEST,
	    IPC__TYPE__IPC_SESSION_REQUEST },
};

const struct attack_rules attack_gossipd_proxyd = {
	{ IPC__TYPE__IPC_TUNNEL_REPLY, IPC__TYPE__IPC_EVIDENCE_STREAM_REPLY,
	    IPC__TYPE__IPC_MESH_INFO, IPC__TYPE__IPC_PEER_UPDATE,
	    IPC__TYPE__IPC_PEER_MODELS, IPC__TYPE__IPC_PEER_GONE,
	    IPC__TYPE__IPC_TUNNEL_INBOUND },
	{ IPC__TYPE__IPC_TUNNEL_REQUEST,
	    IPC__TYPE__IPC_EVIDENCE_STREAM_REQUEST, IPC__TYPE__IPC_SELF_UPDATE,
	    IPC__TYPE__IPC_SELF_MODELS },
};
const struct attack_rules attack_proxyd_gossipd = {
	{ IPC__TYPE__IPC_TUNNEL_REQUEST,
	    IPC__TYPE__IPC_EVIDENCE_STREAM_REQUEST, IPC__TYPE__IPC_SELF_UPDATE,
	    IPC__TYPE__IPC_SELF_MODELS },
	{ IPC__TYPE__IPC_MESH_INFO, IPC__TYPE__IPC_PEER_UPDATE,
	    IPC__TYPE__IPC_PEER_MODELS, IPC__TYPE__IPC_PEER_GONE,
	    IPC__TYPE__IPC_TUNNEL_INBOUND },
};

static const struct {
	uint16_t type;
	const ProtobufCMessageDescriptor *descriptor;
	bool wants_fd;
} messages[] = {
	{ IPC__TYPE__IPC_LEAVING, &ipc__leaving__descriptor, false },
	{ IPC__TYPE__IPC_SIGN_REQUEST, &ipc__sign_request__descriptor, false },
	{ IPC__TYPE__IPC_SEAL_REQUEST, &ipc__seal_request__descriptor, false },
	{ IPC__TYPE__IPC_OPEN_REQUEST, &ipc__open_request__descriptor, false },
	{ IPC__TYPE__IPC_KEYS_REPLY, &ipc__keys_reply__descriptor, false },
	{ IPC__TYPE__IPC_ANNOUNCE_REPLY, &ipc__announce_reply__descriptor,
	    false },
	{ IPC__TYPE__IPC_LIVENESS_REQUEST, &ipc__liveness_request__descriptor,
	    false },
	{ IPC__TYPE__IPC_LIVENESS_REPLY, &ipc__liveness_reply__descriptor,
	    false },
	{ IPC__TYPE__IPC_PEER_UPDATE, &ipc__peer_update__descriptor, false },
	{ IPC__TYPE__IPC_PEER_MODELS, &ipc__peer_models__descriptor, false },
	{ IPC__TYPE__IPC_PEER_GONE, &ipc__peer_gone__descriptor, false },
	{ IPC__TYPE__IPC_MESH_INFO, &ipc__mesh_info__descriptor, false },
	{ IPC__TYPE__IPC_TUNNEL_REQUEST, &ipc__tunnel_request__descriptor,
	    true },
	{ IPC__TYPE__IPC_TUNNEL_INBOUND, &ipc__tunnel_inbound__descriptor,
	    true },
	{ IPC__TYPE__IPC_TUNNEL_REPLY, &ipc__tunnel_reply__descriptor, false },
	{ IPC__TYPE__IPC_EVIDENCE_STREAM_REQUEST,
	    &ipc__evidence_stream_request__descriptor, true },
	{ IPC__TYPE__IPC_EVIDENCE_STREAM_REPLY,
	    &ipc__evidence_stream_reply__descriptor, false },
	{ IPC__TYPE__IPC_SELF_UPDATE, &ipc__self_update__descriptor, false },
	{ IPC__TYPE__IPC_SELF_MODELS, &ipc__self_models__descriptor, false },
	{ IPC__TYPE__IPC_VERDICT_REQUEST, &ipc__verdict_request__descriptor,
	    false },
	{ IPC__TYPE__IPC_EVIDENCE_COPY_REQUEST,
	    &ipc__evidence_copy_request__descriptor, true },
	{ IPC__TYPE__IPC_SESSION_REQUEST, &ipc__session_request__descriptor,
	    true },
	{ IPC__TYPE__IPC_ATTEST_REQUEST, &ipc__attest_request__descriptor,
	    true },
	{ IPC__TYPE__IPC_ACTIVATE_REQUEST, &ipc__activate_request__descriptor,
	    false },
};
// clang-format on

static uint64_t random_state = 1;

void
attack_seed(uint64_t seed)
{
	random_state = seed;
}

uint32_t
attack_dice(uint32_t n)
{
	random_state =
	    random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

void
attack_say(const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n > 0 && (size_t)n < sizeof(line))
		(void)!write(STDERR_FILENO, line, (size_t)n);
}

// ---- raw frames

int
attack_send(int fd, const struct raw *f, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov[2] = { { (void *)(uintptr_t)&f->header,
				    sizeof(f->header) },
		{ (void *)(uintptr_t)f->body, f->len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct cmsghdr *c;

	if (n_fds > FDS_MAX)
		return -EINVAL;
	if (n_fds > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	if (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		return -errno;
	return 0;
}

ssize_t
attack_receive(int fd, struct raw *f, int *ret_passed)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov[2] = { { &f->header, sizeof(f->header) },
		{ f->body, sizeof(f->body) } };
	struct msghdr msg = { .msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_LEN(sizeof(int)) };
	struct cmsghdr *c;
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*ret_passed = -1;
	if (n == -1)
		return -errno;
	if (n < (ssize_t)sizeof(f->header))
		return -EPIPE;
	if ((c = CMSG_FIRSTHDR(&msg)) != NULL && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_passed, CMSG_DATA(c), sizeof(*ret_passed));
	f->len = (size_t)n - sizeof(f->header);
	return (ssize_t)f->len;
}

void
attack_pack(struct raw *f, uint16_t type, const ProtobufCMessage *msg)
{
	f->header = (struct ipc_header){ .type = type,
		.request_id = 1 + attack_dice(1 << 30) };
	f->len = protobuf_c_message_pack(msg, f->body);
}

void
attack_greet(struct raw *f, enum ipc_role self)
{
	Ipc__Hello hello = IPC__HELLO__INIT;

	hello.build_id.data = (uint8_t *)(uintptr_t)build_id;
	hello.build_id.len = sizeof(build_id);
	hello.role = (uint32_t)self;
	attack_pack(f, IPC__TYPE__IPC_HELLO, &hello.base);
	f->header.request_id = 0;
}

// ---- well-formed

// What a TLS 1.3 server signs (RFC 8446, section 4.4.3).
static size_t
handshake(uint8_t *ret)
{
	memset(ret, ' ', 64);
	memcpy(ret + 64, "TLS 1.3, server CertificateVerify", 34);
	for (size_t i = 98; i < ATTACK_HANDSHAKE_LEN; i++)
		ret[i] = (uint8_t)attack_dice(256);
	return ATTACK_HANDSHAKE_LEN;
}

static size_t
credential(uint8_t *ret)
{
	for (size_t i = 0; i < EVIDENCE_CREDENTIAL_LEN; i++)
		ret[i] = (uint8_t)attack_dice(256);
	memcpy(ret, "mshlev2c", 8);
	return EVIDENCE_CREDENTIAL_LEN;
}

static void
fill_bytes(const char *name, ProtobufCBinaryData *ret, uint8_t *room)
{
	ret->data = room;
	if (strcmp(name, "content") == 0) {
		ret->len = handshake(room);
		return;
	}
	if (strcmp(name, "credential") == 0) {
		ret->len = credential(room);
		return;
	}
	ret->len = BYTES;
	for (size_t i = 0; i < BYTES; i++)
		room[i] = attack_dice(4) == 0 ? 0 : (uint8_t)attack_dice(256);
}

static void
fill_field(
    const ProtobufCFieldDescriptor *field, uint8_t *message, uint8_t *room)
{
	void *at = message + field->offset;
	uint32_t number = attack_dice(8);

	switch (field->type) {
	case PROTOBUF_C_TYPE_BYTES:
		fill_bytes(field->name, at, room);
		break;
	case PROTOBUF_C_TYPE_STRING:
		*(char **)at = (char *)(uintptr_t) "far";
		break;
	case PROTOBUF_C_TYPE_UINT64:
		*(uint64_t *)at = number;
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)at = number & 1;
		break;
	default: // numbers of 32 bits
		memcpy(at, &number, sizeof(number));
	}
}

static const ProtobufCMessageDescriptor *
find_descriptor(uint16_t type)
{
	for (size_t i = 0; i < N_ELEMENTS(messages); i++)
		if (messages[i].type == type)
			return messages[i].descriptor;
	return &ipc__keys_request__descriptor; // has no field
}

void
attack_well_formed(struct raw *f, uint16_t type)
{
	const ProtobufCMessageDescriptor *d = find_descriptor(type);
	static uint8_t room[8][1024];
	_Alignas(16) uint8_t message[512];
	size_t n_rooms = 0;

	if (d->sizeof_message > sizeof(message))
		abort();
	protobuf_c_message_init(d, message);
	for (unsigned i = 0; i < d->n_fields; i++)
		if (d->fields[i].label == PROTOBUF_C_LABEL_REQUIRED)
			fill_field(&d->fields[i], message,
			    room[n_rooms++ % N_ELEMENTS(room)]);
	attack_pack(f, type, (const ProtobufCMessage *)(const void *)message);
}

bool
attack_wants_fd(uint16_t type)
{
	for (size_t i = 0; i < N_ELEMENTS(messages); i++)
		if (messages[i].type == type)
			return messages[i].wants_fd;
	return false;
}

// ---- everything else

void
attack_malformed(struct raw *f)
{
	f->header = (struct ipc_header){ .type = (uint16_t)attack_dice(
					     ATTACK_TYPES_END),
		.zero = attack_dice(8) == 0 ? 1 : 0,
		.request_id = attack_dice(2) == 0 ? 0 : attack_dice(1000) };
	f->len = attack_dice(4) == 0 ? attack_dice(sizeof(f->body))
				     : attack_dice(160);
	for (size_t i = 0; i < f->len; i++)
		f->body[i] = (uint8_t)attack_dice(256);
}

void
attack_almost_a_handshake(struct raw *f)
{
	static const char other[] = "meshllm announcement";

	attack_well_formed(f, IPC__TYPE__IPC_SIGN_REQUEST);
	switch (attack_dice(4)) {
	case 0: // a byte of what is fixed
		f->body[3 + attack_dice(98)] ^= (uint8_t)(1 + attack_dice(255));
		break;
	case 1: // shorter, with the length of the field
		f->len -= 1 + attack_dice(15); // 16: one with SHA-256
		f->body[1] = (uint8_t)(0x80 | (f->len - 3));
		break;
	case 2: // the text of another statement
		memcpy(f->body + 3 + 64, other, sizeof(other));
		break;
	default: // the zero before the hash
		f->body[3 + 97] = 1;
	}
}

// RFC 8446, section 4.4.3, as identity_sign_handshake() reads it.
static bool
is_handshake(const uint8_t *at, size_t len)
{
	static const char *const contexts[] = {
		"TLS 1.3, client CertificateVerify",
		"TLS 1.3, server CertificateVerify"
	};

	if (len != 130 && len != ATTACK_HANDSHAKE_LEN)
		return false;
	for (size_t i = 0; i < 64; i++)
		if (at[i] != ' ')
			return false;
	// With the zero behind it.
	return memcmp(at + 64, contexts[0], 34) == 0 ||
	    memcmp(at + 64, contexts[1], 34) == 0;
}

bool
attack_is_handshake(const struct raw *f)
{
	Ipc__SignRequest *request;
	bool is = false;

	if (f->header.type != IPC__TYPE__IPC_SIGN_REQUEST)
		return false;
	request = ipc__sign_request__unpack(NULL, f->len, f->body);
	if (request != NULL)
		is = is_handshake(request->content.data, request->content.len);
	ipc__sign_request__free_unpacked(request, NULL);
	return is;
}

uint16_t
attack_may_ask(const struct attack_rules *rules, size_t turn)
{
	size_t n = 0;

	while (n < ATTACK_ASK_MAX && rules->may_ask[n] != 0)
		n++;
	return rules->may_ask[turn % n];
}

void
attack_next(const struct attack_rules *rules, struct raw *f)
{
	uint16_t allowed = attack_may_ask(rules, attack_dice(ATTACK_ASK_MAX));

	switch (attack_dice(8)) {
	case 0:
		attack_malformed(f);
		break;
	case 1: // well-formed, of any type
		attack_well_formed(
		    f, (uint16_t)(1 + attack_dice(ATTACK_TYPES_END)));
		break;
	case 2:
		attack_almost_a_handshake(f);
		break;
	case 3: // as an answer, or as a notice
		attack_well_formed(f, allowed);
		f->header.request_id = attack_dice(3);
		break;
	case 4: // cut or with something behind it
		attack_well_formed(f, allowed);
		f->len = attack_dice((uint32_t)f->len + 40);
		break;
	default:
		attack_well_formed(f, allowed);
	}
}

bool
attack_is_answer(const struct attack_rules *rules, uint16_t type)
{
	if (type == IPC__TYPE__IPC_HELLO ||
	    type == IPC__TYPE__IPC_KEY_CHANGED ||
	    type == IPC__TYPE__IPC_LEAVING)
		return true;
	for (size_t i = 0; i < ATTACK_ASK_MAX; i++)
		if (rules->answers[i] != 0 && rules->answers[i] == type)
			return true;
	return false;
}
