// Chat completions read, as chunks of a stream or whole, and made into items.
// A server wrote them and is trusted with its words only: what is not of the
// expected kind is left out, and a stream without an end is no answer.
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "proxyd/json_out.h"
#include "proxyd/responses.h"

static const char done_mark[] = "[DONE]";

static int
tell_response(struct responses *r, const char *type, struct buf *out)
{
	struct json_out o = { out, 0 };
	int error;

	responses_event_begin(r, &o, type);
	json_out_raw(&o, ",\"response\":");
	if (o.error == 0 && (error = responses_object(r, out)) < 0)
		return error;
	responses_event_end(&o);
	return o.error;
}

int
responses_begin(struct responses *r, struct buf *out)
{
	int error;

	r->emits = true;
	error = tell_response(r, "response.created", out);
	return error < 0 ? error
			 : tell_response(r, "response.in_progress", out);
}

// ---- log probabilities

static void
put_bytes_of(struct json_out *o, const json_t *one)
{
	const json_t *bytes = json_object_get(one, "bytes");
	json_t *byte;
	size_t i;

	json_out_raw(o, ",\"bytes\":[");
	json_array_foreach(bytes, i, byte)
	{
		json_out_raw(o, i == 0 ? "" : ",");
		json_out_number(o, json_integer_value(byte));
	}
	json_out_raw(o, "]");
}

static void
put_token(struct json_out *o, const json_t *one)
{
	const json_t *token = json_object_get(one, "token");
	const json_t *logprob = json_object_get(one, "logprob");
	char number[40];

	json_out_raw(o, "{\"token\":");
	json_out_string(o, json_string_value(token), json_string_length(token));
	(void)snprintf(number, sizeof(number), "%.9g",
	    json_is_number(logprob) ? json_number_value(logprob) : 0.0);
	json_out_raw(o, ",\"logprob\":");
	json_out_raw(o, number);
	put_bytes_of(o, one);
}

// The elements, with commas between them.
static void
put_tokens(struct json_out *o, const json_t *content)
{
	json_t *one, *top;
	size_t i, k;

	json_array_foreach(content, i, one)
	{
		json_out_raw(o, i == 0 ? "" : ",");
		put_token(o, one);
		json_out_raw(o, ",\"top_logprobs\":[");
		json_array_foreach(json_object_get(one, "top_logprobs"), k, top)
		{
			json_out_raw(o, k == 0 ? "" : ",");
			put_token(o, top);
			json_out_raw(o, "}");
		}
		json_out_raw(o, "]}");
	}
}

static int
take_text_with(struct responses *r, const json_t *text, const json_t *content,
    struct buf *out)
{
	struct buf tokens;
	struct json_out o = { &tokens, 0 };

	buf_init(&tokens, RESPONSES_ANSWER_MAX);
	put_tokens(&o, content);
	json_out_bytes(&o, "", 1);
	if (o.error == 0)
		o.error = responses_text_with(r, json_string_value(text),
		    json_string_length(text), (const char *)buf_data(&tokens),
		    out);
	buf_release(&tokens);
	return o.error;
}

// ---- what was said

static int
take_text(struct responses *r, enum responses_kind kind, const json_t *text,
    struct buf *out)
{
	if (json_string_length(text) == 0)
		return 0;
	return responses_text(
	    r, kind, json_string_value(text), json_string_length(text), out);
}

static int
append(const char *bytes, size_t n, void *arg)
{
	return buf_append(arg, bytes, n);
}

static int
take_call(struct responses *r, const json_t *one, size_t place, struct buf *out)
{
	const json_t *index = json_object_get(one, "index");
	const json_t *function = json_object_get(one, "function");
	const json_t *arguments = json_object_get(function, "arguments");
	struct responses_call call = {
		.index = json_is_integer(index) ? json_integer_value(index)
						: (json_int_t)place,
		.id = json_string_value(json_object_get(one, "id")),
		.name = json_string_value(json_object_get(function, "name")),
		.arguments = json_string_value(arguments),
		.arguments_len = json_string_length(arguments),
	};
	struct buf text;
	int error = 0;

	buf_init(&text, RESPONSES_ANSWER_MAX);
	// Some servers give them as an object.
	if (json_is_object(arguments)) {
		error =
		    json_dump_callback(arguments, append, &text, JSON_COMPACT);
		call.arguments = (const char *)buf_data(&text);
		call.arguments_len = buf_len(&text);
	}
	error = error < 0 ? -EMSGSIZE : responses_call(r, &call, out);
	buf_release(&text);
	return error;
}

static int
take_message(struct responses *r, const json_t *message, const json_t *logprobs,
    struct buf *out)
{
	const json_t *content = json_object_get(message, "content");
	const json_t *thought = json_object_get(message, "reasoning_content");
	const json_t *tokens = json_object_get(logprobs, "content");
	json_t *call;
	size_t i;
	int error;

