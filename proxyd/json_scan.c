// A strict JSON scanner that keeps only "model" and "stream".
//
// The bytes come from a client or a peer and are trusted with nothing.  It
// must never accept a body that the backend's parser could route differently
// from us, and never keep more than the two fields.
#include "proxyd/json_scan.h"

#include <errno.h>
#include <string.h>

#include "common/utf8.h"
#include "proxyd/json_plain.h"

enum state {
	S_START, // white space in front of the document
	S_KEY_OR_END,
	S_KEY,
	S_COLON,
	S_VALUE,
	S_VALUE_OR_END, // behind '['
	S_AFTER_VALUE,
	S_STRING,
	S_CHARACTER, // inside a UTF-8 sequence
	S_ESCAPE,
	S_UNIT,	    // the digits of \u
	S_SECOND,   // the '\' of a low surrogate
	S_SECOND_U, // its 'u'
	S_LITERAL,
	S_MINUS,
	S_ZERO,
	S_DIGITS,
	S_POINT,
	S_FRACTION,
	S_EXPONENT,
	S_EXPONENT_SIGN,
	S_EXPONENT_DIGITS,
	S_END,
	S_BROKEN,
};

enum { KEY_OTHER, KEY_MODEL, KEY_STREAM };

static const char not_json[] = "The request body is not valid JSON";

void
json_scan_init(struct json_scan *s)
{
	*s = (struct json_scan){ .state = S_START };
}

const char *
json_scan_why(const struct json_scan *s)
{
	return s->why == NULL ? not_json : s->why;
}

static bool
refuse(struct json_scan *s, const char *why)
{
	s->why = why;
	return false;
}

static bool
is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool
is_model_value(const struct json_scan *s)
{
	return !s->is_key && s->depth == 1 && s->routed == KEY_MODEL;
}

// What the string that begins or goes on is kept for.
static bool
keep(struct json_scan *s, const uint8_t *at, size_t n)
{
	if (s->is_key && s->depth == 1) {
		// A key that is too long is none of ours; one byte more than
		// fits is enough to know.
		if (n > sizeof(s->key_text) - s->key_len)
			n = sizeof(s->key_text) - s->key_len;
		memcpy(s->key_text + s->key_len, at, n);
		s->key_len += n;
	} else if (is_model_value(s)) {
		if (n > MODEL_NAME_MAX - s->model_len)
			return refuse(s, "The model name is too long");
		memcpy(s->model + s->model_len, at, n);
		s->model_len += n;
	}
	return true;
}

static bool
key_is(const struct json_scan *s, const char *name)
{
	return s->key_len == strlen(name) &&
	    memcmp(s->key_text, name, s->key_len) == 0;
}

static bool
end_key(struct json_scan *s)
{
	s->state = S_COLON;
	if (s->depth != 1)
		return true;
	s->routed = KEY_OTHER;
	if (key_is(s, "model")) {
		if (s->has_model)
			return refuse(s, "model is given twice");
		s->routed = KEY_MODEL;
	} else if (key_is(s, "stream")) {
		if (s->has_stream)
			return refuse(s, "stream is given twice");
		s->routed = KEY_STREAM;
	} else if (key_is(s, "stream_o")) { // as much as is kept of a key
		s->has_stream_options = true;
	}
	return true;
}

static bool
end_string(struct json_scan *s)
{
	if (s->is_key)
		return end_key(s);
	if (is_model_value(s)) {
		s->model[s->model_len] = '\0';
		s->has_model = true;
	}
	s->state = S_AFTER_VALUE;
	return true;
}

static void
begin_string(struct json_scan *s, bool is_key)
{
	s->state = S_STRING;
	s->is_key = is_key;
	if (is_key)
		s->key_len = 0;
}

static bool
open_bracket(struct json_scan *s, bool array)
{
	if (s->depth == JSON_SCAN_DEPTH_MAX)
		return refuse(s, "The request body is nested too deeply");
	s->in_array = s->in_array << 1 | (array ? 1 : 0);
	s->depth++;
	s->state = array ? S_VALUE_OR_END : S_KEY_OR_END;
	return true;
}

static bool
close_bracket(struct json_scan *s, uint8_t c)
{
	if ((c == ']') != ((s->in_array & 1) != 0))
		return false;
	s->in_array >>= 1;
	s->depth--;
	s->state = s->depth == 0 ? S_END : S_AFTER_VALUE;
	return true;
}

