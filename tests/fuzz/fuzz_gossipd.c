// Makes a gossipd of which nothing but the core and the loop is there.
#include "tests/fuzz/fuzz_gossipd.h"

#include <sodium.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/loop.h"

struct gossipd *
fuzz_gossipd_new(void)
{
	struct gossip_config config = { .seed = 1 };
	struct gossipd *d;

	log_set_level(LOG_ERROR);
	if (sodium_init() == -1 || (d = calloc(1, sizeof(*d))) == NULL)
		abort();
	TAILQ_INIT(&d->waiting);
	d->mesh_id_fd = -1;
	if (loop_new(&d->base) != 0 || gossip_new(&d->gossip, &config) != 0)
		abort();
	return d;
}
