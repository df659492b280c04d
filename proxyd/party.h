// Whoever asks, as far as it can be told apart: an API key, else the address
// that a connection comes from, or the user at the other end of a socket in
// the file system; on a host, the node that opened the tunnel.  It is known
// while it has a request here.
#ifndef PROXYD_PARTY_H
#define PROXYD_PARTY_H

#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/address.h"
#include "common/cleanup.h"
#include "proxyd/config.h"

enum {
	PARTY_ID_LEN = 32,
	PARTY_TEXT_MAX = INET6_ADDRSTRLEN + 16,
	// Default of --client-requests: half of the connections that there are.
	PARTY_REQUESTS = 2048,
};

enum party_kind {
	PARTY_UNKNOWN, // all that cannot be told apart
	PARTY_ADDRESS,
	PARTY_USER,
	PARTY_KEY,
	PARTY_PEER,
};

struct party_id {
	uint8_t kind; // enum party_kind
	uint8_t bytes[PARTY_ID_LEN];
};

struct party {
	TAILQ_ENTRY(party) entry;
	struct party_id id;
	unsigned requests;		     // that hold it
	unsigned queued;		     // of them, those that wait
	unsigned running[BACKENDS_EVER_MAX]; // by the place of the backend
};

struct proxyd;
struct request;

// Who is at the other end of a connection; from: its address, if it is one of
// the network.
void party_id_of_socket(struct party_id *ret, int fd, const struct sockaddr *);
// The same for those who hold connections, which are worth more than one
// address of many: the first half of an IPv6 address, whose second half is the
// client's to choose; PARTY_UNKNOWN for loopback, where all of it is.
void party_id_of_holder(struct party_id *ret, int fd, const struct address *);
// For people, of what party_id_of_holder() makes.
void party_format(const struct party_id *, char ret[static PARTY_TEXT_MAX]);
// The request is this one's.  Without memory it stays nobody's.
void party_enter(struct request *, const struct party_id *);
// The same by its key or its peer, unless it is somebody's already.
void party_enter_known(struct request *);
void party_leave(struct request *);

#endif
