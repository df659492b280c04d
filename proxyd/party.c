// Keeps the parties that have requests here, few enough for a list.  What tells
// them apart is said by the kernel, a checked key or gossipd, never by the
// request: it could name another one's.  An address of loopback is the client's
// to choose; only a user of a socket in the file system is not.
#include "proxyd/party.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxyd/proxyd.h"
#include "proxyd/request.h"

void
party_id_of_socket(struct party_id *ret, int fd, const struct sockaddr *from)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	memset(ret, 0, sizeof(*ret));
	if (from->sa_family == AF_INET) {
		const struct sockaddr_in *in =
		    (const struct sockaddr_in *)(const void *)from;

		ret->kind = PARTY_ADDRESS;
		memcpy(ret->bytes, &in->sin_addr, sizeof(in->sin_addr));
	} else if (from->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 =
		    (const struct sockaddr_in6 *)(const void *)from;

		ret->kind = PARTY_ADDRESS;
		memcpy(ret->bytes, &in6->sin6_addr, sizeof(in6->sin6_addr));
	} else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
		ret->kind = PARTY_USER;
		memcpy(ret->bytes, &cred.uid, sizeof(cred.uid));
	}
}

// IPv4 as IPv6 has it, so that no two parties have the same bytes.
static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

void
party_id_of_holder(struct party_id *ret, int fd, const struct address *from)
{
	const struct in6_addr *v6 = &from->in6.sin6_addr;

	party_id_of_socket(ret, fd, &from->sa);
	if (ret->kind != PARTY_ADDRESS)
		return;
	memset(ret, 0, sizeof(*ret));
	if (address_is_loopback(from))
		return;
	ret->kind = PARTY_ADDRESS;
	if (from->sa.sa_family == AF_INET) {
		memcpy(ret->bytes, mapped, sizeof(mapped));
		memcpy(ret->bytes + sizeof(mapped), &from->in.sin_addr, 4);
	} else {
		memcpy(ret->bytes, v6, IN6_IS_ADDR_V4MAPPED(v6) ? 16 : 8);
	}
}

void
party_format(const struct party_id *id, char ret[static PARTY_TEXT_MAX])
{
	bool is_v4 = memcmp(id->bytes, mapped, sizeof(mapped)) == 0;
	char text[INET6_ADDRSTRLEN] = "?";
	uint32_t uid;

	if (id->kind == PARTY_USER) {
		memcpy(&uid, id->bytes, sizeof(uid));
		(void)snprintf(ret, PARTY_TEXT_MAX, "user:%" PRIu32, uid);
		return;
	}
	if (id->kind != PARTY_ADDRESS) {
		(void)snprintf(ret, PARTY_TEXT_MAX, "loopback");
		return;
	}
	(void)inet_ntop(is_v4 ? AF_INET : AF_INET6,
	    id->bytes + (is_v4 ? sizeof(mapped) : 0), text, sizeof(text));
	(void)snprintf(ret, PARTY_TEXT_MAX, "%s%s", text, is_v4 ? "" : "/64");
}

static struct party *
find_or_add(struct proxyd *d, const struct party_id *id)
{
	struct party *p;

	TAILQ_FOREACH (p, &d->parties, entry)
		if (p->id.kind == id->kind &&
		    memcmp(p->id.bytes, id->bytes, PARTY_ID_LEN) == 0)
			return p;
	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	p->id = *id;
	TAILQ_INSERT_HEAD(&d->parties, p, entry);
	return p;
}

void
party_enter(struct request *req, const struct party_id *id)
{
	req->party = find_or_add(req->d, id);
	if (req->party != NULL)
		req->party->requests++;
}

void
party_enter_known(struct request *req)
{
	struct party_id id = { .kind = PARTY_UNKNOWN };

	static_assert((int)API_KEY_HASH_LEN == (int)PARTY_ID_LEN &&
		(int)ENDPOINT_ID_LEN == (int)PARTY_ID_LEN,
	    "both fit");
	if (req->party != NULL)
		return;
	if (req->key != NULL) {
		id.kind = PARTY_KEY;
		memcpy(id.bytes, req->key->key.hash, API_KEY_HASH_LEN);
	} else if (req->is_inbound) {
		id.kind = PARTY_PEER;
		memcpy(id.bytes, req->peer_id, ENDPOINT_ID_LEN);
	}
	party_enter(req, &id);
}

void
party_leave(struct request *req)
{
	struct party *p = req->party;

	req->party = NULL;
	if (p == NULL || --p->requests > 0)
		return;
	TAILQ_REMOVE(&req->d->parties, p, entry);
	free(p);
}
