// Tables of the endpoint: which link a connection id or a reset token
// belongs to, and how many half-open connections an address has.  Keys are
// chosen by peers, so they are hashed with a secret key.  Bounded by the
// number of links: each has at most a handful of routes (ngtcp2 keeps
// active_connection_id_limit) and one source.
#include "gossipd/quic_internal.h"

#include <string.h>

static unsigned
hash(const struct quic *q, const uint8_t *bytes, size_t len)
{
	uint8_t out[crypto_shorthash_BYTES];
	unsigned h;

	(void)crypto_shorthash(out, bytes, len, q->hash_key);
	memcpy(&h, out, sizeof(h));
	return h;
}

static struct quic_route *
find(
    struct quic *q, enum quic_route_kind kind, const uint8_t *bytes, size_t len)
{
	struct quic_route *r = NULL;
	unsigned h = hash(q, bytes, len);

	HASH_FIND_BYHASHVALUE(hh, q->routes[kind], bytes, (unsigned)len, h, r);
	return r;
}

int
quic_route_add(struct quic_link *l, enum quic_route_kind kind,
    const uint8_t *bytes, size_t len)
{
	struct quic *q = l->q;
	struct quic_route *r;
	unsigned h;

	if (len == 0 || len > sizeof(r->bytes))
		return -EINVAL;
	if (find(q, kind, bytes, len) != NULL)
		return -EEXIST;
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return -ENOMEM;
	r->link = l;
	r->kind = kind;
	r->len = len;
	memcpy(r->bytes, bytes, len);
	h = hash(q, bytes, len);
	HASH_ADD_KEYPTR_BYHASHVALUE(
	    hh, q->routes[kind], r->bytes, (unsigned)len, h, r);
	if (r->hh.tbl == NULL) {
		free(r);
		return -ENOMEM;
	}
	SLIST_INSERT_HEAD(&l->routes, r, next);
	return 0;
}

struct quic_link *
quic_route_find(
    struct quic *q, enum quic_route_kind kind, const uint8_t *bytes, size_t len)
{
	struct quic_route *r = find(q, kind, bytes, len);

	return r == NULL ? NULL : r->link;
}

static void
drop(struct quic_route *r)
{
	SLIST_REMOVE(&r->link->routes, r, quic_route, next);
	HASH_DELETE(hh, r->link->q->routes[r->kind], r);
	free(r);
}

void
quic_route_remove(struct quic_link *l, enum quic_route_kind kind,
    const uint8_t *bytes, size_t len)
{
	struct quic_route *r = find(l->q, kind, bytes, len);

	// A peer may have given the same token to two links.
	if (r != NULL && r->link == l)
		drop(r);
}

void
quic_routes_drop(struct quic_link *l)
{
	while (!SLIST_EMPTY(&l->routes))
		drop(SLIST_FIRST(&l->routes));
}

static void
source_prefix(const struct address *a, uint8_t ret[static 16])
{
	memset(ret, 0, 16);
	if (a->sa.sa_family == AF_INET6) {
		memcpy(ret, &a->in6.sin6_addr, 8);
		ret[8] = 6;
	} else {
		memcpy(ret, &a->in.sin_addr, 4);
		ret[8] = 4;
	}
}

struct quic_source *
quic_source_find(struct quic *q, const struct address *a)
{
	struct quic_source *s = NULL;
	uint8_t prefix[16];
	unsigned h;

	source_prefix(a, prefix);
	h = hash(q, prefix, sizeof(prefix));
	HASH_FIND_BYHASHVALUE(hh, q->sources, prefix, sizeof(prefix), h, s);
	return s;
}

int
quic_source_add(struct quic_link *l)
{
	struct quic *q = l->q;
	struct quic_source *s = quic_source_find(q, &l->remote);
	unsigned h;

	if (s == NULL) {
		if ((s = calloc(1, sizeof(*s))) == NULL)
			return -ENOMEM;
		source_prefix(&l->remote, s->prefix);
		h = hash(q, s->prefix, sizeof(s->prefix));
		HASH_ADD_KEYPTR_BYHASHVALUE(
		    hh, q->sources, s->prefix, sizeof(s->prefix), h, s);
		if (s->hh.tbl == NULL) {
			free(s);
			return -ENOMEM;
		}
	}
	s->half_open++;
	q->stats.half_open++;
	l->source = s;
	return 0;
}

void
quic_source_drop(struct quic_link *l)
{
	struct quic_source *s = l->source;

	if (s == NULL)
		return;
	l->source = NULL;
	l->q->stats.half_open--;
	if (--s->half_open > 0)
		return;
	HASH_DELETE(hh, l->q->sources, s);
	free(s);
}