	if (!json_is_string(thought))
		thought = json_object_get(message, "reasoning");
	error = take_text(r, RESPONSES_REASONING, thought, out);
	if (error == 0 && json_string_length(content) > 0 &&
	    json_array_size(tokens) > 0)
		error = take_text_with(r, content, tokens, out);
	else if (error == 0)
		error = take_text(r, RESPONSES_TEXT, content, out);
	if (error == 0)
		error = take_text(r, RESPONSES_REFUSAL,
		    json_object_get(message, "refusal"), out);
	json_array_foreach(json_object_get(message, "tool_calls"), i, call)
	{
		if (error == 0)
			error = take_call(r, call, i, out);
	}
	return error;
}

static int64_t
count_in(const json_t *usage, const char *details, const char *name)
{
	const json_t *in =
	    details == NULL ? usage : json_object_get(usage, details);

	return json_integer_value(json_object_get(in, name));
}

static void
take_usage(struct responses *r, const json_t *usage)
{
	if (!json_is_object(usage))
		return;
	r->has_usage = true;
	r->usage[0] = count_in(usage, NULL, "prompt_tokens");
	r->usage[1] = count_in(usage, "prompt_tokens_details", "cached_tokens");
	r->usage[2] = count_in(usage, NULL, "completion_tokens");
	r->usage[3] =
	    count_in(usage, "completion_tokens_details", "reasoning_tokens");
	r->usage[4] = count_in(usage, NULL, "total_tokens");
}

static void
take_finish(struct responses *r, const json_t *reason)
{
	const char *text = json_string_value(reason);

	if (text == NULL)
		return;
	r->has_finish = true;
	r->is_filtered = strcmp(text, "content_filter") == 0;
	r->status = r->is_filtered || strcmp(text, "length") == 0
	    ? RESPONSES_INCOMPLETE
	    : RESPONSES_COMPLETED;
}

// The first choice; others were not asked for.
static int
take_choice(struct responses *r, const json_t *root, const char *member,
    struct buf *out)
{
	const json_t *choices = json_object_get(root, "choices");
	const json_t *choice = json_array_get(choices, 0);
	int error;

	if (!json_is_array(choices))
		return json_is_object(json_object_get(root, "usage"))
		    ? 0
		    : -EBADMSG;
	if (json_integer_value(json_object_get(choice, "index")) != 0)
		return 0;
	error = take_message(r, json_object_get(choice, member),
	    json_object_get(choice, "logprobs"), out);
	take_finish(r, json_object_get(choice, "finish_reason"));
	return error;
}

// ---- streams

static int
finish(struct responses *r, struct buf *out)
{
	static const char *const last[] = {
		[RESPONSES_COMPLETED] = "response.completed",
		[RESPONSES_INCOMPLETE] = "response.incomplete",
		[RESPONSES_FAILED] = "response.failed",
	};
	int error = 0;

	if (r->is_done)
		return 0;
	r->is_done = true;
	if (r->status == RESPONSES_IN_PROGRESS)
		r->status = RESPONSES_COMPLETED;
	// An answer without a word is one with an empty text.
	if (r->n_items == 0 && r->status != RESPONSES_FAILED)
		error = responses_text(r, RESPONSES_TEXT, "", 0, out);
	if (error == 0)
		error = responses_close(r, out);
	if (error == 0 && r->emits)
		error = tell_response(r, last[r->status], out);
	return error;
}

int
responses_fail(struct responses *r, const char *message, struct buf *out)
{
	int error;

	r->status = RESPONSES_FAILED;
	r->error_text = message;
	error = finish(r, out);
	r->error_text = "";
	return error;
}

// The server says in its stream that it failed.
static int
take_error(struct responses *r, const json_t *error, struct buf *out)
{
	const char *text = json_string_value(json_object_get(error, "message"));

	if (text == NULL)
		text = json_string_value(error);
	return responses_fail(
	    r, text == NULL ? "the server failed" : text, out);
}

int
responses_event(
    struct responses *r, const char *data, size_t len, struct buf *out)
{
	json_t *root, *error;
	json_error_t ignored;
	int result;

	if (r->is_done)
		return 0;
	if (len == sizeof(done_mark) - 1 && memcmp(data, done_mark, len) == 0)
		return finish(r, out);
	root = json_loadb(data, len, JSON_ALLOW_NUL, &ignored);
	error = json_object_get(root, "error");
	if (!json_is_object(root)) {
		result = -EBADMSG;
	} else if (json_is_object(error) || json_is_string(error)) {
		result = take_error(r, error, out);
	} else {
		take_usage(r, json_object_get(root, "usage"));
		result = take_choice(r, root, "delta", out);
	}
	json_decref(root);
	return result;
}

int
responses_end(struct responses *r, struct buf *out)
{
	if (!r->is_done && !r->has_finish)
		return -EPIPE;
	return finish(r, out);
}

// ---- whole

int
responses_whole(
    struct responses *r, const char *json, size_t len, struct buf *out)
{
	json_error_t ignored;
	json_t *root = json_loadb(json, len, JSON_ALLOW_NUL, &ignored);
	int error = json_is_object(root) ? 0 : -EBADMSG;

	if (error == 0) {
		take_usage(r, json_object_get(root, "usage"));
		error = json_array_size(json_object_get(root, "choices")) == 0
		    ? -EBADMSG
		    : take_choice(r, root, "message", out);
	}
	json_decref(root);
	if (error == 0)
		error = finish(r, out);
	return error < 0 ? error : responses_object(r, out);
}
