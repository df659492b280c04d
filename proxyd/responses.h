// /v1/responses for servers that have chat completions only: the request
// translated into one of those, its answer back, whole or as a stream of the
// typed events that OpenAI's clients know.
//
// No state is kept between requests: what would need some is refused.  No
// I/O; the caller moves the bytes, and wipes by _done() and buf_release().
#ifndef PROXYD_RESPONSES_H
#define PROXYD_RESPONSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/sizes.h"

enum {
	RESPONSES_REQUEST_MAX = 32 * 1024 * 1024,
	RESPONSES_ANSWER_MAX = 16 * 1024 * 1024, // text of all items
	RESPONSES_OUT_MAX = 6 * RESPONSES_ANSWER_MAX + 1024 * 1024,
	RESPONSES_ITEMS_MAX = 256,
	RESPONSES_ID_MAX = 64,
};

// ---- the request

// Append the chat completion request to *chat, and to *echo those members of
// the response that repeat the request.  -EINVAL: *ret_why says what cannot be
// translated (static, nothing of the request).  -EMSGSIZE, -ENOMEM.
MUST_CHECK int responses_request(const uint8_t *body, size_t len,
    struct buf *chat, struct buf *echo, const char **ret_why);

// ---- the answer

enum responses_kind {
	RESPONSES_REASONING,
	RESPONSES_TEXT,
	RESPONSES_REFUSAL,
	RESPONSES_CALL,
};

struct responses_item {
	enum responses_kind kind;
	bool is_done;
	int64_t call_index;  // of the chat completion
	struct buf text;     // or the arguments
	struct buf logprobs; // JSON, comma in front of each
	struct buf name, call_id;
};

enum responses_status {
	RESPONSES_IN_PROGRESS,
	RESPONSES_COMPLETED,
	RESPONSES_INCOMPLETE,
	RESPONSES_FAILED,
};

struct responses {
	const struct buf *echo; // borrowed
	char id[RESPONSES_ID_MAX + 1];
	char model[MODEL_NAME_MAX + 1];
	int64_t created;
	uint64_t sequence;
	struct responses_item *items; // owned
	size_t n_items;
	size_t text_bytes; // of all
	bool emits;	   // a stream
	bool has_finish;   // finish_reason came
	bool is_done;	   // the last event was written
	bool is_filtered;  // incomplete because of a content filter
	enum responses_status status;
	const char *error_text; // borrowed for the call
	bool has_usage;
	int64_t usage[5];
};

// id: letters and digits that make the ids of the response and its items.
void responses_init(struct responses *, const char *id, const char *model,
    int64_t created, const struct buf *echo);
void responses_done(struct responses *);

// A stream: its beginning, one event of the chat completion ("[DONE]" as
// well), its end.  -EBADMSG: the event is no chat completion.  -EMSGSIZE.
MUST_CHECK int responses_begin(struct responses *, struct buf *out);
MUST_CHECK int responses_event(
    struct responses *, const char *data, size_t len, struct buf *out);
// -EPIPE: the source ended in the middle.
MUST_CHECK int responses_end(struct responses *, struct buf *out);
// The stream ends with an error.
MUST_CHECK int responses_fail(
    struct responses *, const char *message, struct buf *out);
// A whole answer.  -EBADMSG: it is no chat completion.
MUST_CHECK int responses_whole(
    struct responses *, const char *json, size_t len, struct buf *out);

// ---- parts

MUST_CHECK int responses_text(struct responses *, enum responses_kind,
    const char *text, size_t len, struct buf *out);
// JSON of log probabilities for the text that comes next, or NULL.
MUST_CHECK int responses_text_with(struct responses *, const char *text,
    size_t len, const char *logprobs, struct buf *out);

struct responses_call {
	int64_t index;
	const char *id, *name, *arguments; // NULL: not told
	size_t arguments_len;
};
MUST_CHECK int responses_call(
    struct responses *, const struct responses_call *, struct buf *out);
MUST_CHECK int responses_close(struct responses *, struct buf *out);
// {"id":...}, the response as it is now.
MUST_CHECK int responses_object(const struct responses *, struct buf *out);
// event: and data:, up to the number; then members, then responses_event_end.
struct json_out;
void responses_event_begin(
    struct responses *, struct json_out *, const char *type);
void responses_event_end(struct json_out *);

#endif
