// What answers taught about sources: a small memory of facts that grow old.
#ifndef PROXYD_LEARNED_H
#define PROXYD_LEARNED_H

#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxyd/candidates.h"

enum {
	LEARNED_MAX = 1024,
	LEARNED_MS = 10 * 60 * 1000,
};

struct learned_fact {
	uint64_t key;
	uint64_t until_ms;
};

struct learned {
	uint8_t secret[crypto_shorthash_KEYBYTES];
	struct learned_fact at[LEARNED_MAX];
};

// The source answers this model's /v1/responses with "there is no such path".
void learned_init(struct learned *);
void learned_no_responses(struct learned *, const struct candidate *,
    const char *model, uint64_t now_ms);
bool learned_has_no_responses(const struct learned *, const struct candidate *,
    const char *model, uint64_t now_ms);

#endif