static bool
begin_literal(struct json_scan *s, uint8_t c)
{
	s->state = S_LITERAL;
	s->literal = c == 't' ? "rue" : c == 'f' ? "alse" : "ull";
	if (s->depth == 1 && s->routed == KEY_STREAM) {
		s->has_stream = true;
		s->stream = c == 't';
	}
	return true;
}

static bool
begin_value(struct json_scan *s, uint8_t c)
{
	bool is_literal = c == 't' || c == 'f' || c == 'n';

	if (s->depth == 1 && s->routed == KEY_MODEL && c != '"')
		return refuse(s, "model must be a string");
	if (s->depth == 1 && s->routed == KEY_STREAM && !is_literal)
		return refuse(s, "stream must be true or false");
	if (is_literal)
		return begin_literal(s, c);
	if (c == '"') {
		begin_string(s, false);
		return true;
	}
	if (c == '{' || c == '[')
		return open_bracket(s, c == '[');
	s->state = c == '-' ? S_MINUS : c == '0' ? S_ZERO : S_DIGITS;
	return c == '-' || is_digit(c);
}

static bool
step_after_value(struct json_scan *s, uint8_t c)
{
	if (c == ',') {
		s->state = (s->in_array & 1) != 0 ? S_VALUE : S_KEY;
		return true;
	}
	return (c == '}' || c == ']') && close_bracket(s, c);
}

// Between tokens; white space was skipped.
static bool
step_structure(struct json_scan *s, uint8_t c)
{
	switch (s->state) {
	case S_START:
		return c == '{'
		    ? open_bracket(s, false)
		    : refuse(s, "The request body is not a JSON object");
	case S_KEY_OR_END:
		if (c == '}')
			return close_bracket(s, c);
		begin_string(s, true);
		return c == '"';
	case S_KEY:
		begin_string(s, true);
		return c == '"';
	case S_COLON:
		s->state = S_VALUE;
		return c == ':';
	case S_VALUE_OR_END:
		if (c == ']')
			return close_bracket(s, c);
		return begin_value(s, c);
	case S_VALUE:
		return begin_value(s, c);
	case S_AFTER_VALUE:
		return step_after_value(s, c);
	default:
		return false; // S_END: nothing may follow
	}
}

static bool
step_string(struct json_scan *s, uint8_t c)
{
	struct utf8_lead lead;

	if (c == '"')
		return end_string(s);
	if (c == '\\') {
		if (s->is_key && s->depth == 1)
			return refuse(s, "Escape in a top-level key");
		s->state = S_ESCAPE;
		return true;
	}
	lead = utf8_lead(c);
	if (lead.left == 0)
		return false; // a control byte, too, stands alone nowhere
	s->state = S_CHARACTER;
	s->left = lead.left;
	s->min = lead.min;
	s->max = lead.max;
	return keep(s, &c, 1);
}

static bool
step_character(struct json_scan *s, uint8_t c)
{
	if (c < s->min || c > s->max)
		return false;
	s->min = 0x80;
	s->max = 0xbf;
	if (--s->left == 0)
		s->state = S_STRING;
	return keep(s, &c, 1);
}

