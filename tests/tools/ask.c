// Reads a request body piece by piece and keeps only what the backend needs:
// so 64 MiB cost one pass and no copy.  The body is a test's, not trusted to
// be JSON at all; nothing here may keep more than TEXT_MAX of it.
#include "tests/tools/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define TEXT_MAX ((size_t)4 * 1024 * 1024)

enum { AT_STRUCTURE, IN_STRING, IN_ESCAPE, IN_HEX, IN_SCALAR };
enum field_type { FIELD_NUMBER, FIELD_BOOL, FIELD_TEXT };

#define FIELD(path, type, member)                         \
	{                                                 \
		path, type, offsetof(struct ask, member), \
		    sizeof(((struct ask *)0)->member)     \
	}

static const struct {
	const char *path;
	enum field_type type;
	size_t offset;
	size_t size;
} fields[] = {
	// clang-format off
	FIELD("model", FIELD_TEXT, model),
	FIELD("stream", FIELD_BOOL, stream),
	FIELD("stream_options.include_usage", FIELD_BOOL, include_usage),
	FIELD("max_tokens", FIELD_NUMBER, max_tokens),
	FIELD("max_completion_tokens", FIELD_NUMBER, max_tokens),
	FIELD("dimensions", FIELD_NUMBER, dimensions),
	FIELD("encoding_format", FIELD_TEXT, encoding_format),
	FIELD("fault", FIELD_TEXT, knobs.fault),
	FIELD("fault_after", FIELD_NUMBER, knobs.fault_after),
	FIELD("demo_tokens", FIELD_NUMBER, knobs.tokens),
	FIELD("demo_token_bytes", FIELD_NUMBER, knobs.token_bytes),
	FIELD("demo_delay_ms", FIELD_NUMBER, knobs.delay_ms),
	FIELD("demo_first_ms", FIELD_NUMBER, knobs.first_ms),
	FIELD("demo_bytes", FIELD_NUMBER, knobs.bytes),
	FIELD("demo_stamp", FIELD_BOOL, knobs.stamp),
	FIELD("demo_framing", FIELD_TEXT, knobs.framing),
	// clang-format on
};

static const char *const text_paths[] = { "messages[].content",
	"messages[].content[].text", "prompt", "prompt[]", "input", "input[]" };

void
ask_start(struct ask *ask, struct scan *scan, const struct knobs *knobs)
{
	struct buffer text = ask->text;
	struct buffer inputs = ask->inputs;
	struct buffer pending = scan->pending;

	buffer_reset(&text);
	buffer_reset(&inputs);
	buffer_reset(&pending);
	*ask = (struct ask){ .knobs = *knobs, .text = text, .inputs = inputs };
	*scan = (struct scan){ .pending = pending };
}

bool
ask_is_complete(const struct scan *scan)
{
	return scan->done && !scan->bad;
}

void
ask_done(struct ask *ask, struct scan *scan)
{
	buffer_done(&ask->text);
	buffer_done(&ask->inputs);
	buffer_done(&scan->pending);
}

static bool
path_is(const struct scan *s, const char *path)
{
	return strcmp(s->path, path) == 0;
}

static void
path_set(struct scan *s, const char *tail, size_t len)
{
	size_t base = s->path_len[s->depth];
	size_t dot = base != 0 && tail[0] != '[' ? 1 : 0;

	if (base + dot + len >= sizeof(s->path)) {
		// Deeper or longer than any name we know: match nothing.
		tail = "?";
		len = base + dot + 1 < sizeof(s->path) ? 1 : 0;
		dot = len != 0 ? dot : 0;
	}
	if (dot != 0)
		s->path[base] = '.';
	memcpy(s->path + base + dot, tail, len);
	s->path[base + dot + len] = '\0';
}

