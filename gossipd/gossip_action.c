// The queue of actions between the events and the daemon.  An item names
// what to send; the frame itself is built when the item is taken, so that a
// broadcast of a large table needs the memory of one frame.
#include "gossipd/gossip_impl.h"

#include <assert.h>
#include <string.h>

// More than one event can cause: the table gone and changed, every
// connection told, every job started.
enum { ITEMS_MAX = 4 * GOSSIP_PEERS_MAX, ITEMS_FIRST = 64 };

static bool
make_room(struct gossip *g)
{
	size_t cap = g->items_cap == 0 ? ITEMS_FIRST : 2 * g->items_cap;
	struct item *items;

	if (g->n_items < g->items_cap)
		return true;
	if (cap > ITEMS_MAX)
		return false;
	if ((items = calloc(cap, sizeof(*items))) == NULL)
		return false;
	assert(g->n_items == 0 || g->items_cap != 0);
	for (size_t i = 0; i < g->n_items; i++)
		items[i] = g->items[(g->first_item + i) % g->items_cap];
	free(g->items);
	g->items = items;
	g->items_cap = cap;
	g->first_item = 0;
	return true;
}

// A full queue loses the action: requests on the network have deadlines.
void
gossip_push(struct gossip *g, const struct item *item)
{
	if (!make_room(g))
		return;
	g->items[(g->first_item + g->n_items++) % g->items_cap] = *item;
}

void
gossip_push_id(struct gossip *g, enum gossip_action_kind kind,
    const uint8_t id[static ENDPOINT_ID_LEN])
{
	struct item item = { .kind = kind };

	memcpy(item.id, id, ENDPOINT_ID_LEN);
	gossip_push(g, &item);
}

void
gossip_push_changed(struct gossip *g, struct peer *p)
{
	g->generation++;
	if (p->change_queued)
		return;
	p->change_queued = true;
	gossip_push_id(g, GOSSIP_PEER_CHANGED, p->id);
}

void
gossip_log(struct gossip *g, const uint8_t *id, const char *event,
    const char *detail, bool is_warning)
{
	struct item item = { .kind = GOSSIP_LOG,
		.text = event,
		.detail = detail,
		.is_warning = is_warning };

	if (id != NULL)
		memcpy(item.id, id, ENDPOINT_ID_LEN);
	gossip_push(g, &item);
}

static void
add_addr(struct gossip *g, struct gossip_action *a, const struct address *addr)
{
	if (!addr_is_dialable(addr) ||
	    a->n_addrs == N_ELEMENTS(g->scratch_addrs))
		return;
	for (size_t i = 0; i < a->n_addrs; i++)
		if (addr_equal(&g->scratch_addrs[i], addr))
			return;
	g->scratch_addrs[a->n_addrs++] = *addr;
}

// Where it was reached before, what it says, what the token says.
static bool
fill_addrs(struct gossip *g, struct gossip_action *a)
{
	const struct peer *p = gossip_peer_find(g, a->id);
	const struct join *j = gossip_join_find(g, a->id);

	a->addrs = g->scratch_addrs;
	if (p != NULL && p->has_good)
		add_addr(g, a, &p->good);
	for (size_t i = 0; p != NULL && i < p->addr.n_addrs; i++)
		add_addr(g, a, &p->addr.addrs[i]);
	for (size_t i = 0; j != NULL && i < j->addr.n_addrs; i++)
		add_addr(g, a, &j->addr.addrs[i]);
	return a->n_addrs > 0;
}

static bool
fill_frame(struct gossip *g, const struct item *item, struct gossip_action *a)
{
	int r;

	if (item->kind == GOSSIP_NOTICE)
		r = gossip_build_notice(g, item->about);
	else if (item->frame_kind == GOSSIP_FRAME_ROUTES)
		r = gossip_build_routes(g);
	else
		r = gossip_build_exchange(g, item->id);
	if (r < 0)
		return false;
	a->frame = g->frame;
	a->frame_len = g->frame_len;
	return true;
}

// What cannot be done any more ends here: an unbuildable answer is a
// refusal, an undoable request fails.
static bool
complete(struct gossip *g, const struct item *item, struct gossip_action *a)
{
	struct peer *p;

	switch (item->kind) {
	case GOSSIP_PEER_CHANGED:
		if ((p = gossip_peer_find(g, item->id)) == NULL)
			return false;
		p->change_queued = false;
		return true;
	case GOSSIP_DIAL:
		if (fill_addrs(g, a))
			return true;
		gossip_on_dial_failed(g, g->now, item->id);
		return false;
	case GOSSIP_EXCHANGE:
		if (fill_frame(g, item, a))
			return true;
		gossip_on_exchange_failed(g, g->now, item->id);
		return false;
	case GOSSIP_ANSWER:
		if (!fill_frame(g, item, a))
			a->kind = GOSSIP_REFUSE;
		return true;
	case GOSSIP_NOTICE:
		return fill_frame(g, item, a);
	case GOSSIP_MESH_ID:
		a->text = g->mesh_id;
		return true;
	default:
		return true;
	}
}

bool
gossip_next_action(struct gossip *g, struct gossip_action *ret)
{
	struct item item;

	while (g->n_items > 0) {
		item = g->items[g->first_item];
		g->first_item = (g->first_item + 1) % g->items_cap;
		g->n_items--;
		memset(ret, 0, sizeof(*ret));
		ret->kind = item.kind;
		memcpy(ret->id, item.id, ENDPOINT_ID_LEN);
		ret->frame_kind = item.frame_kind;
		ret->deadline_ms = item.deadline_ms;
		ret->stream = item.stream;
		ret->text = item.text;
		ret->detail = item.detail;
		ret->is_warning = item.is_warning;
		if (complete(g, &item, ret))
			return true;
	}
	return false;
}
