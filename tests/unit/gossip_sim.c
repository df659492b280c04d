// The simulator of the gossip core; see the header.
#include "tests/unit/gossip_sim.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "gossipd/token.h"

struct sim sim;
struct test_node fakes[FAKES_MAX];

uint32_t
sim_roll(uint32_t n)
{
	sim.rng = sim.rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((sim.rng >> 33) % n);
}

// ---- the queue

static bool
before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void
post(struct event e, uint64_t delay)
{
	size_t i = sim.n_events++;

	assert_true(sim.n_events <= EVENTS_MAX);
	e.at = sim.now + delay;
	e.order = sim.order++;
	for (; i > 0 && before(&e, &sim.heap[(i - 1) / 2]); i = (i - 1) / 2)
		sim.heap[i] = sim.heap[(i - 1) / 2];
	sim.heap[i] = e;
}

static struct event
next_event(void)
{
	struct event first = sim.heap[0], last = sim.heap[--sim.n_events];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < sim.n_events) {
		if (child + 1 < sim.n_events &&
		    before(&sim.heap[child + 1], &sim.heap[child]))
			child++;
		if (!before(&sim.heap[child], &last))
			break;
		sim.heap[i] = sim.heap[child];
		i = child;
	}
	sim.heap[i] = last;
	return first;
}

// ---- the network

static int
node_of(const uint8_t *id)
{
	for (int i = 0; i < sim.n; i++)
		if (memcmp(sim.nodes[i].keys.id, id, ENDPOINT_ID_LEN) == 0)
			return i;
	return -1;
}

static void
address_of(int i, struct address *ret)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "10.0.0.%d:4000", i + 1);
	assert_int_equal(addr_parse(text, ret), 0);
}

static bool
reachable(int a, int b)
{
	return sim.nodes[a].g != NULL && sim.nodes[b].g != NULL &&
	    (!sim.split || a % 2 == b % 2);
}

void
sim_drop(int a, int b)
{
	struct event e = { .kind = DOWN, .to = a, .about = b };

	if ((e.epoch = sim.live[a][b]) == 0)
		return;
	sim.live[a][b] = sim.live[b][a] = 0;
	post(e, sim_roll(DETECT_MS));
	e.to = b;
	e.about = a;
	post(e, sim_roll(DETECT_MS));
}

static uint64_t
delay(void)
{
	return 5 + sim_roll(100);
}

static void
dial(int from, const struct gossip_action *a)
{
	struct event e = { .kind = DIAL_FAILED, .to = from };
	struct address addr;

	if ((e.about = node_of(a->id)) < 0)
		e.about = from; // nobody has that key; its id is lost here
	address_of(e.about, &addr);
	for (size_t i = 0; e.about != from && i < a->n_addrs; i++)
		if (addr_equal(&addr, &a->addrs[i]) &&
		    reachable(from, e.about) &&
		    (!sim.noise || sim_roll(100) >= 5))
			e.kind = DIALLED;
	if (e.kind == DIALLED) {
		post(e, delay());
		return;
	}
	e.bytes = malloc(ENDPOINT_ID_LEN);
	memcpy(e.bytes, a->id, ENDPOINT_ID_LEN);
	post(e, 1000 + sim_roll(7000));
}

static void
send_frame(int from, int to, enum kind kind, uint8_t frame_kind,
    const uint8_t *frame, size_t len)
{
	struct event e = { .kind = kind, .frame_kind = frame_kind };

	e.to = to;
	e.about = from;
	if (kind == FRAME && frame_kind == GOSSIP_FRAME_EXCHANGE && sim.noise &&
	    sim_roll(100) < 3) {
		e = (struct event){ .kind = FAILED, .to = from, .about = to };
		e.epoch = sim.live[from][to];
		post(e, 10000);
		return;
	}
	if ((e.epoch = sim.live[from][to]) == 0)
		return;
	e.len = len;
	e.bytes = malloc(len + 1);
	memcpy(e.bytes, frame, len);
	post(e, delay());
}

static void
probe(int from, int to)
{
	struct event e = { .kind = PROBED, .to = from, .about = to };

	e.epoch = sim.live[from][to];
	post(e, e.epoch != 0 ? delay() : 5000);
}

