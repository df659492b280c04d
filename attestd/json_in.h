// A strict reader of small JSON texts (RFC 8259) for attestation blobs: one
// pass, no tree, every step checked against the end.  Refuses what the
// reference refuses: bad UTF-8, bad escapes, trailing text, deep nesting.
#ifndef ATTESTD_JSON_IN_H
#define ATTESTD_JSON_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

enum { JSON_IN_DEPTH_MAX = 127 };

struct json_in {
	const uint8_t *at, *end; // borrowed
	unsigned depth;
};

// May hold any character, also U+0000.
struct json_in_text {
	const char *at; // in the caller's room
	size_t len;
};

// All: 0 or -EBADMSG, and the reader is then useless.
MUST_CHECK int json_in_init(struct json_in *, const void *text, size_t len);
// Nothing but white space may be left.
MUST_CHECK int json_in_end(struct json_in *);

// `{`; then json_in_member until it says so by *ret_more.
MUST_CHECK int json_in_object(struct json_in *);
// The name of the next member, or the end of the object.  The name is
// unescaped into room, which has as many bytes as the whole text.
MUST_CHECK int json_in_member(struct json_in *, bool is_first, char *room,
    struct json_in_text *ret_name, bool *ret_more);
MUST_CHECK int json_in_string(
    struct json_in *, char *room, struct json_in_text *ret);
MUST_CHECK int json_in_bool(struct json_in *, bool *ret);
// An integer without sign, fraction or exponent.
MUST_CHECK int json_in_u64(struct json_in *, uint64_t *ret);
// Any value, checked and thrown away.
MUST_CHECK int json_in_skip(struct json_in *, char *room);

bool json_in_text_is(struct json_in_text, const char *literal);

#endif
