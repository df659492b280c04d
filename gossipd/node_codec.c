// Decoding of frames between nodes.  Trusts nothing: the bytes are a
// stranger's.  One frame may use NODE_DECODE_MAX of memory and not more;
// protobuf-c neither limits memory nor checks UTF-8, so both are done here.
// A frame that breaks a rule is refused as a whole, nothing is repaired;
// only fields 36 and 37, which mean different things in different releases,
// are read by content.
#include "gossipd/node_codec.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/base64.h"
#include "common/utf8.h"

enum {
	FIELD_KEY = 36,
	FIELD_POSTURE = 37,
	KEY_TEXT_LEN = 44, // base64 of 32 bytes, padded
};

struct node_gossip {
	// malloc maps so large a block lazily: only what is used costs.
	struct arena arena; // owns its bytes
	ProtobufCAllocator allocator;
	Node__GossipFrame *frame; // in the arena
};

// What an honest frame of this length needs: a minimal announcement (36
// bytes) becomes a struct of about 900, a name of one byte 24 and about as
// much while it is scanned.
static int
arena_init(struct arena *a, size_t frame_len)
{
	a->size = NODE_DECODE_MAX;
	if (frame_len < NODE_DECODE_MAX / 128)
		a->size = 64 * 1024 + frame_len * 64;
	a->used = 0;
	a->bytes = malloc(a->size);
	return a->bytes == NULL ? -ENOMEM : 0;
}

static bool
is_utf8(const char *text)
{
	const uint8_t *s = (const uint8_t *)text;
	size_t len = strlen(text), n;

	for (; len > 0; s += n, len -= n)
		if ((n = utf8_char_len(s, len)) == 0)
			return false;
	return true;
}

static bool strings_are_utf8(const ProtobufCMessage *);

static bool
value_is_utf8(const ProtobufCFieldDescriptor *field, const void *value)
{
	if (value == NULL)
		return true;
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return is_utf8(value);
	return strings_are_utf8(value);
}

static bool
field_is_utf8(
    const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message)
{
	const uint8_t *base = (const uint8_t *)message;
	void *const *values;
	size_t n;

	if (field->type != PROTOBUF_C_TYPE_STRING &&
	    field->type != PROTOBUF_C_TYPE_MESSAGE)
		return true;
	if (field->label != PROTOBUF_C_LABEL_REPEATED) {
		memcpy(&values, base + field->offset, sizeof(values));
		return value_is_utf8(field, values);
	}
	memcpy(&n, base + field->quantifier_offset, sizeof(n));
	memcpy(&values, base + field->offset, sizeof(values));
	for (size_t i = 0; i < n; i++)
		if (!value_is_utf8(field, values[i]))
			return false;
	return true;
}

// The depth is the schema's: no message of ours contains itself.
static bool
strings_are_utf8(const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *d = message->descriptor;

	for (unsigned i = 0; i < d->n_fields; i++)
		if (!field_is_utf8(&d->fields[i], message))
			return false;
	return true;
}

static bool
is_id(const ProtobufCBinaryData *b)
{
	return b->len == ENDPOINT_ID_LEN;
}

static const char *
check_frame(const Node__GossipFrame *f, const uint8_t *sender)
{
	if (f->gen != NODE_GEN)
		return "other generation";
	if (!is_id(&f->sender_id))
		return "sender id is damaged";
	if (memcmp(f->sender_id.data, sender, ENDPOINT_ID_LEN) != 0)
		return "sender id is not the connection's";
	for (size_t i = 0; i < f->n_peers; i++) {
		if (!is_id(&f->peers[i]->endpoint_id))
			return "endpoint id is damaged";
		if (f->peers[i]->role == NODE__NODE_ROLE__NODE_ROLE_HOST &&
		    !f->peers[i]->has_http_port)
			return "host without port";
	}
	return strings_are_utf8(&f->base) ? NULL : "text is not UTF-8";
}

