// What cryptod says unasked: our inference key is another one now.
#include <string.h>

#include "common/log.h"
#include "cryptod/client.h"
#include "proxyd/proxyd.h"

static void
on_keys(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct proxyd *d = arg;
	struct cryptod_keys keys;

	(void)frame;
	if (cryptod_keys_read(status, msg, &keys) < 0)
		return;
	d->self.has_id = true;
	memcpy(d->self.id, keys.endpoint_id, ENDPOINT_ID_LEN);
	d->self.has_key = true;
	memcpy(d->self.inference_key, keys.inference_key, INFERENCE_KEY_LEN);
	events_changed(d, EVENTS_NODE);
}

void
proxyd_ask_keys(struct proxyd *d)
{
	int r;

	if (d->cryptod == NULL)
		return;
	r = cryptod_keys_send(d->cryptod, ASK_DEADLINE_MS, on_keys, d, NULL);
	if (r < 0)
		LOG(LOG_WARNING, "keys-not-asked", F("error", log_error(r)));
}

int
handle_key_changed(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	(void)frame;
	(void)msg;
	proxyd_ask_keys(ipc_peer_daemon(peer));
	return 0;
}
