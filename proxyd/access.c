// Keys, hosts and origins that may ask.  The lists are the operator's; what
// is looked up in them was written by whoever reached a listener.  A key is
// never stored or logged: it is hashed where it lies, and the hash compared.
#include "proxyd/access.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/process.h"

// Of a bucket that fills by per_minute tokens in 60,000 ms.
enum { ACCESS_TOKEN = 60 * 1000 };

// ---- keys

static const struct access_key *
find_same(const struct access *a, const struct api_key *key)
{
	for (size_t i = 0; i < a->n_keys; i++)
		if (strcmp(a->keys[i]->key.name, key->name) == 0 &&
		    sodium_memcmp(
			a->keys[i]->key.hash, key->hash, API_KEY_HASH_LEN) == 0)
			return a->keys[i];
	return NULL;
}

static void
drop_keys(struct access_key **keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		access_key_put(keys[i]);
	free(keys);
}

static uint64_t
full_bucket(const struct api_key *key)
{
	return (uint64_t)key->per_minute * ACCESS_TOKEN;
}

// The same key with other limits stays one key.
static struct access_key *
adopt(const struct access *a, struct api_key *key, uint64_t now_ms)
{
	struct access_key *one =
	    (struct access_key *)(uintptr_t)find_same(a, key);

	if (one == NULL && (one = calloc(1, sizeof(*one))) == NULL)
		return NULL;
	if (one->refs == 0 || one->level > full_bucket(key) ||
	    one->key.per_minute == 0) {
		one->level = full_bucket(key);
		one->level_ms = now_ms;
	}
	api_key_done(&one->key);
	api_key_move(&one->key, key);
	return access_key_take(one);
}

int
access_take_keys(struct access *a, const char *text, size_t len,
    uint64_t now_ms, char *error, size_t error_len)
{
	struct api_keys read;
	struct access_key **keys;
	size_t n = 0;
	int r = api_keys_parse(text, len, &read, error, error_len);

	if (r < 0)
		return r;
	if ((keys = calloc(read.n + 1, sizeof(*keys))) == NULL)
		r = -ENOMEM;
	for (; r == 0 && n < read.n; n++)
		if ((keys[n] = adopt(a, &read.at[n], now_ms)) == NULL)
			r = -ENOMEM;
	api_keys_done(&read);
	if (r < 0) {
		(void)snprintf(error, error_len, "out of memory");
		if (keys != NULL)
			drop_keys(keys, n - 1);
		return r;
	}
	drop_keys(a->keys, a->n_keys);
	a->keys = keys;
	a->n_keys = n;
	a->wants_key = true;
	return 0;
}

int
access_load_keys(
    struct access *a, const char *path, char *error, size_t error_len)
{
	AUTO_FREE char *text = NULL;
	char why[256];
	size_t len = 0;
	int r;

	r = file_read(path, FILE_TRUSTED, API_KEYS_FILE_MAX, &text, &len);
	if (r == -EPERM)
		(void)snprintf(
		    why, sizeof(why), "others than its owner can write it");
	else if (r < 0)
		(void)snprintf(why, sizeof(why), "%s", strerror(-r));
	else
		r = access_take_keys(
		    a, text, len, clock_mono_ms(), why, sizeof(why));
	if (r < 0)
		(void)snprintf(
		    error, error_len, "--api-keys %.256s: %s", path, why);
	return r;
}

void
access_done(struct access *a)
{
	drop_keys(a->keys, a->n_keys);
	a->keys = NULL;
	a->n_keys = 0;
}

// "Bearer" in any case, spaces, the token (RFC 6750, section 2.1).
static struct slice
bearer_of(struct slice text)
{
	static const char scheme[] = "bearer ";
	size_t n = sizeof(scheme) - 1;

	if (text.len <= n || strncasecmp(text.at, scheme, n) != 0)
		return (struct slice){ NULL, 0 };
	text.at += n;
	text.len -= n;
	while (text.len > 0 && text.at[0] == ' ') {
		text.at++;
		text.len--;
	}
	return text;
}

// Where OpenAI's clients put it, or Anthropic's, which send no Authorization.
static struct slice
presented_by(const struct http_fields *fields)
{
	const struct http_field *f = NULL;
	struct slice key = { NULL, 0 };

	if (http_fields_find(fields, "Authorization") != NULL) {
		if (http_fields_find_once(fields, "Authorization", &f))
			key = bearer_of(f->value);
	} else if (http_fields_find_once(fields, "X-Api-Key", &f) &&
	    f != NULL) {
		key = f->value;
	}
	return key.len > API_KEY_PRESENTED_MAX ? (struct slice){ NULL, 0 }
					       : key;
}

struct access_key *
access_find_key(const struct access *a, const struct http_fields *fields)
{
	struct slice key = presented_by(fields);
	struct access_key *found = NULL;
	uint8_t hash[API_KEY_HASH_LEN];

	if (key.at == NULL || key.len == 0)
		return NULL;
	api_key_hash(key.at, key.len, hash);
	// All are compared, so that the time does not tell which one it was.
	for (size_t i = 0; i < a->n_keys; i++)
		if (sodium_memcmp(
			a->keys[i]->key.hash, hash, API_KEY_HASH_LEN) == 0)
			found = a->keys[i];
	sodium_memzero(hash, sizeof(hash));
	return found;
}

struct access_key *
access_key_take(struct access_key *key)
{
	if (key != NULL)
		key->refs++;
	return key;
}

void
access_key_put(struct access_key *key)
{
	if (key == NULL || --key->refs > 0)
		return;
	api_key_done(&key->key);
	free(key);
}

static void
refill(struct access_key *key, uint64_t now_ms)
{
	uint64_t full = full_bucket(&key->key);
	uint64_t ms = now_ms - key->level_ms;

	// A minute fills it; more would only overflow.
	if (ms > ACCESS_TOKEN)
		ms = ACCESS_TOKEN;
	key->level += ms * key->key.per_minute;
	if (key->level > full)
		key->level = full;
	key->level_ms = now_ms;
}

int
access_key_begin(struct access_key *key, uint64_t now_ms, unsigned *ret_wait_s)
{
	uint64_t missing;

	*ret_wait_s = 1;
	if (key->key.requests != 0 && key->in_flight >= key->key.requests) {
		key->refused++;
		return -EBUSY;
	}
	if (key->key.per_minute != 0) {
		refill(key, now_ms);
		if (key->level < ACCESS_TOKEN) {
			missing = ACCESS_TOKEN - key->level;
			*ret_wait_s =
			    (unsigned)(missing / key->key.per_minute / 1000) +
			    1;
			key->refused++;
			return -EAGAIN;
		}
		key->level -= ACCESS_TOKEN;
	}
	key->in_flight++;
	key->requests++;
	return 0;
}

void
access_key_end(struct access_key *key)
{
	key->in_flight--;
}

// ---- names

bool
access_has_host(const struct access *a, const char *host)
{
	for (size_t i = 0; a->hosts != NULL && i < a->hosts->n; i++)
		if (strcasecmp(a->hosts->values[i], host) == 0)
			return true;
	return false;
}

const char *
access_find_origin(const struct access *a, struct slice origin)
{
	for (size_t i = 0; a->origins != NULL && i < a->origins->n; i++)
		if (slice_is(origin, a->origins->values[i]))
			return a->origins->values[i];
	return NULL;
}
