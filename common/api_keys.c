// Reads the file of API keys.  It is the operator's, yet read strictly: a
// limit that is not understood must not end as no limit.  Nothing here sees a
// key but the two functions that hash one and make one, which keep nothing.
#include "common/api_keys.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "common/sizes.h"
#include "common/slice.h"

#define HASH_PREFIX "sha256:"
#define KEY_PREFIX "meshllm_"

static_assert(API_KEY_HASH_LEN == crypto_hash_sha256_BYTES, "SHA-256");
static_assert(sizeof(KEY_PREFIX) +
	    sodium_base64_ENCODED_LEN(
		API_KEY_RANDOM_LEN, sodium_base64_VARIANT_URLSAFE_NO_PADDING) <=
	API_KEY_TEXT_MAX,
    "a new key fits");

struct reader {
	unsigned line;
	char *error;
	size_t error_len;
};

__attribute__((format(printf, 2, 3))) static int
complain(const struct reader *r, const char *format, ...)
{
	char text[160];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)snprintf(r->error, r->error_len, "line %u: %s", r->line, text);
	return -EINVAL;
}

// The next word of the line; false at its end.
static bool
take_word(struct slice *line, struct slice *ret)
{
	size_t n = 0;

	while (line->len > 0 && (*line->at == ' ' || *line->at == '\t')) {
		line->at++;
		line->len--;
	}
	while (n < line->len && line->at[n] != ' ' && line->at[n] != '\t')
		n++;
	*ret = (struct slice){ line->at, n };
	line->at += n;
	line->len -= n;
	return n > 0;
}

static bool
is_name_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.' ||
	    c == '@';
}

const char *
api_key_check_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > API_KEY_NAME_MAX)
		return "is not 1 to 32 characters long";
	for (size_t i = 0; i < n; i++)
		if (!is_name_char(name[i]))
			return "has a character that is not of A-Z a-z 0-9 "
			       "- _ . @";
	return NULL;
}

const char *
api_key_check_model(const char *pattern)
{
	size_t n = strlen(pattern);

	if (n == 0 || n > MODEL_NAME_MAX)
		return "is not 1 to 128 characters long";
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)pattern[i] <= ' ' || pattern[i] == 0x7f)
			return "has white space or a control character";
		if (pattern[i] == '*' && i + 1 < n)
			return "has a * that is not its end";
	}
	return NULL;
}

static int
take_limit(const struct reader *r, struct slice text, uint32_t *ret)
{
	uint32_t value = 0;

	if (*ret != 0)
		return complain(r, "a limit is given twice");
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return complain(r, "a limit is no number");
		value = value * 10 + (uint32_t)(text.at[i] - '0');
		if (value > API_KEY_LIMIT_MAX)
			return complain(
			    r, "a limit is over %d", (int)API_KEY_LIMIT_MAX);
	}
	if (value == 0)
		return complain(r, "a limit must be 1 or more");
	*ret = value;
	return 0;
}

static int
take_model(const struct reader *r, struct slice text, struct api_key *key)
{
	const char *wrong;
	char **models, *copy;

	if (key->n_models == API_KEY_MODELS_MAX)
		return complain(
		    r, "more than %d models", (int)API_KEY_MODELS_MAX);
	if ((copy = strndup(text.at, text.len)) == NULL)
		return -ENOMEM;
	models =
	    reallocarray(key->models, key->n_models + 1, sizeof(*key->models));
	if (models == NULL) {
		free(copy);
		return -ENOMEM;
	}
	key->models = models;
	models[key->n_models++] = copy;
	if ((wrong = api_key_check_model(copy)) != NULL)
		return complain(r, "a model's name %s", wrong);
	return 0;
}

static int
take_limits(const struct reader *r, struct slice line, struct api_key *key)
{
	static const char requests[] = "requests=", rate[] = "per-minute=",
			  model[] = "model=";
	struct slice word;
	int error = 0;

	while (error == 0 && take_word(&line, &word)) {
		size_t skip = 0;

		if (word.len > sizeof(requests) - 1 &&
		    memcmp(word.at, requests, sizeof(requests) - 1) == 0)
			skip = sizeof(requests) - 1;
		else if (word.len > sizeof(rate) - 1 &&
		    memcmp(word.at, rate, sizeof(rate) - 1) == 0)
			skip = sizeof(rate) - 1;
		else if (word.len > sizeof(model) - 1 &&
		    memcmp(word.at, model, sizeof(model) - 1) == 0)
			skip = sizeof(model) - 1;
		if (skip == 0)
			return complain(
			    r, "not one of requests=, per-minute=, model=");
		word.at += skip;
		word.len -= skip;
		if (skip == sizeof(model) - 1)
			error = take_model(r, word, key);
		else
			error = take_limit(r, word,
			    skip == sizeof(rate) - 1 ? &key->per_minute
						     : &key->requests);
	}
	return error;
}

