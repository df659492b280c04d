// One pass over a body that was checked before; it must stay inside of it
// whatever it holds.  Nothing is kept of it but a hash and two numbers.
#include "proxyd/json_hints.h"

#include <sodium.h>
#include <string.h>

enum {
	BYTES_PER_TOKEN = 4,
	TOKENS_OF_DATA = 1024, // of a picture or a sound inside of the text
	TOKENS_SPARE = 256,
	TOKENS_MAX = 1 << 24,
};

// Whose value comes next at the top.
enum top {
	TOP_OTHER,
	TOP_CACHE_KEY, // strings that name the session, the best last
	TOP_USER,
	TOP_MESSAGES,  // where a conversation is
	TOP_BEGINNING, // what stands in front of it
	TOP_LIMIT,     // of the answer
};

static const struct {
	const char *name;
	enum top top;
} names[] = {
	{ "prompt_cache_key", TOP_CACHE_KEY },
	{ "user", TOP_USER },
	{ "safety_identifier", TOP_USER },
	{ "session_id", TOP_USER },
	{ "messages", TOP_MESSAGES },
	{ "input", TOP_MESSAGES },
	{ "prompt", TOP_MESSAGES },
	{ "tools", TOP_BEGINNING },
	{ "system", TOP_BEGINNING },
	{ "instructions", TOP_BEGINNING },
	{ "max_tokens", TOP_LIMIT },
	{ "max_completion_tokens", TOP_LIMIT },
	{ "max_output_tokens", TOP_LIMIT },
	{ "n_predict", TOP_LIMIT },
};

struct walk {
	const uint8_t *at, *end;
	size_t depth;
	enum top top;
	bool is_role;	     // the key was "role"
	bool has_asked;	     // the message that is read is a user's
	bool has_ended;	     // the beginning of the conversation did
	const uint8_t *from; // of the value that may be hashed; or NULL
	size_t hashed;
	crypto_generichash_state beginning;
	bool has_beginning;
	uint64_t cache_key, user;
	bool has_cache_key, has_user;
	uint64_t limit, text;
	const uint8_t *key;
};

static bool
is_text(const uint8_t *at, size_t n, const char *text)
{
	return n == strlen(text) && memcmp(at, text, n) == 0;
}

static uint64_t
hash_of(const struct walk *w, const uint8_t *at, size_t n)
{
	uint8_t hash[crypto_generichash_BYTES_MIN];
	uint64_t ret;

	(void)crypto_generichash(
	    hash, sizeof(hash), at, n, w->key, JSON_HINTS_KEY_LEN);
	memcpy(&ret, hash, sizeof(ret));
	return ret;
}

// A part of how the conversation begins.
static void
add_beginning(struct walk *w, const uint8_t *at, size_t n)
{
	size_t room = JSON_HINTS_PREFIX_MAX - w->hashed;

	if (n > room)
		n = room;
	(void)crypto_generichash_update(&w->beginning, at, n);
	w->hashed += n;
	w->has_beginning = true;
}

static void
take_key(struct walk *w, const uint8_t *at, size_t n)
{
	w->is_role = w->depth == 3 && is_text(at, n, "role");
	if (w->depth != 1)
		return;
	w->top = TOP_OTHER;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (is_text(at, n, names[i].name))
			w->top = names[i].top;
}

static void
take_string(struct walk *w, const uint8_t *at, size_t n)
{
	static const char data[] = "data:";
	bool is_data = n > 256 && memcmp(at, data, sizeof(data) - 1) == 0;

	w->text += is_data ? TOKENS_OF_DATA * BYTES_PER_TOKEN : n;
	if (w->is_role && w->top == TOP_MESSAGES && is_text(at, n, "user"))
		w->has_asked = true;
	w->is_role = false;
	if (w->depth != 1 || n == 0)
		return;
	if (w->top == TOP_CACHE_KEY) {
		w->cache_key = hash_of(w, at, n);
		w->has_cache_key = true;
	} else if (w->top == TOP_USER) {
		w->user = hash_of(w, at, n);
		w->has_user = true;
	} else if (w->top == TOP_MESSAGES || w->top == TOP_BEGINNING) {
		add_beginning(w, at, n);
	}
}

