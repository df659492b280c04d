// A JSON document (RFC 8259) checked while it passes by, of which only the
// top-level "model" and "stream" are kept.  Constant memory.
//
// Checked: UTF-8, escapes, surrogate pairs, numbers, depth, one object,
// nothing behind it.  Refused although it is JSON, since two readers could
// understand it differently: "model" or "stream" twice, escapes in a top-level
// key, escaped control characters in the model's name.
#ifndef PROXYD_JSON_SCAN_H
#define PROXYD_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/sizes.h"

enum { JSON_SCAN_DEPTH_MAX = 64 };

struct json_scan {
	// The result, valid after json_scan_end(); the model earlier, as soon
	// as has_model is set.
	bool has_model;
	bool has_stream;
	bool stream;
	bool has_stream_options; // or another key that begins alike
	size_t model_len;
	char model[MODEL_NAME_MAX + 1]; // UTF-8, NUL terminated

	// Private.
	const char *why;
	const char *literal; // what is left of true, false, null
	uint64_t in_array;   // one bit a level
	size_t key_len;	     // of a top-level key, at most sizeof(key_text)
	char key_text[8];
	uint32_t unit;	     // \u escape so far, its digits above
	uint32_t first_unit; // the high surrogate before it
	uint8_t depth;	     // open brackets
	uint8_t state;
	uint8_t routed;	  // which key the next top-level value belongs to
	uint8_t left;	  // bytes of a character, or digits of an escape
	uint8_t min, max; // of the next byte of a character
	bool is_key;	  // the string is a key
	bool is_second;	  // the escape has to be a low surrogate
};

void json_scan_init(struct json_scan *);
// -EBADMSG: not acceptable; json_scan_why() says why; final.
MUST_CHECK int json_scan_feed(struct json_scan *, const uint8_t *, size_t);
// All of it was fed.  -EBADMSG: it is not complete.
MUST_CHECK int json_scan_end(struct json_scan *);
// A static text for the client after -EBADMSG.
const char *json_scan_why(const struct json_scan *);

#endif
