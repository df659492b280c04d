// Takes a value of the configuration apart.  It is the operator's; what is not
// understood is refused.
#include "common/words.h"

#include <string.h>

static int
take(struct words *w, char *word)
{
	char *equals = strchr(word, '=');

	if (equals == NULL || equals == word || equals[1] == '\0' ||
	    w->n == WORDS_MAX)
		return -EINVAL;
	*equals = '\0';
	if (words_find(w, word) != NULL)
		return -EINVAL;
	w->at[w->n].name = word;
	w->at[w->n].value = equals + 1;
	w->n++;
	return 0;
}

int
words_parse(const char *text, struct words *ret)
{
	struct words w = { .copy = strdup(text) };
	char *rest = NULL, *word;
	int r = 0;

	if (w.copy == NULL)
		return -ENOMEM;
	w.first = strtok_r(w.copy, " \t", &rest);
	if (w.first == NULL)
		r = -EINVAL;
	while (r == 0 && (word = strtok_r(NULL, " \t", &rest)) != NULL)
		r = take(&w, word);
	if (r < 0)
		words_done(&w);
	else
		*ret = w;
	return r;
}

void
words_done(struct words *w)
{
	free(w->copy);
	*w = (struct words){ .n = 0 };
}

const char *
words_find(const struct words *w, const char *name)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->at[i].name, name) == 0)
			return w->at[i].value;
	return NULL;
}

bool
words_are(const struct words *w, const char *const *names)
{
	for (size_t i = 0; i < w->n; i++) {
		const char *const *name = names;

		while (*name != NULL && strcmp(*name, w->at[i].name) != 0)
			name++;
		if (*name == NULL)
			return false;
	}
	return true;
}
