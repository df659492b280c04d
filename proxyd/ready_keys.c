// Keys for requests that are still to come.  Each serves one request: it
// leaves the store when it is taken, and what is not taken within a minute or
// two is wiped.  A key is found by the recipient key that it was made for and
// by nothing else, so a host with a new key never gets one for its old one.
#include "proxyd/ready_keys.h"

#include <sodium.h>
#include <string.h>

#include "cryptod/client.h"
#include "proxyd/proxyd.h"

static void
forget(struct ready_key *k)
{
	k->state = READY_NONE;
	sodium_memzero(k->key, sizeof(k->key));
}

static bool
is_for(const struct ready_key *k, const uint8_t *recipient)
{
	return k->state != READY_NONE &&
	    memcmp(k->recipient, recipient, INFERENCE_KEY_LEN) == 0;
}

static void
start_timer(struct proxyd *d)
{
	static const struct timeval age = { .tv_sec = READY_KEYS_AGE_S };

	if (!evtimer_pending(&d->ready.timer, NULL))
		(void)evtimer_add(&d->ready.timer, &age);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct proxyd *d = arg;
	uint64_t now = clock_mono_ms();
	bool is_empty = true;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < READY_KEYS_MAX; i++) {
		struct ready_key *k = &d->ready.keys[i];

		if (k->state != READY_HERE)
			continue;
		if (now - k->since_ms >= READY_KEYS_AGE_S * 1000)
			forget(k);
		else
			is_empty = false;
	}
	if (!is_empty)
		start_timer(d);
}

void
ready_keys_init(struct proxyd *d)
{
	(void)evtimer_assign(&d->ready.timer, d->base, on_timer, d);
	for (size_t i = 0; i < READY_KEYS_MAX; i++)
		d->ready.keys[i].d = d;
}

void
ready_keys_done(struct proxyd *d)
{
	(void)event_del(&d->ready.timer);
	for (size_t i = 0; i < READY_KEYS_MAX; i++)
		forget(&d->ready.keys[i]);
}

bool
ready_keys_take(struct proxyd *d,
    const uint8_t recipient[static INFERENCE_KEY_LEN],
    uint8_t ret_ephemeral[static INFERENCE_KEY_LEN],
    uint8_t ret_key[static REQUEST_KEY_LEN])
{
	for (size_t i = 0; i < READY_KEYS_MAX; i++) {
		struct ready_key *k = &d->ready.keys[i];

		if (k->state != READY_HERE || !is_for(k, recipient))
			continue;
		memcpy(ret_ephemeral, k->ephemeral, INFERENCE_KEY_LEN);
		memcpy(ret_key, k->key, REQUEST_KEY_LEN);
		forget(k);
		return true;
	}
	return false;
}

static void
on_key(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct ready_key *k = arg;
	struct cryptod_sealed sealed;

	(void)frame;
	forget(k);
	if (cryptod_seal_read(status, msg, &sealed) < 0 ||
	    sealed.result != IPC__RESULT__RESULT_OK)
		return;
	memcpy(k->ephemeral, sealed.ephemeral_key, INFERENCE_KEY_LEN);
	memcpy(k->key, sealed.request_key, REQUEST_KEY_LEN);
	k->since_ms = clock_mono_ms();
	k->state = READY_HERE;
	start_timer(k->d);
}

void
ready_keys_ask(
    struct proxyd *d, const uint8_t recipient[static INFERENCE_KEY_LEN])
{
	unsigned left = READY_KEYS_PER_HOST, asked = 0;

	for (size_t i = 0; i < READY_KEYS_MAX && left > 0; i++)
		left -= is_for(&d->ready.keys[i], recipient);
	for (size_t i = 0; i < READY_KEYS_MAX && left > 0 &&
	     asked < READY_KEYS_PER_ASK && d->cryptod != NULL;
	     i++) {
		struct ready_key *k = &d->ready.keys[i];

		if (k->state != READY_NONE)
			continue;
		memcpy(k->recipient, recipient, INFERENCE_KEY_LEN);
		if (cryptod_seal_send(d->cryptod, recipient, ASK_DEADLINE_MS,
			on_key, k, NULL) < 0)
			return;
		k->state = READY_ASKED;
		left--;
		asked++;
	}
}
