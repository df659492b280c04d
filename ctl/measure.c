// What the suite says about its machine and itself.  It takes the daemons'
// word about themselves, and its own knowledge of how it started them; it must
// never claim for all what one of them lacks.
#include <fcntl.h>
#include <string.h>

#include "common/log.h"
#include "ctl/suite.h"
#include "gossipd/client.h"
#include "proxyd/client.h"

static void
measure_daemons(const struct suite *s, struct posture *p)
{
	struct posture_daemon list[N_DAEMONS];

	for (enum daemon_index d = 0; d < N_DAEMONS; d++)
		list[d] = (struct posture_daemon){ .name = daemons[d].name,
			.keeps_keys =
			    d == CRYPTOD || d == SIGNER || d == VERIFIER,
			.is_cryptod = d == CRYPTOD,
			.is_proxyd = d == PROXYD,
			.is_known = true,
			.protection = s->children[d].protection };
	posture_set_daemons(p, list, N_DAEMONS);
	posture_set(p, POSTURE_USERS,
	    s->privilege.can_switch_users ? TRI_TRUE : TRI_FALSE,
	    "how they were started");
	posture_set(p, POSTURE_NETWORK,
	    s->privilege.can_take_network ? TRI_TRUE : TRI_FALSE,
	    "how they were started");
}

static int
tell(struct suite *s, const struct posture *p)
{
	struct ipc_peer *proxyd = s->children[PROXYD].peer;
	struct ipc_peer *gossipd = s->children[GOSSIPD].peer;
	struct proxyd_image images[N_DAEMONS];
	int r;

	for (enum daemon_index d = 0; d < N_DAEMONS; d++)
		images[d] = (struct proxyd_image){ daemons[d].name,
			s->children[d].image };
	if (proxyd == NULL || gossipd == NULL)
		return -EPIPE;
	r = proxyd_posture_send(proxyd, p, images, N_DAEMONS);
	if (r == 0)
		r = gossipd_posture_send(gossipd, posture_v1(p));
	return r;
}

void
suite_measure(struct suite *s)
{
	static const struct timeval later = { SUITE_MEASURE_MS / 1000, 0 };
	AUTO_FD root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct posture now;
	int r;

	if (s->is_stopping)
		return;
	posture_read(&now, root);
	measure_daemons(s, &now);
	if (memcmp(&now, &s->posture, sizeof(now)) != 0) {
		if ((r = tell(s, &now)) < 0)
			LOG(LOG_WARNING, "posture-not-told",
			    F("error", log_error(r)));
		else
			s->posture = now;
	}
	(void)evtimer_add(s->measuring, &later);
}
