// Drives a rule table through ipc_dispatch with everything that a peer could
// send.  It trusts protobuf-c's own decoder as the oracle of what can be
// decoded, and nothing of common/ipc.c.
#include "tests/unit/rules_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "common/build_id.h"

enum {
	TABLE_MAX = 64,
	FILL_BYTES = 8192,
	BYTES_FIELD_LEN = 32,
	UNKNOWN_FIELD = 1999,
	SOME_REQUEST = 200, // a type that nobody takes
	BEYOND_ALL_TYPES = 0xffff,
};

struct check {
	const struct ipc_rule *rules; // those under test
	size_t n;
	struct ipc_rule counted[TABLE_MAX]; // with the counting handler
	enum ipc_role self, role;
	enum ipc_phase phase;
	struct ipc_peer *peer; // of that role, in that phase
	int other_end;	       // of a peer that can ask; else -1
};

struct packed {
	size_t len;
	uint8_t bytes[IPC_BODY_MAX];
};

static unsigned n_reached;
static struct ipc_frame frame;

static int
count(struct ipc_peer *peer, struct ipc_frame *f, const ProtobufCMessage *msg)
{
	(void)peer;
	(void)f;
	assert_non_null(msg);
	n_reached++;
	return 0;
}

static void
count_reply(
    void *arg, int status, struct ipc_frame *f, const ProtobufCMessage *msg)
{
	(void)arg;
	(void)f;
	if (status == 0 && msg != NULL)
		n_reached++;
}

// ---- a message of every kind, from its descriptor

static void *
fill_alloc(size_t size)
{
	static _Alignas(16) uint8_t bytes[FILL_BYTES];
	static size_t used;
	void *p;

	if (size == 0) {
		used = 0;
		return NULL;
	}
	size = (size + 15) & ~(size_t)15;
	assert_true(size <= sizeof(bytes) - used);
	p = bytes + used;
	used += size;
	memset(p, 0, size);
	return p;
}

static ProtobufCMessage *fill(const ProtobufCMessageDescriptor *, bool all);

static void
fill_value(const ProtobufCFieldDescriptor *f, void *member, bool all)
{
	static uint8_t some_bytes[BYTES_FIELD_LEN] = { 1 };
	static char some_text[] = "x";
	ProtobufCBinaryData data = { sizeof(some_bytes), some_bytes };
	const ProtobufCEnumDescriptor *e = f->descriptor;
	ProtobufCMessage *inner;
	char *text = some_text;

	switch (f->type) {
	case PROTOBUF_C_TYPE_BYTES:
		memcpy(member, &data, sizeof(data));
		break;
	case PROTOBUF_C_TYPE_STRING:
		memcpy(member, &text, sizeof(text));
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		inner = fill(f->descriptor, all);
		memcpy(member, &inner, sizeof(inner));
		break;
	case PROTOBUF_C_TYPE_ENUM:
		memcpy(member, &e->values[0].value, sizeof(int));
		break;
	default: // numbers and bool: the first byte is the lowest
		memset(member, 1, 1);
	}
}

static void
fill_repeated(const ProtobufCFieldDescriptor *f, ProtobufCMessage *msg)
{
	uint8_t *base = (uint8_t *)msg;
	void *element = fill_alloc(sizeof(ProtobufCBinaryData));
	size_t one = 1;

	fill_value(f, element, true);
	memcpy(base + f->offset, &element, sizeof(element));
	memcpy(base + f->quantifier_offset, &one, sizeof(one));
}

static ProtobufCMessage *
fill(const ProtobufCMessageDescriptor *d, bool all)
{
	ProtobufCMessage *msg = fill_alloc(d->sizeof_message);
	uint8_t *base = (uint8_t *)msg;
	protobuf_c_boolean yes = 1;

	protobuf_c_message_init(d, msg);
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];

		if (f->label != PROTOBUF_C_LABEL_REQUIRED && !all)
			continue;
		if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			fill_repeated(f, msg);
			continue;
		}
		fill_value(f, base + f->offset, all);
		if (f->label == PROTOBUF_C_LABEL_OPTIONAL &&
		    f->quantifier_offset != 0)
			memcpy(base + f->quantifier_offset, &yes, sizeof(yes));
	}
	return msg;
}

