// A ring of names with the time when each was lost.  Names come from
// strangers, who can at most push each other out.
#include "proxyd/recent.h"

#include <string.h>

void
recent_note(struct recent *recent, const char *model, uint64_t now_ms)
{
	struct recent_model *one = NULL;
	size_t n = strnlen(model, MODEL_NAME_MAX);

	for (size_t i = 0; i < RECENT_MAX && one == NULL; i++)
		if (strcmp(recent->at[i].name, model) == 0)
			one = &recent->at[i];
	if (one == NULL) {
		one = &recent->at[recent->next];
		recent->next = (recent->next + 1) % RECENT_MAX;
	}
	memcpy(one->name, model, n);
	one->name[n] = '\0';
	one->gone_ms = now_ms;
}

bool
recent_has(const struct recent *recent, const char *model, uint64_t now_ms)
{
	for (size_t i = 0; i < RECENT_MAX; i++)
		if (recent->at[i].name[0] != '\0' &&
		    strcmp(recent->at[i].name, model) == 0)
			return now_ms - recent->at[i].gone_ms < RECENT_MS;
	return false;
}
