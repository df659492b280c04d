// Error objects as OpenAI clients expect them.
//
// The texts may hold what a peer or a client wrote; they are escaped and cut.
// Whatever they hold, the result must be one complete JSON object.
#include "proxyd/openai_error.h"

#include <stdint.h>
#include <string.h>

#include "proxyd/json_text.h"

enum { SHORT_TEXT_MAX = 128 };

const char *
openai_error_type(int status)
{
	switch (status) {
	case 401:
		return "authentication_error";
	case 403:
		return "permission_error";
	case 429:
		return "rate_limit_error";
	default:
		return status >= 400 && status < 500 ? "invalid_request_error"
						     : "server_error";
	}
}

static size_t
put(char *ret, size_t at, const char *text)
{
	size_t n = strlen(text);

	memcpy(ret + at, text, n);
	return at + n;
}

// A JSON string or null.  Each of at most `most` bytes becomes at most six.
static size_t
put_string(char *ret, size_t at, const char *text, size_t most)
{
	if (text == NULL)
		return put(ret, at, "null");
	ret[at++] = '"';
	at += json_escape(
	    (uint8_t *)ret + at, 6 * most, text, strnlen(text, most));
	ret[at++] = '"';
	return at;
}

size_t
openai_error_body(
    const struct openai_error *e, char ret[static OPENAI_ERROR_MAX])
{
	const char *type =
	    e->type != NULL ? e->type : openai_error_type(e->status);
	const char *message = e->message != NULL ? e->message : "Unknown error";
	size_t n = put(ret, 0, "{");

	if (e->is_typed) {
		n = put(ret, n, "\"type\":\"error\",\"code\":");
		n = put_string(ret, n, e->code, SHORT_TEXT_MAX);
		n = put(ret, n, ",\"message\":");
		n = put_string(ret, n, message, OPENAI_ERROR_TEXT_MAX);
		n = put(ret, n, ",\"param\":null,");
	}
	n = put(ret, n, "\"error\":{\"message\":");
	n = put_string(ret, n, message, OPENAI_ERROR_TEXT_MAX);
	n = put(ret, n, ",\"type\":");
	n = put_string(ret, n, type, SHORT_TEXT_MAX);
	n = put(ret, n, ",\"param\":");
	n = put_string(ret, n, e->param, SHORT_TEXT_MAX);
	n = put(ret, n, ",\"code\":");
	n = put_string(ret, n, e->code, SHORT_TEXT_MAX);
	return put(ret, n, "}}");
}

size_t
openai_error_event(
    const struct openai_error *e, char ret[static OPENAI_ERROR_MAX])
{
	const char *prefix = e->is_typed ? "event: error\ndata: " : "data: ";
	size_t head = strlen(prefix), n;

	// The body is at most OPENAI_ERROR_MAX minus what this adds.
	n = openai_error_body(e, ret);
	memmove(ret + head, ret, n);
	memcpy(ret, prefix, head);
	return put(ret, n + head, "\n\n");
}