static void
act(int i, const struct gossip_action *a)
{
	int to = node_of(a->id);

	switch (a->kind) {
	case GOSSIP_DIAL:
		dial(i, a);
		break;
	case GOSSIP_EXCHANGE:
	case GOSSIP_NOTICE:
		assert_true(to >= 0);
		send_frame(i, to, FRAME, a->frame_kind, a->frame + 4,
		    a->frame_len - 4);
		break;
	case GOSSIP_ANSWER:
		assert_true(to >= 0);
		send_frame(i, to, ANSWER, 0, a->frame + 4, a->frame_len - 4);
		break;
	case GOSSIP_PROBE:
		probe(i, to);
		break;
	case GOSSIP_DISCONNECT:
		if (to >= 0)
			sim_drop(i, to);
		break;
	default:
		break;
	}
}

static void
drain(int i)
{
	struct gossip_action a;
	size_t n = 0;

	while (
	    sim.nodes[i].g != NULL && gossip_next_action(sim.nodes[i].g, &a)) {
		assert_true(n++ < 20000);
		sim.digest = sim.digest * 1099511628211u ^
		    ((uint64_t)a.kind << 40 ^ (uint64_t)i << 32 ^ a.id[0] ^
			(uint64_t)a.frame_len << 8 ^ sim.now);
		act(i, &a);
	}
}

// ---- nodes

void
sim_tell_self(int i)
{
	struct node *n = &sim.nodes[i];
	struct gossip_model m = { .context_length = 4096 };
	struct address addr;
	struct gossip_self self = { .is_host = n->role == 2,
		.is_client = n->role == 3,
		.api_port = 9337,
		.models = &m,
		.n_models = n->role == 2,
		.addrs = &addr,
		.n_addrs = 1,
		.has_announcement = true,
		.version = TEST_VERSION };

	(void)snprintf(m.name, sizeof(m.name), "%s", n->model);
	address_of(i, &addr);
	memcpy(self.announcement, n->keys.announcement, ANNOUNCEMENT_LEN);
	memcpy(self.inference_key, n->keys.key, INFERENCE_KEY_LEN);
	gossip_on_self(n->g, sim.now, &self);
	drain(i);
}

// Every start makes a new inference key.
void
sim_start(int i)
{
	struct node *n = &sim.nodes[i];
	struct gossip_config config = { .seed = sim_roll(1u << 30) };
	struct endpoint_addr addr = { .n_addrs = 1 };
	char token[TOKEN_MAX + 1];
	const char *reason;

	n->boot++;
	test_node_sign(&n->keys, (uint32_t)i * 100 + n->boot, n->boot * 1000);
	(void)snprintf(n->model, sizeof(n->model), "m%d-%u", i, n->boot);
	memcpy(config.endpoint_id, n->keys.id, ENDPOINT_ID_LEN);
	assert_int_equal(gossip_new(&n->g, &config), 0);
	sim_tell_self(i);
	if (n->join >= 0) {
		memcpy(addr.id, sim.nodes[n->join].keys.id, ENDPOINT_ID_LEN);
		address_of(n->join, &addr.addrs[0]);
		assert_int_equal(token_write(&addr, token), 0);
		assert_int_equal(gossip_join(n->g, sim.now, token, &reason), 0);
	}
	drain(i);
}

void
sim_stop(int i, bool politely)
{
	if (politely) {
		gossip_on_shutdown(sim.nodes[i].g, sim.now);
		drain(i);
	}
	gossip_free(sim.nodes[i].g);
	sim.nodes[i].g = NULL;
	for (int j = 0; j < sim.n; j++)
		sim_drop(i, j);
}

