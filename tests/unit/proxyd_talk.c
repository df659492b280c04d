// Starts and ends a talk with one host; see the header.
#include "tests/unit/proxyd_talk.h"

#include <unistd.h>

void
talk_start(struct talk *t, const char *const *args, enum peer_form form)
{
	rig_start(&t->rig, args);
	t->host = node_make();
	rig_tell_peer(&t->rig, &t->host, form, "far");
	t->client = http_post(&t->rig, CHAT, BODY);
	t->tunnel = rig_take_tunnel(&t->rig);
	host_read(&t->rig, t->tunnel, &t->host, &t->request, t->key);
}

void
talk_stop(struct talk *t)
{
	(void)close(t->client);
	(void)close(t->tunnel);
	buf_release(&t->request);
	rig_stop(&t->rig);
}
