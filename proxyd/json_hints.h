// What a request says about where it is best answered, read from its JSON
// body after it was checked: whose session it is, and how large.
//
// The session is a keyed hash of what the client calls it, else of how the
// conversation begins: the same for its next turn, so that the host whose
// cache holds the beginning is asked again.  It is never logged.
#ifndef PROXYD_JSON_HINTS_H
#define PROXYD_JSON_HINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	JSON_HINTS_KEY_LEN = 32,
	JSON_HINTS_PREFIX_MAX = 64 * 1024, // bytes of a beginning
};

struct json_hints {
	bool has_session;
	uint64_t session;
	uint64_t tokens; // of prompt and answer, a guess; 0: cannot be told
};

// body: one JSON object that json_scan accepted; else the result is any.
void json_hints_read(const uint8_t *body, size_t len,
    const uint8_t key[static JSON_HINTS_KEY_LEN], struct json_hints *ret);

#endif
