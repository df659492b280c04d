// Target: gossipd_rules and their handlers, through ipc_dispatch: what a
// proxyd or cryptod that was taken over can say.  Whatever the bytes: only
// proxyd is answered, and the node announces no more than its limits.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_gossipd.h"
#include "tests/fuzz/fuzz_peer.h"

static struct fuzz_peers peers;
static struct gossipd *d;

static void
check(bool promise)
{
	if (!promise)
		abort();
}

static void
start(void)
{
	d = fuzz_gossipd_new();
	fuzz_peers_init(
	    &peers, ROLE_GOSSIPD, gossipd_rules, gossipd_n_rules, d);
	d->proxyd = peers.peers[ROLE_PROXYD][1];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_result r;

	if (d == NULL)
		start();
	d->stopping = false;
	fuzz_peers_send(&peers, data, size, &r);
	check(r.answer.type == 0 ||
	    r.answer.type == IPC__TYPE__IPC_TUNNEL_REPLY ||
	    r.answer.type == IPC__TYPE__IPC_EVIDENCE_STREAM_REPLY);
	check(r.answer.type == 0 || r.role == ROLE_PROXYD);
	check(d->n_models <= PEER_MODELS_MAX);
	check(d->incoming.n_models <= PEER_MODELS_MAX);
	check(HASH_COUNT(d->links) == 0);
	return 0;
}
