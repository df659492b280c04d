// A table of a fixed size, indexed by a keyed hash of the whole blob.  Two
// blobs at one place push out each other, which costs a signature's check.
#include "attestd/blob_cache.h"

#include <sodium.h>
#include <string.h>

#include "attestd/level.h"

static void
find_out(const struct blob *blob, struct blob_facts *ret)
{
	*ret = (struct blob_facts){ .is_signed = blob_is_signed(blob) };
	if (ret->is_signed && level_blob_key(blob, ret->key) < 0)
		ret->is_signed = false;
}

void
blob_facts_find(struct blob_cache *cache, const void *json, size_t len,
    const struct blob *blob, struct blob_facts *ret)
{
	uint8_t hash[BLOB_CACHE_HASH_LEN];
	size_t i;

	if (cache == NULL) {
		find_out(blob, ret);
		return;
	}
	if (!cache->is_ready)
		randombytes_buf(cache->secret, sizeof(cache->secret));
	cache->is_ready = true;
	(void)crypto_generichash(hash, sizeof(hash), json, len, cache->secret,
	    sizeof(cache->secret));
	i = ((size_t)hash[0] << 8 | hash[1]) % BLOB_CACHE_MAX;
	if (!cache->at[i].is_used ||
	    memcmp(cache->at[i].hash, hash, sizeof(hash)) != 0) {
		find_out(blob, &cache->at[i].facts);
		memcpy(cache->at[i].hash, hash, sizeof(hash));
		cache->at[i].is_used = true;
	}
	*ret = cache->at[i].facts;
}
