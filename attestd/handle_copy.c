// The verifier's copy of what a node has shown, for the operator.  It goes
// into the descriptor that came with the question, as far as there is room at
// once; nothing waits.
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "attestd/attestd.h"
#include "attestd/evidence_file.h"
#include "attestd/level.h"

// Evidence v2 if it has shown some, else the blob in the question.
static void
choose(struct attestd *d, struct level_question *q, struct evidence_file *ret)
{
	const struct held *held = held_find(&d->held, q->node);
	struct verdict verdict;

	*ret = (struct evidence_file){ .kind = EVIDENCE_FILE_BLOB,
		.taken_ms = q->now_ms,
		.evidence = { q->blob, q->blob_len } };
	memcpy(ret->node, q->node, sizeof(ret->node));
	memcpy(
	    ret->inference_key, q->inference_key, sizeof(ret->inference_key));
	// As it was given: whether that connection is still there is not asked.
	q->binding = held == NULL ? NULL : held->binding;
	verdict_judge(d, q, &verdict);
	ret->level = verdict.level;
	if (held == NULL || held->bytes == NULL)
		return;
	ret->kind = EVIDENCE_FILE_V2;
	ret->is_activated = held->is_activated;
	ret->taken_ms = held->judged_ms;
	memcpy(ret->inference_key, held->inference_key,
	    sizeof(ret->inference_key));
	memcpy(ret->nonce, held->nonce, sizeof(ret->nonce));
	memcpy(ret->binding, held->binding, sizeof(ret->binding));
	ret->evidence = (struct tpm_bytes){ held->bytes, held->len };
}

// The number of bytes that went, 0 when it could not be all of them.
static uint32_t
send_file(int fd, const struct evidence_file *f)
{
	uint8_t head[EVIDENCE_FILE_HEAD_LEN];
	struct iovec parts[] = { { head, sizeof(head) },
		{ (void *)(uintptr_t)f->evidence.at, f->evidence.len } };
	const struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };
	const size_t len = sizeof(head) + f->evidence.len;

	if (f->evidence.at == NULL)
		return 0;
	evidence_file_write(f, head);
	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len
	    ? (uint32_t)len
	    : 0;
}

int
handle_evidence_copy(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__EvidenceCopyRequest *request =
	    (const Ipc__EvidenceCopyRequest *)msg;
	struct attestd *d = ipc_peer_daemon(peer);
	Ipc__EvidenceCopyReply reply = IPC__EVIDENCE_COPY_REPLY__INIT;
	struct level_question question;
	struct evidence_file file;
	AUTO_FD fd = take_fd(&frame->fd);
	int r;

	r = verdict_question(d, &request->endpoint_id, &request->inference_key,
	    request->has_evidence ? &request->evidence : NULL, &question);
	if (r < 0)
		return r;
	trust_look(d);
	choose(d, &question, &file);
	reply.length = send_file(fd, &file);
	return ipc_reply(
	    peer, frame, IPC__TYPE__IPC_EVIDENCE_COPY_REPLY, &reply.base);
}
