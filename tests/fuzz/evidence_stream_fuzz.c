// Target: gossipd/evidence.c as a peer talks to it, over a stub of the
// transport and with a signer that answers whatever it is asked.  Whatever the
// bytes: the signer gets fields of fixed size, and when the streams are closed
// nothing is left.
#include <string.h>
#include <sys/socket.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_gossipd.h"
#include "tests/fuzz/fuzz_peer.h"
#include "tests/fuzz/quic_stub.h"

static struct gossipd *d;
static struct fuzz_peers peers;
static int signer_fd; // the other end of our channel to it

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
	d->signer = peers.peers[ROLE_SIGNER][1];
	signer_fd = peers.others[ROLE_SIGNER][1];
}

// Takes a question off the channel; its number, 0: there is none.
static uint32_t
take_question(uint16_t *ret_type, int *ret_fd)
{
	static struct ipc_frame frame;
	Ipc__ActivateRequest *activate;
	Ipc__AttestRequest *attest;

	if (ipc_receive(signer_fd, &frame) < 0)
		return 0;
	*ret_type = frame.header.type;
	*ret_fd = take_fd(&frame.fd);
	if (*ret_type == IPC__TYPE__IPC_ATTEST_REQUEST) {
		attest = ipc__attest_request__unpack(
		    NULL, frame.body_len, frame.body);
		check(attest != NULL && *ret_fd != -1);
		check(attest->nonce.len == 32 && attest->binding.len == 32 &&
		    attest->ephemeral_key.len == 32);
		ipc__attest_request__free_unpacked(attest, NULL);
	} else {
		check(*ret_type == IPC__TYPE__IPC_ACTIVATE_REQUEST);
		activate = ipc__activate_request__unpack(
		    NULL, frame.body_len, frame.body);
		check(activate != NULL && *ret_fd == -1);
		check(activate->hash.len == 32 &&
		    activate->credential.len == 652);
		ipc__activate_request__free_unpacked(activate, NULL);
	}
	return frame.header.request_id;
}

static void
answer(uint32_t id, uint16_t type, bool ok)
{
	static struct ipc_frame frame;
	uint8_t bytes[32] = { 1 };
	Ipc__AttestReply reply = IPC__ATTEST_REPLY__INIT; // of both the form

	reply.result = ok ? IPC__RESULT__RESULT_OK : IPC__RESULT__RESULT_FAILED;
	reply.has_hash = ok;
	reply.hash = (ProtobufCBinaryData){ sizeof(bytes), bytes };
	frame.header = (struct ipc_header){ .type = (uint16_t)(type + 1),
		.request_id = id };
	frame.fd = -1;
	frame.body_len = ipc__attest_reply__pack(&reply, frame.body);
	check(ipc_dispatch(d->signer, &frame) == 0);
}

static void
play_signer(bool ok)
{
	uint16_t type;
	uint32_t id;
	AUTO_FD fd = -1;

	if ((id = take_question(&type, &fd)) == 0)
		return;
	if (fd != -1 && ok)
		check(send(fd, "evidence", 8, MSG_NOSIGNAL) == 8);
	close_fd(&fd);
	answer(id, type, ok);
}

// Bytes: signer answers (bit 0), well (bit 1), FIN (bit 2), stream closed
// (bit 3), new stream (bit 4); length; the bytes.
static void
play(struct link *link, struct quic_conn *conn, const uint8_t *data, size_t n)
{
	struct quic_stream *s = quic_stub_stream(conn);
	bool first = true;

	while (n >= 2) {
		uint8_t how = data[0];
		size_t len = data[1] * 3u < n - 2 ? data[1] * 3u : n - 2;
		struct gstream *g = first ? NULL : quic_stream_data(s);

		if (first)
			(void)!evidence_accept(
			    link, s, data + 2, len, (how & 4) != 0);
		else if (g != NULL)
			evidence_data(g, data + 2, len, (how & 4) != 0);
		first = false;
		if ((how & 1) != 0)
			play_signer((how & 2) != 0);
		if ((how & 24) != 0) {
			mesh_callbacks.stream_closed(d, s);
			quic_stub_stream_free(s);
			s = quic_stub_stream(conn);
			first = true;
		}
		data += 2 + len;
		n -= 2 + len;
	}
	mesh_callbacks.stream_closed(d, s);
	quic_stub_stream_free(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t id[ENDPOINT_ID_LEN] = { 1 };
	struct quic_conn *conn;
	struct link *link;
	uint16_t type;
	int fd;

	if (d == NULL)
		start();
	conn = quic_stub_conn(id);
	check(mesh_get_link(d, id, &link) == 0);
	link->n_conns = 1; // it stays while we play
	play(link, conn, data, size);
	check(link->n_evidence == 0 && d->n_evidence == 0);
	check(TAILQ_EMPTY(&d->waiting));
	link->n_conns = 0;
	mesh_drop_link_if_unused(link);
	check(HASH_COUNT(d->links) == 0);
	quic_stub_conn_free(conn);
	while (take_question(&type, &fd) != 0)
		close_fd(&fd);
	return 0;
}