// From behind the opening quotation mark; the end of the text inside.
static const uint8_t *
end_of_string(const uint8_t *at, const uint8_t *end)
{
	while (at < end) {
		const uint8_t *quote = memchr(at, '"', (size_t)(end - at));
		const uint8_t *back = quote;

		if (quote == NULL)
			return end;
		while (back > at && back[-1] == '\\')
			back--;
		if ((quote - back) % 2 == 0)
			return quote;
		at = quote + 1;
	}
	return end;
}

static void
step_string(struct walk *w)
{
	const uint8_t *text = w->at + 1;
	const uint8_t *end = end_of_string(text, w->end);
	const uint8_t *next = end < w->end ? end + 1 : end;

	w->at = next;
	while (next < w->end &&
	    (*next == ' ' || *next == '\n' || *next == '\t' || *next == '\r'))
		next++;
	if (next < w->end && *next == ':')
		take_key(w, text, (size_t)(end - text));
	else
		take_string(w, text, (size_t)(end - text));
}

// The values that begin a conversation: all of tools and the like, and the
// messages up to the first one of the user.
static void
open_bracket(struct walk *w)
{
	w->depth++;
	if (w->depth == 2 &&
	    (w->top == TOP_MESSAGES || w->top == TOP_BEGINNING)) {
		w->from = w->at;
		w->has_ended = false;
		w->has_asked = false;
	}
}

static void
close_bracket(struct walk *w)
{
	bool ends = w->depth == 2 ||
	    (w->depth == 3 && w->top == TOP_MESSAGES && w->has_asked);

	if (w->from != NULL && ends && !w->has_ended) {
		add_beginning(w, w->from, (size_t)(w->at - w->from));
		w->has_ended = true;
	}
	if (w->depth == 2)
		w->from = NULL;
	if (w->depth > 0)
		w->depth--;
}

static void
step_number(struct walk *w)
{
	uint64_t n = 0;

	for (; w->at < w->end && *w->at >= '0' && *w->at <= '9'; w->at++)
		if (n < TOKENS_MAX)
			n = n * 10 + (uint64_t)(*w->at - '0');
	if (w->depth == 1 && w->top == TOP_LIMIT)
		w->limit = n < TOKENS_MAX ? n : TOKENS_MAX;
}

static void
step(struct walk *w)
{
	switch (*w->at) {
	case '"':
		step_string(w);
		return;
	case '{':
	case '[':
		open_bracket(w);
		break;
	case '}':
	case ']':
		close_bracket(w);
		break;
	default:
		if (*w->at >= '0' && *w->at <= '9') {
			step_number(w);
			return;
		}
	}
	w->at++;
}

static void
conclude(struct walk *w, struct json_hints *ret)
{
	uint8_t hash[crypto_generichash_BYTES_MIN];

	(void)crypto_generichash_final(&w->beginning, hash, sizeof(hash));
	ret->has_session = w->has_cache_key || w->has_user || w->has_beginning;
	if (w->has_cache_key)
		ret->session = w->cache_key;
	else if (w->has_user)
		ret->session = w->user;
	else
		memcpy(&ret->session, hash, sizeof(ret->session));
	ret->tokens = w->text / BYTES_PER_TOKEN + w->limit + TOKENS_SPARE;
}

void
json_hints_read(const uint8_t *body, size_t len,
    const uint8_t key[static JSON_HINTS_KEY_LEN], struct json_hints *ret)
{
	struct walk w = { .at = body, .end = body + len, .key = key };

	memset(ret, 0, sizeof(*ret));
	if (len == 0)
		return;
	(void)crypto_generichash_init(&w.beginning, key, JSON_HINTS_KEY_LEN,
	    crypto_generichash_BYTES_MIN);
	while (w.at < w.end)
		step(&w);
	conclude(&w, ret);
	sodium_memzero(&w, sizeof(w));
}