// An escaped character of the model's name.  Clients escape '/' (PHP) and
// what is not ASCII (Python); a control character has no business there.
static bool
keep_escaped(struct json_scan *s, uint32_t c)
{
	uint8_t text[4];
	size_t n = 0;

	if (!is_model_value(s))
		return true;
	if (c < 0x20 || c == 0x7f)
		return refuse(s, "Control character in the model name");
	if (c < 0x80) {
		text[n++] = (uint8_t)c;
	} else if (c < 0x800) {
		text[n++] = (uint8_t)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		text[n++] = (uint8_t)(0xe0 | c >> 12);
		text[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	} else {
		text[n++] = (uint8_t)(0xf0 | c >> 18);
		text[n++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
		text[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		text[n++] = (uint8_t)(0x80 | (c & 0x3f));
	return keep(s, text, n);
}

static bool
step_escape(struct json_scan *s, uint8_t c)
{
	if (c == 'u') {
		s->state = S_UNIT;
		s->left = 4;
		s->unit = 0;
		return true;
	}
	s->state = S_STRING;
	if (c == '"' || c == '\\' || c == '/')
		return keep_escaped(s, c);
	return c != '\0' && strchr("bfnrt", c) != NULL && keep_escaped(s, '\n');
}

static bool
end_unit(struct json_scan *s)
{
	uint32_t c = s->unit;
	bool high = c >= 0xd800 && c <= 0xdbff;
	bool low = c >= 0xdc00 && c <= 0xdfff;

	if (low != s->is_second)
		return false;
	s->is_second = false;
	s->state = high ? S_SECOND : S_STRING;
	if (high) {
		s->first_unit = c;
		return true;
	}
	if (low)
		c = 0x10000 + ((s->first_unit & 0x3ff) << 10 | (c & 0x3ff));
	return keep_escaped(s, c);
}

static bool
step_unit(struct json_scan *s, uint8_t c)
{
	uint32_t digit;

	if (is_digit(c))
		digit = (uint32_t)(c - '0');
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		digit = (uint32_t)((c | 0x20) - 'a' + 10);
	else
		return false;
	s->unit = s->unit << 4 | digit;
	return --s->left != 0 || end_unit(s);
}

static bool
step_second(struct json_scan *s, uint8_t c)
{
	if (s->state == S_SECOND) {
		s->state = S_SECOND_U;
		return c == '\\';
	}
	s->state = S_UNIT;
	s->left = 4;
	s->unit = 0;
	s->is_second = true;
	return c == 'u';
}

static bool
step_literal(struct json_scan *s, uint8_t c)
{
	if (c != (uint8_t)*s->literal)
		return false;
	if (*++s->literal == '\0')
		s->state = S_AFTER_VALUE;
	return true;
}

// One byte of a number, or the first one behind it.
static bool
step_number(struct json_scan *s, uint8_t c)
{
	bool digit = is_digit(c);

	switch (s->state) {
	case S_MINUS:
		s->state = c == '0' ? S_ZERO : S_DIGITS;
		return digit;
	case S_POINT:
		s->state = S_FRACTION;
		return digit;
	case S_EXPONENT:
		s->state = digit ? S_EXPONENT_DIGITS : S_EXPONENT_SIGN;
		return digit || c == '+' || c == '-';
	case S_EXPONENT_SIGN:
		s->state = S_EXPONENT_DIGITS;
		return digit;
	default:
		break;
	}
	// Here the number could be complete.
	if (digit)
		return s->state != S_ZERO;
	if (c == '.' && (s->state == S_ZERO || s->state == S_DIGITS)) {
		s->state = S_POINT;
		return true;
	}
	if ((c == 'e' || c == 'E') && s->state != S_EXPONENT_DIGITS) {
		s->state = S_EXPONENT;
		return true;
	}
	s->state = S_AFTER_VALUE;
	return is_space(c) || step_after_value(s, c);
}

static bool
step(struct json_scan *s, uint8_t c)
{
	switch (s->state) {
	case S_STRING:
		return step_string(s, c);
	case S_CHARACTER:
		return step_character(s, c);
	case S_ESCAPE:
		return step_escape(s, c);
	case S_UNIT:
		return step_unit(s, c);
	case S_SECOND:
	case S_SECOND_U:
		return step_second(s, c);
	case S_LITERAL:
		return step_literal(s, c);
	case S_BROKEN:
		return false;
	default:
		break;
	}
	if (s->state >= S_MINUS && s->state <= S_EXPONENT_DIGITS)
		return step_number(s, c);
	return is_space(c) || step_structure(s, c);
}

int
json_scan_feed(struct json_scan *s, const uint8_t *at, size_t len)
{
	size_t n;

	while (len > 0) {
		n = s->state == S_STRING ? json_plain_run(at, len) : 0;
		if (n > 0 ? !keep(s, at, n) : !step(s, *at)) {
			s->state = S_BROKEN;
			return -EBADMSG;
		}
		n = n > 0 ? n : 1;
		at += n;
		len -= n;
	}
	return 0;
}

int
json_scan_end(struct json_scan *s)
{
	if (s->state == S_END)
		return 0;
	if (s->state == S_START)
		s->why = "The request body is empty";
	s->state = S_BROKEN;
	return -EBADMSG;
}
