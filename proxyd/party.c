// Keeps the parties that have requests here, few enough for a list.  What tells
// them apart is said by the kernel, a checked key or gossipd, never by the
// request: it could name another one's.  An address of loopback is the client's
// to choose; only a user of a socket in the file system is not.
#include "proxyd/party.h"

#include <assert.h>
#include <netinet/in.h>
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