static void
pack(const ProtobufCMessageDescriptor *d, bool all, struct packed *ret)
{
	ProtobufCMessage *msg;

	(void)fill_alloc(0);
	msg = fill(d, all);
	ret->len = protobuf_c_message_get_packed_size(msg);
	assert_true(ret->len <= sizeof(ret->bytes));
	(void)protobuf_c_message_pack(msg, ret->bytes);
}

// ---- one frame, and what must become of it

static bool
can_decode(const ProtobufCMessageDescriptor *d, const uint8_t *body, size_t len)
{
	ProtobufCMessage *msg = protobuf_c_message_unpack(d, NULL, len, body);
	bool good = msg != NULL && msg->n_unknown_fields == 0;

	if (msg != NULL)
		protobuf_c_message_free_unpacked(msg, NULL);
	return good;
}

static const struct ipc_rule *
find(const struct check *c, unsigned type)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->rules[i].type == type)
			return &c->rules[i];
	return NULL;
}

static int
expected(const struct check *c, unsigned type, const struct packed *body,
    bool with_fd)
{
	const struct ipc_rule *rule = find(c, type);

	if (rule == NULL)
		return -EPROTO;
	if ((rule->from & FROM(c->role)) == 0)
		return -EPERM;
	if ((rule->phases & (unsigned)c->phase) == 0)
		return -EPERM;
	if (body->len > rule->max_body)
		return -EMSGSIZE;
	if (with_fd != (rule->n_fds == 1))
		return -EPROTO;
	if (!can_decode(rule->descriptor, body->bytes, body->len))
		return -EBADMSG;
	return 0;
}

static int
dispatch(struct check *c, unsigned type, uint32_t id, const struct packed *body,
    bool with_fd)
{
	int fd = -1, r;

	if (with_fd) {
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
		assert_true(fd >= 0);
	}
	frame.header =
	    (struct ipc_header){ .type = (uint16_t)type, .request_id = id };
	frame.fd = fd;
	frame.body_len = body->len;
	memcpy(frame.body, body->bytes, body->len);
	n_reached = 0;
	r = ipc_dispatch(c->peer, &frame);
	assert_int_equal(frame.fd, -1);
	if (with_fd)
		assert_int_equal(fcntl(fd, F_GETFD), -1);
	return r;
}

static void
complain(const struct check *c, unsigned type, size_t len, int want, int got)
{
	fail_msg("type %u from %s in phase %d, %zu bytes: wanted %d, got %d, "
		 "handler reached %u times",
	    type, ipc_role_name(c->role), (int)c->phase, len, want, got,
	    n_reached);
}

// Ask something that is answered by this type, to have a request waiting.
static uint32_t
ask(struct check *c, unsigned type)
{
	Ipc__Stop empty = IPC__STOP__INIT;
	uint8_t sink[64];
	uint32_t id = 0;
	int r;

	r = ipc_call(c->peer, SOME_REQUEST, &empty.base, -1, (uint16_t)type,
	    1000, count_reply, NULL, &id);
	assert_int_equal(r, 0);
	while (recv(c->other_end, sink, sizeof(sink), MSG_DONTWAIT) >= 0)
		;
	return id;
}

static void
try(struct check *c, unsigned type, const struct packed *body, bool with_fd)
{
	const struct ipc_rule *rule = find(c, type);
	int want = expected(c, type, body, with_fd), got;
	uint32_t id = 1;
	bool asked = false;

	if (rule != NULL && rule->is_reply && want == 0) {
		// A peer in the greeting has no waiting requests.
		if (c->other_end == -1)
			return;
		id = ask(c, type);
		asked = true;
	}
	got = dispatch(c, type, id, body, with_fd);
	if (got != want || n_reached != (want == 0 ? 1u : 0u))
		complain(c, type, body->len, want, got);
	if (asked)
		ipc_cancel(c->peer, id);
}