static void
keep_field(struct ask *ask, const struct scan *s, bool is_string)
{
	for (size_t i = 0; i < N_ELEMENTS(fields); i++) {
		char *to = (char *)ask + fields[i].offset;

		if (!path_is(s, fields[i].path))
			continue;
		if (fields[i].type == FIELD_TEXT && is_string) {
			(void)snprintf(to, fields[i].size, "%s", s->value);
		} else if (fields[i].type == FIELD_BOOL) {
			bool yes = strcmp(s->value, "true") == 0;

			memcpy(to, &yes, sizeof(yes));
		} else if (fields[i].type == FIELD_NUMBER && !is_string) {
			int64_t n = strtoll(s->value, NULL, 10);

			n = n < 0 ? 0 : n;
			memcpy(to, &n, sizeof(n));
		}
		return;
	}
}

static uint64_t
hash_bytes(const char *p, size_t len)
{
	uint64_t h = 14695981039346656037U; // FNV-1a

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)p[i]) * 1099511628211U;
	return h;
}

static void
value_end(struct ask *ask, struct scan *s, bool is_string)
{
	s->value[s->value_len] = '\0';
	if (!s->to_text) {
		keep_field(ask, s, is_string);
		if (path_is(s, "messages[].role"))
			s->user = strcmp(s->value, "user") == 0;
	} else if (strncmp(s->path, "messages", 8) != 0) {
		uint64_t h = hash_bytes(
		    buffer_bytes(&s->pending), buffer_len(&s->pending));

		buffer_add(&ask->inputs, (const char *)&h, sizeof(h));
		buffer_reset(&ask->text);
		buffer_add(&ask->text, buffer_bytes(&s->pending),
		    buffer_len(&s->pending));
		buffer_reset(&s->pending);
	}
	s->to_text = false;
}

static void
put(struct scan *s, const char *p, size_t len)
{
	if (s->to_text) {
		size_t room = TEXT_MAX - buffer_len(&s->pending);

		buffer_add(&s->pending, p, len < room ? len : room);
	} else {
		size_t room = sizeof(s->value) - 1 - s->value_len;

		len = len < room ? len : room;
		memcpy(s->value + s->value_len, p, len);
		s->value_len += len;
	}
}

static void
put_code_point(struct scan *s, unsigned c)
{
	char u[4];

	if (c < 0x80) {
		u[0] = (char)c;
		put(s, u, 1);
	} else if (c < 0x800) {
		u[0] = (char)(0xc0 | (c >> 6));
		u[1] = (char)(0x80 | (c & 0x3f));
		put(s, u, 2);
	} else if (c < 0x10000) {
		u[0] = (char)(0xe0 | (c >> 12));
		u[1] = (char)(0x80 | ((c >> 6) & 0x3f));
		u[2] = (char)(0x80 | (c & 0x3f));
		put(s, u, 3);
	} else {
		u[0] = (char)(0xf0 | (c >> 18));
		u[1] = (char)(0x80 | ((c >> 12) & 0x3f));
		u[2] = (char)(0x80 | ((c >> 6) & 0x3f));
		u[3] = (char)(0x80 | (c & 0x3f));
		put(s, u, 4);
	}
}

static void
hex_digit(struct scan *s, char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *d = strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);

	if (d == NULL || c == '\0') {
		s->bad = true;
		return;
	}
	s->hex = s->hex * 16 + (unsigned)(d - digits);
	if (--s->hex_left != 0)
		return;
	s->state = IN_STRING;
	if (s->hex >= 0xd800 && s->hex < 0xdc00) {
		s->high_surrogate = s->hex;
	} else if (s->hex >= 0xdc00 && s->hex < 0xe000) {
		put_code_point(s,
		    0x10000 + ((s->high_surrogate & 0x3ff) << 10) +
			(s->hex & 0x3ff));
	} else {
		put_code_point(s, s->hex);
	}
}

static void
escape(struct scan *s, char c)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	const char *p;

	s->state = IN_STRING;
	if (c == 'u') {
		s->state = IN_HEX;
		s->hex = 0;
		s->hex_left = 4;
	} else if (c != '\0' && (p = strchr(from, c)) != NULL) {
		put(s, &to[p - from], 1);
	} else {
		s->bad = true;
	}
}

static void
string_end(struct ask *ask, struct scan *s)
{
	s->state = AT_STRUCTURE;
	if (s->expect_key) {
		path_set(s, s->value, s->value_len);
		s->expect_key = false;
	} else {
		value_end(ask, s, true);
	}
}