// A liar says of others what it likes, to everybody it is connected to.
static void
attack(int i, int victim, int to)
{
	static struct test_entry entries[FAKES + 2];
	struct test_entry *pointers[FAKES + 2];
	uint8_t notice[36] = { 0x0a, 32 };
	uint8_t *frame;
	size_t len;

	for (size_t k = 0; k < FAKES + 2; k++)
		pointers[k] = &entries[k];
	for (size_t k = 0; k < FAKES; k++)
		test_entry_make(
		    &entries[k], &fakes[sim_roll(FAKES_MAX)], 2, "evil");
	test_entry_make(&entries[FAKES], &sim.nodes[victim].keys, 2, "evil");
	test_entry_address(
	    &entries[FAKES], sim.nodes[victim].keys.id, "10.0.0.250:4000");
	test_entry_key(&entries[FAKES], sim.evil.key);
	test_entry_sign(&entries[FAKES], &sim.evil);
	entries[FAKES].m.has_hardware_attestation_blob = 1;
	entries[FAKES].m.hardware_attestation_blob.data =
	    (uint8_t *)(uintptr_t) "evil";
	entries[FAKES].m.hardware_attestation_blob.len = 4;
	test_entry_make(&entries[FAKES + 1], &sim.nodes[i].keys, 1, NULL);
	frame = test_frame(sim.nodes[i].keys.id, pointers, FAKES + 2, &len);
	send_frame(i, to, FRAME, GOSSIP_FRAME_EXCHANGE, frame, len);
	free(frame);
	memcpy(notice + 2, sim.nodes[victim].keys.id, 32);
	memcpy(notice + 34, "\x10\x01", 2);
	for (int k = 0; k < 3; k++)
		send_frame(i, to, FRAME, GOSSIP_FRAME_PEER_DOWN, notice,
		    sizeof(notice));
	send_frame(
	    i, to, FRAME, GOSSIP_FRAME_PEER_LEAVING, notice, sizeof(notice));
}

// ---- what must always hold, and what must hold in the end

static void
check_peer(int i, int j)
{
	const struct node *of = &sim.nodes[j];
	struct gossip_peer p;

	if (!gossip_find_peer(sim.nodes[i].g, of->keys.id, &p))
		return;
	if (p.has_announcement)
		assert_memory_not_equal(
		    p.announcement + 1, sim.evil.key, INFERENCE_KEY_LEN);
	assert_false(p.has_unsigned_key &&
	    memcmp(p.unsigned_key, sim.evil.key, 32) == 0);
	assert_int_equal(p.evidence_len, 0);
	if (!p.admitted || sim.live[i][j] == 0)
		return;
	for (size_t k = 0; k < p.n_models; k++)
		assert_string_not_equal(p.models[k].name, "evil");
}

static void
check_always(void)
{
	for (int i = 0; i < sim.n; i++)
		for (int j = 0; j < sim.n; j++)
			if (i != j && sim.nodes[i].g != NULL &&
			    !sim.nodes[i].liar && !sim.nodes[j].liar)
				check_peer(i, j);
}

static bool
agrees(int i, int j)
{
	const struct node *of = &sim.nodes[j];
	struct gossip_peer p;

	// Clients do not dial clients, so liars can come between those.
	if (sim.attacks && sim.nodes[i].role == 3 && of->role == 3)
		return true;
	if (!gossip_find_peer(sim.nodes[i].g, of->keys.id, &p))
		return of->g == NULL;
	if (of->g == NULL)
		return false;
	// Clients do not dial clients: they may know each other by hearsay.
	if (!p.admitted && (of->role != 3 || sim.nodes[i].role != 3))
		return false;
	return (int)p.role == of->role && p.has_announcement &&
	    memcmp(p.announcement, of->keys.announcement, 121) == 0 &&
	    p.n_models == (of->role == 2) &&
	    (p.n_models == 0 || strcmp(p.models[0].name, of->model) == 0);
}

int
sim_disagreements(void)
{
	int n = 0;

	for (int i = 0; i < sim.n; i++)
		for (int j = 0; j < sim.n; j++)
			if (i != j && sim.nodes[i].g != NULL &&
			    !sim.nodes[i].liar && !sim.nodes[j].liar)
				n += !agrees(i, j);
	return n;
}

// ---- running

static void
connect_nodes(int a, int b)
{
	struct address addr;

	if (!reachable(a, b)) {
		gossip_on_dial_failed(
		    sim.nodes[a].g, sim.now, sim.nodes[b].keys.id);
		return;
	}
	// Both dialled: the first one stays.
	if (sim.live[a][b] != 0)
		return;
	sim.live[a][b] = sim.live[b][a] = ++sim.epochs;
	address_of(b, &addr);
	gossip_on_conn_up(
	    sim.nodes[a].g, sim.now, sim.nodes[b].keys.id, &addr, true);
	address_of(a, &addr);
	gossip_on_conn_up(
	    sim.nodes[b].g, sim.now, sim.nodes[a].keys.id, &addr, false);
	drain(b);
}

