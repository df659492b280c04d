// A value of the configuration that has several parts: a first word, and
// behind it `name=value`, apart by spaces.
#ifndef COMMON_WORDS_H
#define COMMON_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

enum { WORDS_MAX = 8 };

struct words {
	char *copy; // owned
	const char *first;
	size_t n;
	struct {
		const char *name, *value;
	} at[WORDS_MAX];
};

// -EINVAL: nothing, a word without a value, a name twice, or too many.
MUST_CHECK int words_parse(const char *text, struct words *ret);
void words_done(struct words *);
// NULL: it has no such part.
const char *words_find(const struct words *, const char *name);
// Has it only parts of these names?  The list ends with NULL.
bool words_are(const struct words *, const char *const *names);

#endif
