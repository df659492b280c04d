// What was found out about blobs that come again and again: whether the
// signature is right, and whose it is.  Nothing in it depends on the time, on
// trust or on who asks; those are looked at each time.
#ifndef ATTESTD_BLOB_CACHE_H
#define ATTESTD_BLOB_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attestd/blob.h"
#include "attestd/trust.h"

enum { BLOB_CACHE_MAX = 2048, BLOB_CACHE_HASH_LEN = 32 };

struct blob_facts {
	bool is_signed;
	uint8_t key[TRUST_ID_LEN]; // fingerprint; of a signed one
};

struct blob_cache {
	// So that nobody can choose blobs that push out each other's.
	uint8_t secret[BLOB_CACHE_HASH_LEN];
	bool is_ready;
	struct {
		bool is_used;
		uint8_t hash[BLOB_CACHE_HASH_LEN];
		struct blob_facts facts;
	} at[BLOB_CACHE_MAX];
};

// json: what blob was parsed from.  cache may be NULL.
void blob_facts_find(struct blob_cache *, const void *json, size_t len,
    const struct blob *, struct blob_facts *ret);

#endif