static void
run_attacks(int i)
{
	post((struct event){ .kind = ATTACK, .to = i }, ATTACK_MS);
	for (int to = 0; sim.attacks && to < sim.n; to++)
		if (sim.live[i][to] != 0)
			attack(i, (int)sim_roll((uint32_t)sim.n), to);
}

static void
deliver(const struct event *e, struct gossip *g, const uint8_t *about)
{
	bool alive = sim.live[e->to][e->about] == e->epoch && e->epoch != 0;
	uint64_t unix_ms = TEST_UNIX_MS + sim.now;
	static int stream;

	switch (e->kind) {
	case FRAME:
		if (alive)
			gossip_on_frame(g, sim.now, unix_ms, about,
			    e->frame_kind, &stream, e->bytes, e->len);
		break;
	case ANSWER:
		if (alive)
			gossip_on_answer(
			    g, sim.now, unix_ms, about, e->bytes, e->len);
		break;
	case FAILED:
		gossip_on_exchange_failed(g, sim.now, about);
		break;
	case PROBED:
		gossip_on_probe(g, sim.now, about, alive);
		break;
	case DOWN:
		// A newer connection took its place unnoticed.
		if (sim.live[e->to][e->about] == 0)
			gossip_on_conn_down(g, sim.now, about);
		break;
	default:
		break;
	}
}

static void
handle(struct event *e)
{
	struct gossip *g = sim.nodes[e->to].g;

	if (e->kind == TICK)
		post(*e, 1000);
	if (e->kind == ATTACK)
		run_attacks(e->to);
	if (g == NULL)
		return;
	if (e->kind == TICK)
		gossip_on_tick(g, sim.now);
	else if (e->kind == DIALLED)
		connect_nodes(e->to, e->about);
	else if (e->kind == DIAL_FAILED)
		gossip_on_dial_failed(g, sim.now, e->bytes);
	else
		deliver(e, g, sim.nodes[e->about].keys.id);
	drain(e->to);
}

void
sim_run(uint64_t seconds)
{
	uint64_t end = sim.now + seconds * 1000, checked = sim.now;
	struct event e;

	while (sim.n_events > 0 && sim.heap[0].at <= end) {
		e = next_event();
		sim.now = e.at;
		handle(&e);
		free(e.bytes);
		if (sim.now - checked > 10000) {
			check_always();
			checked = sim.now;
		}
	}
	sim.now = end;
}

void
sim_begin(int n, int liars, uint64_t seed)
{
	memset(&sim, 0, sizeof(sim));
	sim.n = n;
	sim.rng = seed;
	sim.now = 1000;
	test_node_make(&sim.evil, 66666);
	for (int i = 0; i < n; i++) {
		test_node_make(&sim.nodes[i].keys, (uint32_t)i);
		sim.nodes[i].role = i % 3 == 0 ? 2 : i % 3 == 1 ? 1 : 3;
		sim.nodes[i].join = i == 0 ? -1 : (int)sim_roll((uint32_t)i);
		// Honest nodes do not hang together only by liars.
		sim.nodes[i].liar = i >= n - liars;
		post((struct event){ .kind = TICK, .to = i }, sim_roll(1000));
		if (sim.nodes[i].liar)
			post((struct event){ .kind = ATTACK, .to = i },
			    20000 + sim_roll(1000));
	}
	for (int i = 0; i < n; i++) {
		sim_start(i);
		sim_run(sim_roll(3));
	}
}

void
sim_finish(void)
{
	for (int i = 0; i < sim.n; i++)
		gossip_free(sim.nodes[i].g);
	while (sim.n_events > 0)
		free(next_event().bytes);
}

void
sim_until_all_agree(uint64_t seconds)
{
	for (uint64_t s = 0; s < seconds; s += 20) {
		sim_run(20);
		if (sim_disagreements() == 0)
			return;
	}
	assert_int_equal(sim_disagreements(), 0);
}