int
node_gossip_decode(struct node_gossip **ret, const uint8_t *frame, size_t len,
    const uint8_t sender[static ENDPOINT_ID_LEN], const char **ret_reason)
{
	struct node_gossip *g;

	*ret_reason = "too long";
	if (len > NODE_FRAME_MAX)
		return -EBADMSG;
	*ret_reason = "out of memory";
	if ((g = calloc(1, sizeof(*g))) == NULL)
		return -ENOMEM;
	if (arena_init(&g->arena, len) < 0) {
		free(g);
		return -ENOMEM;
	}
	g->allocator = arena_allocator(&g->arena);
	*ret_reason = "not a gossip frame, or too much in it";
	g->frame = node__gossip_frame__unpack(&g->allocator, len, frame);
	if (g->frame != NULL)
		*ret_reason = check_frame(g->frame, sender);
	if (*ret_reason != NULL) {
		node_gossip_free(g);
		return -EBADMSG;
	}
	*ret = g;
	return 0;
}

void
node_gossip_free(struct node_gossip *g)
{
	if (g == NULL)
		return;
	free(g->arena.bytes);
	free(g);
}

size_t
node_gossip_n_entries(const struct node_gossip *g)
{
	return g->frame->n_peers;
}

const uint8_t *
node_gossip_id(const struct node_gossip *g, size_t i)
{
	return g->frame->peers[i]->endpoint_id.data;
}

// Field 36: canonical base64 of a usable key, or no key.
static void
read_key(const uint8_t *text, size_t len, struct node_entry *ret)
{
	uint8_t key[INFERENCE_KEY_LEN];
	size_t n;

	ret->has_key = false;
	if (len != KEY_TEXT_LEN)
		return;
	if (base64_decode((const char *)text, len,
		sodium_base64_VARIANT_ORIGINAL, key, sizeof(key), &n) < 0)
		return;
	if (n != sizeof(key) || !announcement_key_is_usable(key))
		return;
	memcpy(ret->key, key, sizeof(key));
	ret->has_key = true;
}

static bool
read_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
		*ret |= (uint64_t)(**p & 0x7f) << shift;
		if ((*(*p)++ & 0x80) == 0)
			return true;
	}
	return false;
}

// One member of a SecurityPosture: 1-4 are bools, 5 a text.  Members that
// no release has, and other types, make it something else.
static bool
read_posture_member(
    const uint8_t **p, const uint8_t *end, uint32_t *ret_posture)
{
	static const uint32_t bits[] = { NODE_POSTURE_SIP_ENABLED,
		NODE_POSTURE_RDMA_DISABLED, NODE_POSTURE_DEBUGGER_BLOCKED,
		NODE_POSTURE_CORE_DUMPS_DISABLED };
	uint64_t tag, value;

	if (!read_varint(p, end, &tag) || !read_varint(p, end, &value))
		return false;
	if (tag == (5 << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)) {
		if (value > (uint64_t)(end - *p))
			return false;
		*p += value;
		return true;
	}
	if ((tag & 7) != PROTOBUF_C_WIRE_TYPE_VARINT || tag >> 3 < 1 ||
	    tag >> 3 > N_ELEMENTS(bits))
		return false;
	*ret_posture &= ~bits[(tag >> 3) - 1];
	if (value != 0)
		*ret_posture |= bits[(tag >> 3) - 1];
	return true;
}

// Field 37: a SecurityPosture, else it is another release's field.
static void
read_posture(const uint8_t *bytes, size_t len, struct node_entry *ret)
{
	const uint8_t *p = bytes, *end = bytes + len;
	uint32_t posture = 0;

	while (p < end)
		if (!read_posture_member(&p, end, &posture))
			return;
	ret->has_posture = true;
	ret->posture = posture;
}

