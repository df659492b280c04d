// Verdicts are kept with their expiry and with the key they are about; both
// are compared when a verdict is used, never here.  The verifier may take
// them back; until it is asked again there is none.
#include "proxyd/verdict.h"

#include <stdio.h>
#include <string.h>

// Updates of a peer come every ten seconds; a verdict that would end before
// the next one is renewed.
enum {
	VERDICT_RENEW_MS = 12 * 1000,
	VERDICT_RENEW_MAX = 64, // at once; others wait for their next use
};

void
verdict_store(struct peer *peer, const uint8_t key[static INFERENCE_KEY_LEN],
    const uint8_t *binding, const struct attestd_verdict *verdict)
{
	struct peer_verdict *v = &peer->verdict;

	v->is_known = true;
	memcpy(v->inference_key, key, INFERENCE_KEY_LEN);
	v->level = verdict->level;
	v->expires_ms = verdict->expires_ms;
	v->made_ms = verdict->made_ms;
	v->has_binding = binding != NULL;
	if (binding != NULL)
		memcpy(v->binding, binding, PEER_BINDING_LEN);
	(void)snprintf(v->reason, sizeof(v->reason), "%s", verdict->reason);
}

// The answer may come after the peer was forgotten: it is found by its id.
struct question {
	struct proxyd *d;
	uint8_t peer_id[ENDPOINT_ID_LEN];
	uint8_t key[INFERENCE_KEY_LEN];
	bool has_binding;
	uint8_t binding[PEER_BINDING_LEN];
};

static void
on_verdict(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct question *q = arg;
	struct peer *peer = peers_find(&q->d->peers, q->peer_id);
	struct attestd_verdict verdict;

	(void)frame;
	if (peer != NULL) {
		peer->verdict_asked = false;
		if (attestd_verdict_read(status, msg, &verdict) == 0)
			verdict_store(peer, q->key,
			    q->has_binding ? q->binding : NULL, &verdict);
		events_changed(q->d, EVENTS_PEERS);
	}
	free(q);
}

static bool
is_fresh(const struct peer *peer, const uint8_t *key, uint64_t now)
{
	return peer_verdict_now(peer, key, now + VERDICT_RENEW_MS) != NULL;
}

void
verdict_refresh(struct proxyd *d, const uint8_t *peer_id)
{
	struct peer *peer = peers_find(&d->peers, peer_id);
	uint64_t now = clock_unix_ms();
	const uint8_t *key = NULL;
	struct question *q;

	if (d->verifier == NULL || peer == NULL || peer->verdict_asked ||
	    peer_key_now(peer, now, &key) == PEER_KEY_NONE ||
	    is_fresh(peer, key, now))
		return;
	if ((q = malloc(sizeof(*q))) == NULL)
		return;
	q->d = d;
	memcpy(q->peer_id, peer_id, ENDPOINT_ID_LEN);
	memcpy(q->key, key, INFERENCE_KEY_LEN);
	q->has_binding = peer->has_binding;
	memcpy(q->binding, peer->binding, sizeof(q->binding));
	if (attestd_verdict_send(d->verifier, q->peer_id, q->key,
		&(struct attestd_evidence){
		    peer->evidence, peer->evidence_len },
		q->has_binding ? q->binding : NULL, ASK_DEADLINE_MS, on_verdict,
		q, NULL) < 0)
		free(q);
	else
		peer->verdict_asked = true;
}

void
verdicts_void(struct proxyd *d, const uint8_t *peer_id)
{
	size_t n_renewed = 0;

	for (size_t i = 0; i < d->peers.n; i++) {
		struct peer *peer = d->peers.at[i];

		if (peer_id != NULL &&
		    memcmp(peer->id, peer_id, ENDPOINT_ID_LEN) != 0)
			continue;
		peer->verdict.is_known = false;
		// What was not good enough before may be now.
		if (peer->session.level < IPC__LEVEL__LEVEL_HARDWARE)
			peer->session.is_known = false;
		// For the status; whoever needs one asks by himself.
		if (!peer->connected || n_renewed++ >= VERDICT_RENEW_MAX)
			continue;
		verdict_refresh(d, peer->id);
		evidence_refresh(d, peer);
	}
}

int
handle_verdicts_void(
    struct ipc_peer *from, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__VerdictsVoid *in = (const Ipc__VerdictsVoid *)msg;
	struct proxyd *d = ipc_peer_daemon(from);

	(void)frame;
	if (in->has_endpoint_id && in->endpoint_id.len != ENDPOINT_ID_LEN)
		return -EBADMSG;
	verdicts_void(d, in->has_endpoint_id ? in->endpoint_id.data : NULL);
	return 0;
}
