// Makes the one event loop of a process.  It must not let EVENT_* variables
// choose how it works: a sandbox list fits one backend only.
#include "common/loop.h"

static int
configure(struct event_config *config, struct event_base **ret)
{
	struct event_base *base;

	if (event_config_set_flag(config,
		EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == -1 ||
	    event_config_require_features(config, EV_FEATURE_O1) == -1)
		return -EINVAL;
	if ((base = event_base_new_with_config(config)) == NULL)
		return -ENOMEM;
	if (event_base_priority_init(base, LOOP_PRIORITIES) == -1) {
		event_base_free(base);
		return -EINVAL;
	}
	*ret = base;
	return 0;
}

int
loop_new(struct event_base **ret)
{
	struct event_config *config = event_config_new();
	int r;

	if (config == NULL)
		return -ENOMEM;
	r = configure(config, ret);
	event_config_free(config);
	return r;
}
