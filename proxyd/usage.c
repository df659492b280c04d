// Finds the numbers of tokens in answers.  These were written by a backend or
// a host, and are believed only as far as a statistic goes: nothing is decided
// by them.  A copy is made of nothing but the one small object.
#include "proxyd/usage.h"

#include <string.h>

#define NAME "\"usage\""

enum { NAME_LEN = sizeof(NAME) - 1, DIGITS_MAX = 12 };
enum { SEARCHING, COLON, BRACE, INSIDE };

static bool
is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// The number that stands behind this name, or what it was.
static uint64_t
number_of(const struct usage *u, const char *name, uint64_t was)
{
	const char *end = u->text + u->len;
	const char *at = memmem(u->text, u->len, name, strlen(name));
	uint64_t n = 0;
	int digits = 0;

	if (at == NULL)
		return was;
	at += strlen(name);
	while (at < end && (is_space((uint8_t)*at) || *at == ':'))
		at++;
	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		if (++digits > DIGITS_MAX)
			return was;
		n = n * 10 + (uint64_t)(*at - '0');
	}
	return digits == 0 ? was : n;
}

static void
read_numbers(struct usage *u)
{
	u->prompt = number_of(u, "\"prompt_tokens\"", u->prompt);
	u->prompt = number_of(u, "\"input_tokens\"", u->prompt);
	u->completion = number_of(u, "\"completion_tokens\"", u->completion);
	u->completion = number_of(u, "\"output_tokens\"", u->completion);
}

// One byte behind the name.
static void
step(struct usage *u, uint8_t c)
{
	if (u->state != INSIDE) {
		if (is_space(c))
			return;
		if (u->state == COLON && c == ':') {
			u->state = BRACE;
			return;
		}
		u->state = u->state == BRACE && c == '{' ? INSIDE : SEARCHING;
		u->len = 0;
		u->depth = 0;
		if (u->state == SEARCHING)
			return;
	}
	if (u->len == USAGE_TEXT_MAX) {
		u->state = SEARCHING;
		return;
	}
	u->text[u->len++] = (char)c;
	u->depth = (uint8_t)(u->depth + (c == '{') - (c == '}'));
	if (u->depth == 0) {
		read_numbers(u);
		u->state = SEARCHING;
	}
}

// How many bytes belong to a name whose first bytes were seen before; 0: none.
static size_t
finish_cut_name(const struct usage *u, const uint8_t *bytes, size_t n)
{
	char both[2 * USAGE_TAIL_MAX];
	size_t more = n < USAGE_TAIL_MAX ? n : USAGE_TAIL_MAX;
	const char *at;

	if (u->n_tail == 0)
		return 0;
	memcpy(both, u->tail, u->n_tail);
	memcpy(both + u->n_tail, bytes, more);
	at = memmem(both, u->n_tail + more, NAME, NAME_LEN);
	return at == NULL ? 0 : (size_t)(at - both) + NAME_LEN - u->n_tail;
}

static void
keep_tail(struct usage *u, const uint8_t *bytes, size_t n)
{
	size_t keep = n < USAGE_TAIL_MAX ? USAGE_TAIL_MAX - n : 0;

	if (keep > u->n_tail)
		keep = u->n_tail;
	if (n > USAGE_TAIL_MAX) {
		bytes += n - USAGE_TAIL_MAX;
		n = USAGE_TAIL_MAX;
	}
	memmove(u->tail, u->tail + u->n_tail - keep, keep);
	memcpy(u->tail + keep, bytes, n);
	u->n_tail = (uint8_t)(keep + n);
}

void
usage_feed(struct usage *u, const uint8_t *bytes, size_t n)
{
	const uint8_t *end = bytes + n, *at = bytes, *name;
	size_t used;

	while (at < end) {
		if (u->state != SEARCHING) {
			step(u, *at++);
			continue;
		}
		used = at == bytes ? finish_cut_name(u, bytes, n) : 0;
		if (used == 0) {
			name = memmem(at, (size_t)(end - at), NAME, NAME_LEN);
			if (name == NULL)
				break;
			used = (size_t)(name - at) + NAME_LEN;
		}
		at += used;
		u->state = COLON;
		u->n_tail = 0;
	}
	if (u->state == SEARCHING)
		keep_tail(u, at, (size_t)(end - at));
}
