// Error objects as OpenAI clients expect them.
#ifndef PROXYD_OPENAI_ERROR_H
#define PROXYD_OPENAI_ERROR_H

#include <stdbool.h>
#include <stddef.h>

struct openai_error {
	const char *message; // cut to OPENAI_ERROR_TEXT_MAX bytes
	const char *type;    // NULL: openai_error_type(status)
	const char *param;   // NULL: null
	const char *code;    // NULL: null; all three cut to 128 bytes
	int status;
	// Also the members of a typed error: of Anthropic's API, and of an
	// event of OpenAI's responses.
	bool is_typed;
};

enum {
	OPENAI_ERROR_TEXT_MAX = 1152,
	OPENAI_ERROR_MAX = 12 * OPENAI_ERROR_TEXT_MAX + 6 * 4 * 128 + 256,
};

// The `type` that belongs to an HTTP status.
const char *openai_error_type(int status);
// {"error":{"message":...,"type":...,"param":...,"code":...}}; always fits.
// Typed: {"type":"error","code":...,"message":...,"param":null,"error":...}.
// Any bytes are escaped correctly; invalid UTF-8 becomes U+FFFD.  No NUL.
size_t openai_error_body(
    const struct openai_error *, char ret[static OPENAI_ERROR_MAX]);
// The same as one event of a stream: "data: {...}\n\n", typed ones with
// "event: error\n" in front.
size_t openai_error_event(
    const struct openai_error *, char ret[static OPENAI_ERROR_MAX]);

#endif
