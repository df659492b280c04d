// The file of API keys: who may ask, how much, and which models.
//
// One line for each key: a name, the SHA-256 of the key, and limits:
//
//	NAME sha256:<64 hex digits> [requests=N] [per-minute=N] [model=NAME]...
//
// A model may end in `*`.  Keys are 256 random bits that we make, so the hash
// is neither salted nor slow: there is no dictionary to try, and what is
// hashed for each request should cost little.
#ifndef COMMON_API_KEYS_H
#define COMMON_API_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

enum {
	API_KEYS_MAX = 256,
	API_KEYS_FILE_MAX = 256 * 1024,
	API_KEY_NAME_MAX = 32,
	API_KEY_HASH_LEN = 32,
	API_KEY_MODELS_MAX = 32,      // of one key
	API_KEY_LIMIT_MAX = 1000000,  // requests, per-minute
	API_KEY_RANDOM_LEN = 32,      // bytes of a new key
	API_KEY_TEXT_MAX = 64,	      // of one that we make
	API_KEY_PRESENTED_MAX = 1024, // longer ones are nobody's
};

struct api_key {
	char name[API_KEY_NAME_MAX + 1];
	uint8_t hash[API_KEY_HASH_LEN];
	uint32_t requests;   // in flight; 0: no limit
	uint32_t per_minute; // 0: no limit
	size_t n_models;     // 0: all
	char **models;	     // owned
};

struct api_keys {
	size_t n;
	struct api_key *at; // owned
};

// A complaint names the line: "line 3: ...".  -EINVAL, -ENOMEM.  Names and
// hashes are unique.
MUST_CHECK int api_keys_parse(const char *text, size_t len,
    struct api_keys *ret, char *error, size_t error_len);
void api_keys_done(struct api_keys *);
// NULL, or what is wrong with a key's name or a model's.
const char *api_key_check_name(const char *name);
const char *api_key_check_model(const char *pattern);
bool api_key_has_model(const struct api_key *, const char *model);
// Move the content of one entry; *from is empty after it.
void api_key_move(struct api_key *to, struct api_key *from);
void api_key_done(struct api_key *);

void api_key_hash(
    const char *key, size_t len, uint8_t ret[static API_KEY_HASH_LEN]);
// A new key, as its owner gets to see it once.
void api_key_make(char ret[static API_KEY_TEXT_MAX]);

#endif