// Unknown length-delimited fields arrive with their length in front.
static bool
skip_length(const ProtobufCMessageUnknownField *f, const uint8_t **ret_bytes,
    size_t *ret_len)
{
	size_t i = 0;

	if (f->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
		return false;
	while (i < f->len && (f->data[i] & 0x80) != 0)
		i++;
	if (i == f->len)
		return false;
	*ret_bytes = f->data + i + 1;
	*ret_len = f->len - i - 1;
	return true;
}

static void
read_by_content(const Node__PeerAnnouncement *m, struct node_entry *ret)
{
	const ProtobufCMessageUnknownField *f;
	const uint8_t *bytes;
	size_t len;

	for (unsigned i = 0; i < m->base.n_unknown_fields; i++) {
		f = &m->base.unknown_fields[i];
		if (f->tag != FIELD_KEY && f->tag != FIELD_POSTURE)
			continue;
		if (!skip_length(f, &bytes, &len))
			continue;
		if (f->tag == FIELD_KEY)
			read_key(bytes, len, ret);
		else if (!ret->has_posture)
			read_posture(bytes, len, ret);
	}
}

void
node_gossip_entry(const struct node_gossip *g, size_t i, struct node_entry *ret)
{
	const Node__PeerAnnouncement *m = g->frame->peers[i];

	memset(ret, 0, sizeof(*ret));
	ret->message = m;
	ret->id = m->endpoint_id.data;
	ret->role = NODE__NODE_ROLE__NODE_ROLE_WORKER;
	if (m->role == NODE__NODE_ROLE__NODE_ROLE_HOST ||
	    m->role == NODE__NODE_ROLE__NODE_ROLE_CLIENT)
		ret->role = m->role;
	ret->http_port = m->http_port & UINT16_MAX;
	ret->hosted_known = m->has_hosted_models_known
	    ? m->hosted_models_known != 0
	    : m->n_hosted_models > 0;
	ret->models = ret->hosted_known ? m->hosted_models : m->serving_models;
	ret->n_models =
	    ret->hosted_known ? m->n_hosted_models : m->n_serving_models;
	read_by_content(m, ret);
}

// Drop what is ours to tell, what relays never pass on, and what is unknown.
static void
strip_for_relay(Node__PeerAnnouncement *m, bool hosted_known)
{
	static const ProtobufCBinaryData nothing;

	m->base.n_unknown_fields = 0;
	m->has_endpoint_id = m->has_role = m->has_http_port = 0;
	m->version = m->primary_serving = m->mesh_id = NULL;
	m->n_available_models = m->n_available_model_metadata = 0;
	m->n_available_model_sizes = m->n_demand = 0;
	m->has_rtt_ms = m->has_serialized_addr = 0;
	m->n_hosted_models = m->n_served_model_runtime = 0;
	m->has_hosted_models_known = 0;
	m->has_hardware_attestation_blob = m->has_signed_announcement = 0;
	m->has_shows_life = 0;
	m->has_latency_ms = m->has_latency_source = m->has_latency_age_ms = 0;
	m->has_latency_observer_id = 0;
	m->has_other_inference_public_key = m->has_other_security_posture = 0;
	m->endpoint_id = nothing;
	if (!hosted_known)
		m->n_serving_models = 0;
}

size_t
node_entry_rest(const struct node_entry *e, uint8_t ret[static NODE_REST_MAX])
{
	Node__PeerAnnouncement m = *e->message;

	strip_for_relay(&m, e->hosted_known);
	if (node__peer_announcement__get_packed_size(&m) > NODE_REST_MAX) {
		// The lists make it long; the scalars are worth keeping.
		m.n_serving_models = m.n_requested_models = 0;
		m.n_catalog_models = m.n_explicit_model_interests = 0;
		m.n_served_model_descriptors = 0;
		m.n_served_model_identities = 0;
		m.hardware = NULL;
		m.experts_summary = NULL;
	}
	if (node__peer_announcement__get_packed_size(&m) > NODE_REST_MAX)
		return 0;
	return node__peer_announcement__pack(&m, ret);
}

bool
node_copy_text(char *ret, size_t size, const char *text)
{
	size_t left, len = 0, n;

	ret[0] = '\0';
	if (text == NULL)
		return false;
	for (left = strlen(text); text[len] != '\0'; len += n) {
		n = utf8_char_len((const uint8_t *)text + len, left - len);
		if (n == 0 || (uint8_t)text[len] < ' ' || text[len] == 0x7f)
			return false;
		if (n == 2 && (uint8_t)text[len] == 0xc2 &&
		    (uint8_t)text[len + 1] < 0xa0) // C1 controls
			return false;
		if (len + n >= size)
			break;
	}
	memcpy(ret, text, len);
	ret[len] = '\0';
	return true;
}
