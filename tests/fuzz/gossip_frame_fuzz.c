// Target: gossip_on_frame and all below it.  The first byte is the kind of
// the stream, the rest its frame, from a fixed peer.  Whatever it is: exactly
// one answer or refusal, bounded tables, and what we send to others
// afterwards is a frame that we would take ourselves.
#include <stdlib.h>
#include <string.h>

#include "gossipd/addr_json.h"
#include "gossipd/gossip.h"
#include "gossipd/node_codec.h"
#include "tests/fuzz/fuzz.h"

enum { UNIX_MS = 0 };

// HOST, CLIENT and WORKER of the golden vectors; the corpus is theirs.
static const uint8_t peer[ENDPOINT_ID_LEN] = { 0xdb, 0x99, 0x5f, 0xe2, 0x51,
	0x69, 0xd1, 0x41, 0xca, 0xb9, 0xbb, 0xba, 0x92, 0xba, 0xa0, 0x1f, 0x9f,
	0x2e, 0x1e, 0xce, 0x7d, 0xf4, 0xcb, 0x2a, 0xc0, 0x51, 0x90, 0xf3, 0x7f,
	0xcc, 0x1f, 0x9d };
static const uint8_t other[ENDPOINT_ID_LEN] = { 0x21, 0x52, 0xf8, 0xd1, 0x9b,
	0x79, 0x1d, 0x24, 0x45, 0x32, 0x42, 0xe1, 0x5f, 0x2e, 0xab, 0x6c, 0xb7,
	0xcf, 0xfa, 0x7b, 0x6a, 0x5e, 0xd3, 0x00, 0x97, 0x96, 0x0e, 0x06, 0x98,
	0x81, 0xdb, 0x12 };
static const uint8_t self_id[ENDPOINT_ID_LEN] = { 0xd7, 0x59, 0x79, 0x3b, 0xbc,
	0x13, 0xa2, 0x81, 0x9a, 0x82, 0x7c, 0x76, 0xad, 0xb6, 0xfb, 0xa8, 0xa4,
	0x9a, 0xee, 0x00, 0x7f, 0x49, 0xf2, 0xd0, 0x99, 0x2d, 0x99, 0xb8, 0x25,
	0xad, 0x2c, 0x48 };

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
check_exchange(const struct gossip_action *a)
{
	struct node_gossip *decoded;
	const char *reason;

	must(node_gossip_decode(&decoded, a->frame + NODE_LENGTH_LEN,
		 a->frame_len - NODE_LENGTH_LEN, self_id, &reason) == 0);
	node_gossip_free(decoded);
}

static size_t
drain(struct gossip *g, const void *stream)
{
	struct gossip_action a;
	size_t n = 0, ended = 0;

	while (gossip_next_action(g, &a)) {
		must(n++ < 100000);
		if (a.kind == GOSSIP_EXCHANGE)
			check_exchange(&a);
		if (a.kind == GOSSIP_ANSWER || a.kind == GOSSIP_REFUSE)
			ended += a.stream == stream;
	}
	return ended;
}

static struct gossip *
begin(void)
{
	struct gossip_config config = { .seed = 1 };
	struct gossip_model model = { .name = "m", .context_length = 1 };
	struct gossip_self self = { .is_host = true,
		.models = &model,
		.n_models = 1,
		.version = "0.66.0",
		.posture = 1 };
	struct gossip *g;

	memcpy(config.endpoint_id, self_id, ENDPOINT_ID_LEN);
	must(gossip_new(&g, &config) == 0);
	gossip_on_self(g, 1, &self);
	gossip_on_conn_up(g, 1, peer, NULL, false);
	return g;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gossip *g;
	uint64_t now = 2;
	int stream;

	if (size == 0)
		return 0;
	g = begin();
	(void)drain(g, NULL);
	gossip_on_frame(
	    g, now, UNIX_MS + 1, peer, data[0], &stream, data + 1, size - 1);
	must(drain(g, &stream) == 1);
	must(gossip_n_peers(g) <= GOSSIP_PEERS_MAX);
	gossip_on_conn_up(g, ++now, other, NULL, true);
	(void)drain(g, NULL);
	gossip_on_answer(g, ++now, UNIX_MS + 2, other, data + 1, size - 1);
	(void)drain(g, NULL);
	gossip_on_conn_down(g, ++now, peer);
	for (int i = 0; i < 8; i++) {
		gossip_on_tick(g, now += 60000);
		(void)drain(g, NULL);
	}
	gossip_free(g);
	return 0;
}
