// Who may talk to whom, as sockets: one pair per line, in the order of each
// daemon's own table (its descriptors are 4, 5, ...).  There must never be a
// pair that the architecture does not draw.
#include <fcntl.h>
#include <sys/socket.h>

#include "ctl/suite.h"

static int
make_pair(int ret[static 2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) == -1)
		return -errno;
	return 0;
}

static int
connect_parent(struct suite *s, enum daemon_index d, int *ret_parent)
{
	struct child *child = &s->children[d];
	int pair[2], r;

	if ((r = make_pair(pair)) < 0)
		return r;
	*ret_parent = pair[0];
	child->fds[child->n_fds++] = pair[1];
	return 0;
}

// Only the first error counts, so that the list below reads as a list.
static void
connect_pair(struct suite *s, enum daemon_index a, enum daemon_index b, int *r)
{
	struct child *one = &s->children[a], *other = &s->children[b];
	int pair[2];

	if (*r < 0 || (*r = make_pair(pair)) < 0)
		return;
	one->fds[one->n_fds++] = pair[0];
	other->fds[other->n_fds++] = pair[1];
}

int
suite_make_channels(struct suite *s, int ret_parent[static N_DAEMONS])
{
	int r = 0;

	for (enum daemon_index d = 0; d < N_DAEMONS; d++)
		if ((r = connect_parent(s, d, &ret_parent[d])) < 0)
			return r;
	connect_pair(s, CRYPTOD, PROXYD, &r);  // one key per request
	connect_pair(s, CRYPTOD, GOSSIPD, &r); // announcements
	connect_pair(s, CRYPTOD, GOSSIPD, &r); // TLS handshakes, synchronous
	connect_pair(s, CRYPTOD, SIGNER, &r);  // what to attest
	connect_pair(s, GOSSIPD, PROXYD, &r);  // peers and tunnels
	connect_pair(s, GOSSIPD, SIGNER, &r);  // evidence
	connect_pair(s, PROXYD, VERIFIER, &r); // verdicts
	return r;
}

void
suite_close_channels(struct suite *s)
{
	for (enum daemon_index d = 0; d < N_DAEMONS; d++) {
		struct child *child = &s->children[d];

		for (size_t i = 0; i < child->n_fds; i++)
			close_fd(&child->fds[i]);
		child->n_fds = 0;
	}
}
