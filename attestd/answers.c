// Answers peers that ask for evidence v2.  Of what a peer sent only fields of
// fixed size come here, through gossipd's messages, and none is looked into:
// nonces are hashed, a credential goes to the TPM.  Whoever waits is served by
// the same operation; its number is limited in time, whoever asks.  cryptod
// answers for the inference key of each.  Must never hold up the signer's
// channels for longer than one operation of the TPM.
#include "attestd/answers.h"

#include <string.h>
#include <sys/socket.h>

#include "attestd/attestd.h"
#include "attestd/client.h"
#include "common/hex.h"
#include "common/log.h"

_Static_assert((int)ATTESTD_HELLO_LEN == (int)EVIDENCE_HELLO_LEN &&
	(int)ATTESTD_CREDENTIAL_LEN == (int)EVIDENCE_CREDENTIAL_LEN &&
	(int)ATTESTD_PROOF_LEN == (int)EVIDENCE_PROOF_LEN &&
	(int)ATTESTD_ANSWER_MAX ==
	    4 + (int)EVIDENCE_V2_MAX + (int)LIVENESS_MAC_LEN,
    "gossipd frames what the evidence is made of");

static void on_turn(evutil_socket_t fd, short what, void *arg);

int
answers_new(struct attestd *d, struct answers **ret)
{
	struct answers *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	if ((a->timer = evtimer_new(d->base, on_turn, d)) == NULL) {
		free(a);
		return -ENOMEM;
	}
	*ret = a;
	return 0;
}

void
answers_free(struct answers *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->n_waiting; i++)
		close_fd(&a->waiting[i].fd);
	for (size_t i = 0; i < a->n_batch; i++)
		close_fd(&a->batch[i].fd);
	event_free(a->timer);
	free(a);
}

// The next turn, if there is something to do in it.
static void
schedule(struct attestd *d)
{
	struct answers *a = d->answers;
	uint64_t now = clock_mono_ms();
	uint64_t wait = a->next_ms > now ? a->next_ms - now : 0;
	struct timeval tv = { .tv_sec = (time_t)(wait / 1000),
		.tv_usec = (suseconds_t)(wait % 1000) * 1000 };

	if (!d->has_keys ||
	    (a->n_activations == 0 && (a->n_waiting == 0 || a->n_open != 0)))
		return;
	if (event_pending(a->timer, EV_TIMEOUT, NULL) == 0 &&
	    event_add(a->timer, &tv) == -1)
		LOG(LOG_ERROR, "evidence-timer-lost",
		    F("error", log_error(-ENOMEM)));
}

void
answers_go_on(struct attestd *d)
{
	if (d->answers != NULL)
		schedule(d);
}

// ---- one peer's end

static void
reply_attest(
    struct attestd *d, uint32_t id, Ipc__Result result, const uint8_t *hash)
{
	Ipc__AttestReply reply = IPC__ATTEST_REPLY__INIT;
	int r = -EPIPE;

	reply.result = result;
	reply.has_hash = hash != NULL;
	reply.hash =
	    (ProtobufCBinaryData){ hash == NULL ? 0 : EVIDENCE_HASH_LEN,
		    (uint8_t *)(uintptr_t)hash };
	if (d->peers[ROLE_GOSSIPD] != NULL)
		r = ipc_reply_to(d->peers[ROLE_GOSSIPD], id,
		    IPC__TYPE__IPC_ATTEST_REPLY, &reply.base);
	// gossipd's own deadline ends the question then.
	if (r < 0)
		LOG(LOG_DEBUG, "answer-lost", F("error", log_error(r)));
}

static void
finish(struct asked *one, Ipc__Result result)
{
	close_fd(&one->fd);
	reply_attest(one->d, one->request_id, result,
	    result == IPC__RESULT__RESULT_OK ? one->hash : NULL);
}

// Length, evidence, MAC, all at once: the descriptor's buffer has room for the
// largest.  A peer that went away meanwhile is no error.
static int
write_answer(
    const struct answers *a, int fd, const uint8_t mac[static LIVENESS_MAC_LEN])
{
	uint8_t length[4] = { (uint8_t)(a->len >> 24), (uint8_t)(a->len >> 16),
		(uint8_t)(a->len >> 8), (uint8_t)a->len };
	struct iovec iov[] = { { length, sizeof(length) },
		{ (void *)(uintptr_t)a->bytes, a->len },
		{ (void *)(uintptr_t)mac, LIVENESS_MAC_LEN } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = N_ELEMENTS(iov) };
	ssize_t n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n == (ssize_t)(sizeof(length) + a->len + LIVENESS_MAC_LEN)
	    ? 0
	    : -EPIPE;
}