static int
take_hash(const struct reader *r, struct slice word, struct api_key *key)
{
	size_t skip = sizeof(HASH_PREFIX) - 1;

	if (word.len <= skip || memcmp(word.at, HASH_PREFIX, skip) != 0 ||
	    hex_decode(word.at + skip, word.len - skip, key->hash,
		API_KEY_HASH_LEN) < 0)
		return complain(r,
		    "behind the name must stand sha256: and 64 hexadecimal "
		    "digits in lower case");
	return 0;
}

static int
check_unique(const struct reader *r, const struct api_keys *keys,
    const struct api_key *key)
{
	for (size_t i = 0; i < keys->n; i++) {
		if (strcmp(keys->at[i].name, key->name) == 0)
			return complain(
			    r, "the name \"%s\" is given twice", key->name);
		if (memcmp(keys->at[i].hash, key->hash, API_KEY_HASH_LEN) == 0)
			return complain(r,
			    "the key of \"%s\" is that of \"%s\"", key->name,
			    keys->at[i].name);
	}
	return 0;
}

static int
take_line(const struct reader *r, struct slice line, struct api_keys *keys)
{
	struct api_key *key = &keys->at[keys->n];
	struct slice name, hash;
	const char *wrong;
	int error;

	if (!take_word(&line, &name) || name.at[0] == '#')
		return 0;
	if (keys->n == API_KEYS_MAX)
		return complain(r, "more than %d keys", (int)API_KEYS_MAX);
	memset(key, 0, sizeof(*key));
	(void)snprintf(
	    key->name, sizeof(key->name), "%.*s", (int)name.len, name.at);
	wrong = name.len > API_KEY_NAME_MAX ? "is longer than 32 characters"
					    : api_key_check_name(key->name);
	if (wrong != NULL)
		return complain(r, "the name %s", wrong);
	(void)take_word(&line, &hash);
	if ((error = take_hash(r, hash, key)) < 0 ||
	    (error = check_unique(r, keys, key)) < 0)
		return error;
	keys->n++; // owns the models from here on
	return take_limits(r, line, key);
}

static int
parse(struct reader *r, const char *text, size_t len, struct api_keys *keys)
{
	const char *end = text + len, *next;
	int error = 0;

	for (const char *at = text; at < end && error == 0; at = next + 1) {
		next = memchr(at, '\n', (size_t)(end - at));
		if (next == NULL)
			next = end;
		r->line++;
		for (const char *c = at; c < next; c++)
			if (((unsigned char)*c < ' ' && *c != '\t') ||
			    *c == 0x7f)
				return complain(r, "has a control character");
		error = take_line(
		    r, (struct slice){ at, (size_t)(next - at) }, keys);
	}
	return error;
}

int
api_keys_parse(const char *text, size_t len, struct api_keys *ret, char *error,
    size_t error_len)
{
	struct reader r = { .error = error, .error_len = error_len };
	struct api_keys keys = { .n = 0 };
	int result = -ENOMEM;

	if (len > API_KEYS_FILE_MAX) {
		(void)snprintf(error, error_len, "is larger than 256 KiB");
		return -EINVAL;
	}
	(void)snprintf(error, error_len, "out of memory");
	keys.at = calloc(API_KEYS_MAX, sizeof(*keys.at));
	if (keys.at != NULL)
		result = parse(&r, text, len, &keys);
	if (result < 0)
		api_keys_done(&keys);
	else
		*ret = keys;
	return result;
}

void
api_key_done(struct api_key *key)
{
	for (size_t i = 0; i < key->n_models; i++)
		free(key->models[i]);
	free(key->models);
	memset(key, 0, sizeof(*key));
}

void
api_keys_done(struct api_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		api_key_done(&keys->at[i]);
	free(keys->at);
	*keys = (struct api_keys){ .n = 0 };
}

void
api_key_move(struct api_key *to, struct api_key *from)
{
	*to = *from;
	memset(from, 0, sizeof(*from));
}

bool
api_key_has_model(const struct api_key *key, const char *model)
{
	if (key->n_models == 0)
		return true;
	for (size_t i = 0; i < key->n_models; i++) {
		const char *pattern = key->models[i];
		size_t n = strlen(pattern);

		if (pattern[n - 1] == '*' ? strncmp(pattern, model, n - 1) == 0
					  : strcmp(pattern, model) == 0)
			return true;
	}
	return false;
}

void
api_key_hash(const char *key, size_t len, uint8_t ret[static API_KEY_HASH_LEN])
{
	(void)crypto_hash_sha256(ret, (const unsigned char *)key, len);
}

void
api_key_make(char ret[static API_KEY_TEXT_MAX])
{
	uint8_t random[API_KEY_RANDOM_LEN];

	randombytes_buf(random, sizeof(random));
	memcpy(ret, KEY_PREFIX, sizeof(KEY_PREFIX) - 1);
	(void)sodium_bin2base64(ret + sizeof(KEY_PREFIX) - 1,
	    API_KEY_TEXT_MAX - (sizeof(KEY_PREFIX) - 1), random, sizeof(random),
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(random, sizeof(random));
}
