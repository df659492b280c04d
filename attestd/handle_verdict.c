// The verifier's answer to proxyd.  Everything in the question is a peer's;
// the level is computed here, from the trust files as they are now, and is the
// lowest whenever something is missing.
#include "attestd/attestd.h"

#include <string.h>

#include "attestd/client.h"
#include "attestd/level.h"
#include "common/log.h"

int
verdict_question(const struct attestd *d, const ProtobufCBinaryData *node,
    const ProtobufCBinaryData *key, const ProtobufCBinaryData *evidence,
    struct level_question *ret)
{
	if (node->len != ENDPOINT_ID_LEN || key->len != INFERENCE_KEY_LEN ||
	    (evidence != NULL && evidence->len > EVIDENCE_MAX))
		return -EPROTO;
	*ret = (struct level_question){ .now_ms = clock_unix_ms(),
		.cache = d->blob_cache };
	memcpy(ret->node, node->data, ENDPOINT_ID_LEN);
	memcpy(ret->inference_key, key->data, INFERENCE_KEY_LEN);
	if (evidence != NULL) {
		ret->blob = evidence->data;
		ret->blob_len = evidence->len;
	}
	return 0;
}

// By the blob of the old network, and by evidence v2 if it has shown some on
// this connection.
void
verdict_judge(
    struct attestd *d, const struct level_question *q, struct verdict *ret)
{
	struct held *held = held_find(&d->held, q->node);
	struct verdict second;

	level_of_blob(&d->trust, q, ret);
	if (held == NULL)
		return;
	if (q->binding == NULL ||
	    memcmp(q->binding, held->binding, sizeof(held->binding)) != 0)
		held = NULL;
	level_of_held(&d->trust, held, q->inference_key, q->now_ms, &second);
	level_take_better(ret, &second);
}

_Static_assert((int)LEVEL_HARDWARE == (int)IPC__LEVEL__LEVEL_HARDWARE,
    "the levels of the two processes are the same numbers");

int
handle_verdict(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__VerdictRequest *request = (const Ipc__VerdictRequest *)msg;
	struct attestd *d = ipc_peer_daemon(peer);
	Ipc__VerdictReply reply = IPC__VERDICT_REPLY__INIT;
	struct level_question question;
	struct verdict verdict;
	int r;

	if (request->has_binding && request->binding.len != ATTESTD_BINDING_LEN)
		return -EPROTO;
	r = verdict_question(d, &request->endpoint_id, &request->inference_key,
	    request->has_evidence ? &request->evidence : NULL, &question);
	if (r < 0)
		return r;
	question.binding = request->has_binding ? request->binding.data : NULL;
	trust_look(d);
	verdict_judge(d, &question, &verdict);
	LOG(LOG_DEBUG, "verdict", F("peer", log_peer(question.node)),
	    F("level", level_name(verdict.level)),
	    F("reason", (const char *)verdict.reason));
	reply.level = (Ipc__Level)verdict.level;
	reply.reason = verdict.reason;
	reply.expires_ms = verdict.expires_ms;
	reply.has_made_ms = verdict.made_ms != 0;
	reply.made_ms = verdict.made_ms;
	return ipc_reply(
	    peer, frame, IPC__TYPE__IPC_VERDICT_REPLY, &reply.base);
}