static void
on_alive(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct asked *one = arg;
	struct attestd *d = one->d;
	struct answers *a = d->answers;
	uint8_t mac[LIVENESS_MAC_LEN];
	int r = cryptod_liveness_read(status, msg, mac);

	(void)frame;
	if (r == 0)
		r = write_answer(a, one->fd, mac);
	finish(one,
	    r == 0	       ? IPC__RESULT__RESULT_OK
		: r == -ENOKEY ? IPC__RESULT__RESULT_BAD_KEY
			       : IPC__RESULT__RESULT_FAILED);
	if (--a->n_open == 0) {
		a->n_batch = 0;
		schedule(d);
	}
}

// ---- one operation

static void
make_claims(const struct attestd *d, struct evidence_claims *ret)
{
	const struct machine *m = &d->machine;
	const uint8_t facts[] = { (uint8_t)m->secure_boot, (uint8_t)m->lockdown,
		(uint8_t)m->signed_modules, (uint8_t)m->kexec_limited,
		(uint8_t)m->rdma_absent };

	*ret = (struct evidence_claims){ .made_ms = clock_unix_ms() };
	memcpy(ret->endpoint_id, d->keys.endpoint_id, ENDPOINT_ID_LEN);
	memcpy(ret->inference_key, d->keys.inference_key, INFERENCE_KEY_LEN);
	memcpy(ret->facts, facts, sizeof(facts));
	ret->has_image = hex_decode(m->image, strlen(m->image), ret->image,
			     sizeof(ret->image)) == 0;
}

static void
take_batch(struct answers *a)
{
	size_t n = a->n_waiting < EVIDENCE_BATCH_MAX ? a->n_waiting
						     : EVIDENCE_BATCH_MAX;

	memcpy(a->batch, a->waiting, n * sizeof(a->batch[0]));
	a->n_waiting -= n;
	memmove(
	    a->waiting, a->waiting + n, a->n_waiting * sizeof(a->waiting[0]));
	a->n_batch = a->n_open = n;
}

static int
make_batch(struct attestd *d)
{
	struct evidence_waiter waiters[EVIDENCE_BATCH_MAX];
	struct answers *a = d->answers;
	struct evidence_claims claims;
	int r;

	make_claims(d, &claims);
	for (size_t i = 0; i < a->n_batch; i++)
		waiters[i] = a->batch[i].waiter;
	r = evidence_make(
	    d->attester, &claims, waiters, a->n_batch, a->bytes, &a->len);
	for (size_t i = 0; i < a->n_batch && r == 0; i++)
		r = evidence_waiter_hash(
		    d->attester, &claims, &waiters[i], a->batch[i].hash);
	signer_report(d, r);
	return r;
}

static void
run_batch(struct attestd *d)
{
	struct answers *a = d->answers;
	uint8_t key[INFERENCE_KEY_LEN];
	int r;

	take_batch(a);
	// What cryptod is asked about must be what was claimed.
	memcpy(key, d->keys.inference_key, sizeof(key));
	r = make_batch(d);
	for (size_t i = 0; i < a->n_batch; i++) {
		struct asked *one = &a->batch[i];
		int asked = r;

		if (asked == 0)
			asked = d->peers[ROLE_CRYPTOD] == NULL
			    ? -EPIPE
			    : cryptod_liveness_send(d->peers[ROLE_CRYPTOD], key,
				  one->ephemeral, one->hash,
				  ANSWERS_LIVENESS_DEADLINE_MS, on_alive, one,
				  NULL);
		if (asked == 0)
			continue;
		finish(one, IPC__RESULT__RESULT_FAILED);
		a->n_open--;
	}
	LOG(LOG_DEBUG, "evidence-v2-made", F("peers", (uint64_t)a->n_open),
	    F("bytes", (uint64_t)a->len));
	if (a->n_open == 0)
		a->n_batch = 0;
}

static void
reply_activate(
    struct attestd *d, uint32_t id, Ipc__Result result, const uint8_t *proof)
{
	Ipc__ActivateReply reply = IPC__ACTIVATE_REPLY__INIT;
	int r = -EPIPE;

