// What the suite says about its machine and itself.  It takes the daemons'
// word about themselves, and its own knowledge of how it started them; it must
// never claim for all what one of them lacks.
#include <fcntl.h>
#include <string.h>

#include "common/log.h"
#include "ctl/suite.h"
#include "gossipd/client.h"
#include "proxyd/client.h"

enum { EVERY_DAEMON = (1 << N_DAEMONS) - 1 };

// The first of these daemons that lacks the protection, or NULL.
static const char *
find_without(const struct suite *s, unsigned which, uint32_t bit)
{
	for (enum daemon_index d = 0; d < N_DAEMONS; d++)
		if ((which & 1u << d) != 0 &&
		    (s->children[d].protection & bit) == 0)
			return daemons[d].name;
	return NULL;
}

static void
measure_daemons(const struct suite *s, struct posture *p)
{
	static const unsigned keepers =
	    1 << CRYPTOD | 1 << SIGNER | 1 << VERIFIER;
	static const struct {
		enum posture_id id;
		unsigned which;
		uint32_t bit;
	} items[] = {
		{ POSTURE_SECRET_MEMORY, 1 << CRYPTOD, MEASURE_SECRET_MEMORY },
		{ POSTURE_GUARD, keepers, MEASURE_GUARDED },
		{ POSTURE_NO_DUMPS, EVERY_DAEMON, MEASURE_NOT_DUMPABLE },
		{ POSTURE_SECCOMP, EVERY_DAEMON, MEASURE_SECCOMP },
		{ POSTURE_LANDLOCK, EVERY_DAEMON, MEASURE_LANDLOCK },
	};

	for (size_t i = 0; i < N_ELEMENTS(items); i++) {
		const char *without =
		    find_without(s, items[i].which, items[i].bit);

		if (without == NULL)
			posture_set(
			    p, items[i].id, TRI_TRUE, "the daemons say so");
		else
			posture_set(
			    p, items[i].id, TRI_FALSE, "%s lacks it", without);
	}
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