// ---- everything that one peer can send

static void
try_every_size(
    struct check *c, const struct ipc_rule *rule, const struct packed *valid)
{
	static struct packed body;
	size_t longest = rule->max_body + 1;

	if (longest > IPC_BODY_MAX)
		longest = IPC_BODY_MAX;
	memset(body.bytes, 0, sizeof(body.bytes));
	memcpy(body.bytes, valid->bytes, valid->len);
	for (body.len = 0; body.len <= longest; body.len++)
		try(c, rule->type, &body, rule->n_fds == 1);
}

static void
try_unknown_field(
    struct check *c, const struct ipc_rule *rule, const struct packed *valid)
{
	static struct packed body;

	body = *valid;
	if (valid->len + 3 > sizeof(body.bytes))
		return;
	// Tag of two bytes, wire type 0, and the number 1.
	body.bytes[body.len++] = (uint8_t)(UNKNOWN_FIELD << 3 | 0x80);
	body.bytes[body.len++] = UNKNOWN_FIELD >> 4;
	body.bytes[body.len++] = 1;
	assert_false(can_decode(rule->descriptor, body.bytes, body.len));
	try(c, rule->type, &body, rule->n_fds == 1);
}

static void
try_rule(struct check *c, const struct ipc_rule *rule)
{
	static struct packed valid, full;

	pack(rule->descriptor, false, &valid);
	pack(rule->descriptor, true, &full);
	assert_true(valid.len <= rule->max_body);
	try(c, rule->type, &valid, false);
	try(c, rule->type, &valid, true);
	try(c, rule->type, &full, rule->n_fds == 1);
	try_every_size(c, rule, &full);
	try_unknown_field(c, rule, &valid);
}

static void
try_header(struct check *c, const struct ipc_rule *rule)
{
	static struct packed valid;

	pack(rule->descriptor, false, &valid);
	frame.header = (struct ipc_header){ .type = rule->type, .zero = 1 };
	frame.fd = -1;
	frame.body_len = valid.len;
	memcpy(frame.body, valid.bytes, valid.len);
	n_reached = 0;
	assert_int_equal(ipc_dispatch(c->peer, &frame), -EPROTO);
	assert_int_equal(n_reached, 0);
}

static void
try_unknown_types(struct check *c)
{
	struct packed empty = { .len = 0 };

	for (unsigned type = 0; type < 256; type++) {
		if (type == IPC__TYPE__IPC_HELLO || find(c, type) != NULL)
			continue;
		try(c, type, &empty, false);
		try(c, type, &empty, true);
	}
	try(c, BEYOND_ALL_TYPES, &empty, false);
}

// An answer to nothing, and one of another type than was asked for.
static void
try_stray_reply(struct check *c, const struct ipc_rule *rule)
{
	static struct packed valid;
	bool with_fd = rule->n_fds == 1;
	uint32_t id;

	pack(rule->descriptor, false, &valid);
	if (expected(c, rule->type, &valid, with_fd) != 0)
		return;
	assert_int_equal(dispatch(c, rule->type, 0, &valid, with_fd), -EPROTO);
	assert_int_equal(
	    dispatch(c, rule->type, UINT32_MAX, &valid, with_fd), -EPROTO);
	if (c->other_end == -1)
		return;
	id = ask(c, SOME_REQUEST + 1);
	assert_int_equal(dispatch(c, rule->type, id, &valid, with_fd), -EPROTO);
	assert_int_equal(n_reached, 0);
	ipc_cancel(c->peer, id);
}