	reply.result = result;
	reply.has_proof = proof != NULL;
	reply.proof =
	    (ProtobufCBinaryData){ proof == NULL ? 0 : EVIDENCE_PROOF_LEN,
		    (uint8_t *)(uintptr_t)proof };
	if (d->peers[ROLE_GOSSIPD] != NULL)
		r = ipc_reply_to(d->peers[ROLE_GOSSIPD], id,
		    IPC__TYPE__IPC_ACTIVATE_REPLY, &reply.base);
	if (r < 0)
		LOG(LOG_DEBUG, "answer-lost", F("error", log_error(r)));
}

static void
run_activation(struct attestd *d)
{
	struct answers *a = d->answers;
	struct activation one = a->activations[0];
	uint8_t proof[EVIDENCE_PROOF_LEN];
	int r;

	a->n_activations--;
	memmove(
	    a->activations, a->activations + 1, a->n_activations * sizeof(one));
	r = evidence_activate(d->attester, &one.credential, one.hash, proof);
	// -EACCES: the TPM refuses this one; that says nothing about the TPM.
	if (r != -EACCES)
		signer_report(d, r);
	reply_activate(d, one.request_id,
	    r == 0	       ? IPC__RESULT__RESULT_OK
		: r == -EACCES ? IPC__RESULT__RESULT_REFUSED
			       : IPC__RESULT__RESULT_FAILED,
	    r == 0 ? proof : NULL);
}

// In turn, so that neither kind keeps the other waiting.
static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct attestd *d = arg;
	struct answers *a = d->answers;
	bool can_batch = a->n_waiting != 0 && a->n_open == 0;

	(void)fd;
	(void)what;
	if (!d->has_keys)
		return; // cryptod went away; answers_go_on
	a->was_activation =
	    a->n_activations != 0 && (!can_batch || !a->was_activation);
	if (a->was_activation)
		run_activation(d);
	else if (can_batch)
		run_batch(d);
	a->next_ms = clock_mono_ms() + ANSWERS_GAP_MS;
	schedule(d);
}

// ---- questions

// RESULT_OK: it can be tried.
static Ipc__Result
why_not(const struct attestd *d, bool is_full)
{
	if (d->answers == NULL || d->attester == NULL ||
	    attester_kind_of(d->attester) == ATTESTER_NONE)
		return IPC__RESULT__RESULT_NO_ATTESTER;
	return is_full ? IPC__RESULT__RESULT_BUSY : IPC__RESULT__RESULT_OK;
}

int
handle_attest(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__AttestRequest *in = (const Ipc__AttestRequest *)msg;
	struct attestd *d = ipc_peer_daemon(peer);
	struct answers *a = d->answers;
	Ipc__Result result;
	struct asked *one;

	if (in->nonce.len != 32 || in->ephemeral_key.len != 32 ||
	    in->binding.len != 32)
		return -EPROTO;
	result = why_not(d, a != NULL && a->n_waiting == ANSWERS_WAITING_MAX);
	if (result != IPC__RESULT__RESULT_OK) {
		reply_attest(d, frame->header.request_id, result, NULL);
		return 0;
	}
	one = &a->waiting[a->n_waiting++];
	one->d = d;
	one->request_id = frame->header.request_id;
	one->fd = take_fd(&frame->fd);
	memcpy(one->waiter.nonce, in->nonce.data, 32);
	memcpy(one->waiter.binding, in->binding.data, 32);
	memcpy(one->ephemeral, in->ephemeral_key.data, 32);
	schedule(d);
	return 0;
}

int
handle_activate(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__ActivateRequest *in = (const Ipc__ActivateRequest *)msg;
	struct attestd *d = ipc_peer_daemon(peer);
	struct answers *a = d->answers;
	struct tpm_credential credential;
	struct activation *one;
	Ipc__Result result;

	if (in->hash.len != EVIDENCE_HASH_LEN ||
	    in->credential.len != EVIDENCE_CREDENTIAL_LEN)
		return -EPROTO;
	result = why_not(
	    d, a != NULL && a->n_activations == ANSWERS_ACTIVATIONS_MAX);
	// A credential that does not have the form is the peer's fault.
	if (result == IPC__RESULT__RESULT_OK &&
	    evidence_credential_read(in->credential.data, &credential) < 0)
		result = IPC__RESULT__RESULT_REFUSED;
	if (result != IPC__RESULT__RESULT_OK) {
		reply_activate(d, frame->header.request_id, result, NULL);
		return 0;
	}
	one = &a->activations[a->n_activations++];
	one->request_id = frame->header.request_id;
	memcpy(one->hash, in->hash.data, EVIDENCE_HASH_LEN);
	one->credential = credential;
	schedule(d);
	return 0;
}
