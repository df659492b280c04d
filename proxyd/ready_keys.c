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
drop_first(struct ready_host *h)
{
	sodium_memzero(&h->keys[h->first], sizeof(h->keys[h->first]));
	h->first = (h->first + 1) % READY_KEYS_MAX;
	h->n--;
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
	for (size_t i = 0; i < READY_HOSTS_MAX; i++) {
		struct ready_host *h = &d->ready.hosts[i];

		while (h->n > 0 &&
		    now - h->keys[h->first].since_ms >= READY_KEYS_AGE_S * 1000)
			drop_first(h);
		is_empty = is_empty && h->n == 0;
	}
	if (!is_empty)
		start_timer(d);
}

void
ready_keys_init(struct proxyd *d)
{
	(void)evtimer_assign(&d->ready.timer, d->base, on_timer, d);
	for (size_t i = 0; i < READY_HOSTS_MAX; i++)
		d->ready.hosts[i].d = d;
}

void
ready_keys_done(struct proxyd *d)
{
	(void)event_del(&d->ready.timer);
	for (size_t i = 0; i < READY_HOSTS_MAX; i++)
		while (d->ready.hosts[i].n > 0)
			drop_first(&d->ready.hosts[i]);
}

static struct ready_host *
find_host(struct proxyd *d, const uint8_t *recipient)
{
	for (size_t i = 0; i < READY_HOSTS_MAX; i++) {
		struct ready_host *h = &d->ready.hosts[i];

		if (h->used_ms != 0 &&
		    memcmp(h->recipient, recipient, INFERENCE_KEY_LEN) == 0)
			return h;
	}
	return NULL;
}

// In place of the one that was not asked for the longest time.  NULL: answers
// for all of them are still to come.
static struct ready_host *
make_host(struct proxyd *d, const uint8_t *recipient)
{
	struct ready_host *h = NULL;

	for (size_t i = 0; i < READY_HOSTS_MAX; i++) {
		struct ready_host *one = &d->ready.hosts[i];

		if (one->n_asked == 0 &&
		    (h == NULL || one->used_ms < h->used_ms))
			h = one;
	}
	if (h == NULL)
		return NULL;
	while (h->n > 0)
		drop_first(h);
	memcpy(h->recipient, recipient, INFERENCE_KEY_LEN);
	return h;
}

bool
ready_keys_take(struct proxyd *d,
    const uint8_t recipient[static INFERENCE_KEY_LEN],
    uint8_t ret_ephemeral[static INFERENCE_KEY_LEN],
    uint8_t ret_key[static REQUEST_KEY_LEN])
{
	struct ready_host *h = find_host(d, recipient);

	if (h == NULL || h->n == 0)
		return false;
	memcpy(ret_ephemeral, h->keys[h->first].ephemeral, INFERENCE_KEY_LEN);
	memcpy(ret_key, h->keys[h->first].key, REQUEST_KEY_LEN);
	drop_first(h);
	return true;
}

static void
on_key(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct ready_host *h = arg;
	struct cryptod_sealed sealed;
	struct ready_key *k;

	(void)frame;
	h->n_asked--;
	if (cryptod_seal_read(status, msg, &sealed) < 0 ||
	    sealed.result != IPC__RESULT__RESULT_OK)
		return;
	// There is room: no more are asked for.
	k = &h->keys[(h->first + h->n++) % READY_KEYS_MAX];
	memcpy(k->ephemeral, sealed.ephemeral_key, INFERENCE_KEY_LEN);
	memcpy(k->key, sealed.request_key, REQUEST_KEY_LEN);
	k->since_ms = clock_mono_ms();
	start_timer(h->d);
}

void
ready_keys_ask(
    struct proxyd *d, const uint8_t recipient[static INFERENCE_KEY_LEN])
{
	struct ready_host *h = find_host(d, recipient);

	if (h == NULL && (h = make_host(d, recipient)) == NULL)
		return;
	h->used_ms = clock_mono_ms();
	if (h->n + h->n_asked + READY_KEYS_PER_ASK > READY_KEYS_MAX)
		return;
	for (unsigned i = 0; i < READY_KEYS_PER_ASK && d->cryptod != NULL;
	     i++) {
		if (cryptod_seal_send(d->cryptod, recipient, ASK_DEADLINE_MS,
			on_key, h, NULL) < 0)
			return;
		h->n_asked++;
	}
}