static void
value_start(struct scan *s)
{
	s->value_len = 0;
	s->to_text = false;
	if (s->expect_key)
		return;
	if (s->depth != 0 && s->kind[s->depth - 1] == '[')
		path_set(s, "[]", 2);
}

static void
open_level(struct scan *s, char c)
{
	value_start(s);
	if (s->depth == SCAN_DEPTH_MAX || s->expect_key ||
	    (s->depth == 0 && c != '{')) {
		s->bad = true;
		return;
	}
	if (path_is(s, "messages[]")) {
		s->user = false;
		buffer_reset(&s->pending);
	}
	s->kind[s->depth++] = c;
	s->path_len[s->depth] = (uint8_t)strlen(s->path);
	s->expect_key = c == '{';
}

static void
close_level(struct ask *ask, struct scan *s, char c)
{
	if (s->depth == 0 || s->kind[s->depth - 1] != (c == '}' ? '{' : '[')) {
		s->bad = true;
		return;
	}
	s->path[s->path_len[s->depth]] = '\0';
	if (c == '}' && s->user && path_is(s, "messages[]")) {
		struct buffer swap = ask->text;

		ask->text = s->pending;
		s->pending = swap;
		s->user = false;
	}
	s->expect_key = false;
	s->depth--;
	s->done = s->depth == 0;
}

static void
string_start(struct scan *s)
{
	value_start(s);
	s->state = IN_STRING;
	if (s->depth == 0)
		s->bad = true;
	for (size_t i = 0; i < N_ELEMENTS(text_paths) && !s->expect_key; i++)
		if (path_is(s, text_paths[i]))
			s->to_text = true;
}

static void
structure(struct ask *ask, struct scan *s, char c)
{
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return;
	if (s->done) {
		s->bad = true;
	} else if (c == '{' || c == '[') {
		open_level(s, c);
	} else if (c == '}' || c == ']') {
		close_level(ask, s, c);
	} else if (c == '"') {
		string_start(s);
	} else if (c == ',') {
		s->expect_key = s->depth != 0 && s->kind[s->depth - 1] == '{';
	} else if (c != ':') {
		value_start(s);
		s->bad |= s->depth == 0 || s->expect_key ||
		    strchr("-0123456789tfn", c) == NULL;
		s->state = IN_SCALAR;
		put(s, &c, 1);
	}
}

static bool
ends_scalar(char c)
{
	return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\t' ||
	    c == '\r' || c == '\n';
}

// The plain part of a string from p; the caller sees to what stopped it.
static size_t
plain_run(const char *p, size_t len, size_t *quote)
{
	const char *slash;

	if (*quote == 0) {
		const char *q = memchr(p, '"', len);

		*quote = q != NULL ? (size_t)(q - p) : len;
	}
	slash = memchr(p, '\\', *quote);
	return slash != NULL ? (size_t)(slash - p) : *quote;
}

void
ask_feed(struct ask *ask, struct scan *s, const char *p, size_t len)
{
	size_t i = 0;
	size_t quote = 0; // distance of the next quotation mark, if known

	while (i < len && !s->bad) {
		size_t run;

		if (s->state == AT_STRUCTURE) {
			structure(ask, s, p[i++]);
			quote = 0;
		} else if (s->state == IN_ESCAPE || s->state == IN_HEX) {
			if (s->state == IN_HEX)
				hex_digit(s, p[i]);
			else
				escape(s, p[i]);
			i++;
			// An escaped mark is not the end of the string.
			quote = quote > 1 ? quote - 1 : 0;
		} else if (s->state == IN_SCALAR) {
			if (ends_scalar(p[i])) {
				s->state = AT_STRUCTURE;
				value_end(ask, s, false);
			} else {
				put(s, &p[i++], 1);
			}
		} else {
			run = plain_run(p + i, len - i, &quote);
			put(s, p + i, run);
			i += run;
			quote -= run;
			if (i == len)
				break;
			if (p[i] == '"') {
				string_end(ask, s);
			} else {
				s->state = IN_ESCAPE;
				quote = quote > 0 ? quote - 1 : 0;
			}
			i++;
		}
	}
}
