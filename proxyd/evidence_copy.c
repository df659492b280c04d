// Asks the verifier for a copy of a node's evidence and passes it on.  The
// bytes are the node's; nothing here looks into them.
#include "proxyd/evidence_copy.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "attestd/client.h"
#include "common/hex.h"
#include "proxyd/peers.h"

struct evidence_copy {
	struct request *req;
	int fd; // owned; gets the bytes
	uint32_t question;
	uint8_t bytes[ATTESTD_EVIDENCE_COPY_MAX];
};

static void
fail(struct request *req, int status, const char *code, const char *message)
{
	struct failure failure;

	failure_set(&failure, status, code, "%s", message);
	request_fail(req, &failure);
}

void
evidence_copy_stop(struct evidence_copy *c)
{
	struct proxyd *d;

	if (c == NULL)
		return;
	d = c->req->d;
	if (c->question != 0 && d->verifier != NULL)
		ipc_cancel(d->verifier, c->question);
	close_fd(&c->fd);
	free(c);
}

// All of it is there: it was sent before the answer.
static bool
take_bytes(struct evidence_copy *c, size_t len)
{
	size_t have = 0;
	ssize_t n = 1;

	while (have < len && n > 0) {
		n = recv(c->fd, c->bytes + have, len - have, 0);
		have += n > 0 ? (size_t)n : 0;
	}
	return have == len;
}

static void
reply(struct request *req, const uint8_t *bytes, size_t len)
{
	static const char before[] = "{\"evidence\":\"", after[] = "\"}";
	const size_t text_len =
	    sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
	AUTO_FREE char *json =
	    malloc(sizeof(before) + text_len + sizeof(after));
	char *at;

	if (json == NULL) {
		fail(req, 503, "overloaded", "out of memory");
		return;
	}
	memcpy(json, before, sizeof(before));
	at = json + sizeof(before) - 1;
	(void)sodium_bin2base64(
	    at, text_len, bytes, len, sodium_base64_VARIANT_ORIGINAL);
	at += text_len - 1;
	memcpy(at, after, sizeof(after));
	at += sizeof(after) - 1;
	request_reply(req, 200, json, (size_t)(at - json));
}

static void
on_copy(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct evidence_copy *c = arg;
	struct request *req = c->req;
	size_t len = 0;

	(void)frame;
	c->question = 0;
	if (attestd_evidence_copy_read(status, msg, &len) < 0)
		fail(
		    req, 503, "node_not_ready", "the verifier does not answer");
	else if (len == 0 || !take_bytes(c, len))
		fail(req, 404, "no_evidence", "this host has shown none");
	else
		reply(req, c->bytes, len); // frees c
}

static int
ask(struct evidence_copy *c, const struct peer *peer, const uint8_t *key)
{
	const struct attestd_evidence evidence = { peer->evidence,
		peer->evidence_len };
	struct proxyd *d = c->req->d;
	int fds[2];

	if (d->verifier == NULL)
		return -EPIPE;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		fds) == -1)
		return -errno;
	c->fd = fds[0];
	return attestd_evidence_copy_send(d->verifier, peer->id, key, &evidence,
	    fds[1], ASK_DEADLINE_MS, on_copy, c, &c->question);
}

void
evidence_copy_answer(struct request *req, struct slice id)
{
	uint8_t peer_id[ENDPOINT_ID_LEN];
	const uint8_t *key = NULL;
	const struct peer *peer = NULL;

	if (hex_decode(id.at, id.len, peer_id, sizeof(peer_id)) == 0)
		peer = peers_find(&req->d->peers, peer_id);
	if (peer == NULL) {
		fail(req, 404, "not_found", "no such peer");
		return;
	}
	if (peer_key_now(peer, clock_unix_ms(), &key) == PEER_KEY_NONE) {
		fail(req, 404, "no_evidence",
		    "this host has no key that evidence could be about");
		return;
	}
	if ((req->copy = calloc(1, sizeof(*req->copy))) == NULL) {
		fail(req, 503, "overloaded", "out of memory");
		return;
	}
	req->copy->req = req;
	req->copy->fd = -1;
	if (ask(req->copy, peer, key) < 0)
		fail(req, 503, "node_not_ready", "the verifier is not running");
}
