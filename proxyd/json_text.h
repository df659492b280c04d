// A strict JSON reader over a whole text in memory, which it may overwrite:
// strings are unescaped in place.  And the escaping for what we write.
//
// Refused beyond RFC 8259: \u0000, more than JSON_TEXT_DEPTH_MAX levels.
#ifndef PROXYD_JSON_TEXT_H
#define PROXYD_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

enum { JSON_TEXT_DEPTH_MAX = 64 };

struct json_text {
	uint8_t *at;
	uint8_t *end;
};

void json_text_skip_space(struct json_text *);
// Skip white space and, if it comes next, the character c.
bool json_text_take(struct json_text *, char c);
// A string; *ret points to its unescaped UTF-8 inside the text.  -EBADMSG.
MUST_CHECK int json_text_string(
    struct json_text *, uint8_t **ret, size_t *ret_len);
// Any value, checked and skipped; depth: brackets that are open around it.
// -EBADMSG.
MUST_CHECK int json_text_skip(struct json_text *, int depth);

// Write text as the inside of a JSON string; what is not UTF-8 becomes
// U+FFFD.  Stops before a character that does not fit; returns the length.
size_t json_escape(uint8_t *ret, size_t size, const void *text, size_t len);
bool utf8_is_valid(const void *text, size_t len);

#endif
