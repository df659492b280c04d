// The items about the daemons.  They take the daemons' word about themselves;
// they must never claim for all what one of them lacks.
#include "common/cleanup.h"
#include "common/measure.h"
#include "common/posture.h"

enum concerns { EVERY_DAEMON, KEEPERS, CRYPTOD_ALONE, PROXYD_ALONE };

static bool
is_concerned(const struct posture_daemon *d, enum concerns which)
{
	return which == EVERY_DAEMON || (which == KEEPERS && d->keeps_keys) ||
	    (which == CRYPTOD_ALONE && d->is_cryptod) ||
	    (which == PROXYD_ALONE && d->is_proxyd);
}

// One that lacks it is worse than one that has not spoken.
static void
set_item(struct posture *p, enum posture_id id, enum concerns which,
    uint32_t bit, const struct posture_daemon *daemons, size_t n)
{
	const struct posture_daemon *silent = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct posture_daemon *d = &daemons[i];

		if (!is_concerned(d, which))
			continue;
		if (!d->is_known) {
			silent = d;
		} else if ((d->protection & bit) == 0) {
			posture_set(p, id, TRI_FALSE, "%s lacks it", d->name);
			return;
		}
	}
	if (silent != NULL)
		posture_set(
		    p, id, TRI_UNKNOWN, "%s has not said it yet", silent->name);
	else
		posture_set(p, id, TRI_TRUE, "the daemons say so");
}

void
posture_set_daemons(
    struct posture *p, const struct posture_daemon *daemons, size_t n)
{
	static const struct {
		enum posture_id id;
		enum concerns which;
		uint32_t bit;
	} items[] = {
		{ POSTURE_SECRET_MEMORY, CRYPTOD_ALONE, MEASURE_SECRET_MEMORY },
		{ POSTURE_GUARD, KEEPERS, MEASURE_GUARDED },
		{ POSTURE_NO_DUMPS, EVERY_DAEMON, MEASURE_NOT_DUMPABLE },
		{ POSTURE_SECCOMP, EVERY_DAEMON, MEASURE_SECCOMP },
		{ POSTURE_LANDLOCK, EVERY_DAEMON, MEASURE_LANDLOCK },
		{ POSTURE_NETWORK, KEEPERS, MEASURE_NO_NETWORK },
		{ POSTURE_LOCKED, PROXYD_ALONE, MEASURE_LOCKED },
	};

	for (size_t i = 0; i < N_ELEMENTS(items); i++)
		set_item(
		    p, items[i].id, items[i].which, items[i].bit, daemons, n);
}