static void
try_hello(struct check *c)
{
	Ipc__Hello hello = IPC__HELLO__INIT;
	uint8_t other_build[sizeof(build_id)] = { 0 };
	struct packed body;
	int want = c->phase == IPC_GREETING ? -EPROTO : -EPERM;

	hello.role = (uint32_t)c->role;
	hello.build_id.data = other_build;
	hello.build_id.len = sizeof(other_build);
	body.len = ipc__hello__pack(&hello, body.bytes);
	assert_int_equal(
	    dispatch(c, IPC__TYPE__IPC_HELLO, 0, &body, false), want);
	hello.build_id.data = (uint8_t *)(uintptr_t)build_id;
	hello.role = (uint32_t)c->role + 1;
	body.len = ipc__hello__pack(&hello, body.bytes);
	assert_int_equal(
	    dispatch(c, IPC__TYPE__IPC_HELLO, 0, &body, false), -EPERM);
}

static void
try_everything(struct check *c)
{
	for (size_t i = 0; i < c->n; i++) {
		try_rule(c, &c->rules[i]);
		try_header(c, &c->rules[i]);
		if (c->rules[i].is_reply)
			try_stray_reply(c, &c->rules[i]);
	}
	try_unknown_types(c);
	try_hello(c);
}

// ---- peers of every role, in both phases

static void
greet(struct check *c)
{
	Ipc__Hello hello = IPC__HELLO__INIT;
	struct packed body;

	hello.role = (uint32_t)c->role;
	hello.build_id.data = (uint8_t *)(uintptr_t)build_id;
	hello.build_id.len = sizeof(build_id);
	body.len = ipc__hello__pack(&hello, body.bytes);
	assert_int_equal(dispatch(c, IPC__TYPE__IPC_HELLO, 0, &body, false), 0);
}

static void
try_role(struct check *c, enum ipc_role role)
{
	struct ipc_channel_config config = { .fd = -1,
		.self = c->self,
		.role = role,
		.rules = c->counted,
		.n_rules = c->n };
	int pair[2];

	c->role = role;
	c->phase = IPC_GREETING;
	c->other_end = -1;
	assert_int_equal(ipc_peer_new_detached(&c->peer, &config, c->phase), 0);
	try_everything(c);
	ipc_peer_free(c->peer);

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	config.fd = pair[0];
	c->other_end = pair[1];
	c->phase = IPC_SERVING;
	assert_int_equal(ipc_peer_new(&c->peer, &config), 0);
	greet(c);
	try_everything(c);
	ipc_peer_free(c->peer);
	(void)close(c->other_end);
}

// ---- the table itself

static void
check_rule(const struct check *c, const struct ipc_rule *rule)
{
	assert_int_not_equal(rule->type, IPC__TYPE__IPC_HELLO);
	assert_int_not_equal(rule->type, 0);
	assert_ptr_equal(find(c, rule->type), rule); // no type stands twice
	assert_true(rule->from != 0 && rule->from < FROM(ROLE_MAX));
	assert_int_equal(rule->phases, IPC_SERVING);
	assert_true(rule->max_body <= IPC_BODY_MAX);
	assert_true(rule->n_fds <= 1);
	assert_non_null(rule->descriptor);
	assert_true(rule->is_reply == (rule->handle == NULL));
}

static size_t
count_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

void
rules_check(const struct ipc_rule *rules, size_t n, enum ipc_role self)
{
	struct check c = { .rules = rules, .n = n, .self = self };
	size_t fds = count_open_fds();

	assert_true(n > 0 && n <= TABLE_MAX);
	for (size_t i = 0; i < n; i++) {
		check_rule(&c, &rules[i]);
		c.counted[i] = rules[i];
		if (!rules[i].is_reply)
			c.counted[i].handle = count;
	}
	for (unsigned role = 0; role < ROLE_MAX; role++)
		try_role(&c, (enum ipc_role)role);
	assert_int_equal(count_open_fds(), fds);
}
