// The items of a response as they grow, and the events that tell of it.  The
// texts are a model's and only ever JSON strings here.
#include <errno.h>
#include <string.h>

#include "proxyd/json_out.h"
#include "proxyd/responses.h"

void
responses_init(struct responses *r, const char *id, const char *model,
    int64_t created, const struct buf *echo)
{
	memset(r, 0, sizeof(*r));
	r->echo = echo;
	r->created = created;
	(void)strncpy(r->id, id, RESPONSES_ID_MAX);
	(void)strncpy(r->model, model, MODEL_NAME_MAX);
}

void
responses_done(struct responses *r)
{
	for (size_t i = 0; i < r->n_items; i++) {
		buf_release(&r->items[i].text);
		buf_release(&r->items[i].logprobs);
		buf_release(&r->items[i].name);
		buf_release(&r->items[i].call_id);
	}
	free(r->items);
	memset(r, 0, sizeof(*r));
}

// ---- JSON

static void
put_buf(struct json_out *o, const struct buf *text)
{
	json_out_string(o, buf_data(text), buf_len(text));
}

static void
put_item_id(struct json_out *o, const struct responses *r, size_t i)
{
	static const char *const prefix[] = {
		[RESPONSES_REASONING] = "rs_",
		[RESPONSES_TEXT] = "msg_",
		[RESPONSES_REFUSAL] = "msg_",
		[RESPONSES_CALL] = "fc_",
	};

	json_out_raw(o, "\"");
	json_out_raw(o, prefix[r->items[i].kind]);
	json_out_raw(o, r->id);
	json_out_raw(o, "_");
	json_out_number(o, (int64_t)i);
	json_out_raw(o, "\"");
}

static void
put_call_id(struct json_out *o, const struct responses *r, size_t i)
{
	if (buf_len(&r->items[i].call_id) > 0) {
		put_buf(o, &r->items[i].call_id);
		return;
	}
	json_out_raw(o, "\"call_");
	json_out_raw(o, r->id);
	json_out_raw(o, "_");
	json_out_number(o, (int64_t)i);
	json_out_raw(o, "\"");
}

static void
put_logprobs(struct json_out *o, const struct responses_item *item)
{
	size_t n = buf_len(&item->logprobs);

	json_out_raw(o, "[");
	if (n > 0) // behind the first comma
		json_out_bytes(o, buf_data(&item->logprobs) + 1, n - 1);
	json_out_raw(o, "]");
}

// is_new: as it was when it was added.
static void
put_part(struct json_out *o, const struct responses_item *item, bool is_new)
{
	static const char *const head[] = {
		[RESPONSES_REASONING] =
		    "{\"type\":\"reasoning_text\",\"text\":",
		[RESPONSES_TEXT] = ("{\"type\":\"output_text\","
				    "\"annotations\":[],\"text\":"),
		[RESPONSES_REFUSAL] = "{\"type\":\"refusal\",\"refusal\":",
		[RESPONSES_CALL] = "",
	};

	json_out_raw(o, head[item->kind]);
	if (is_new)
		json_out_raw(o, "\"\"");
	else
		put_buf(o, &item->text);
	if (item->kind == RESPONSES_TEXT) {
		json_out_raw(o, ",\"logprobs\":");
		if (is_new)
			json_out_raw(o, "[]");
		else
			put_logprobs(o, item);
	}
	json_out_raw(o, "}");
}

static void
put_call(struct json_out *o, const struct responses *r, size_t i, bool is_new)
{
	const struct responses_item *item = &r->items[i];

	json_out_raw(o, ",\"type\":\"function_call\",\"call_id\":");
	put_call_id(o, r, i);
	json_out_raw(o, ",\"name\":");
	put_buf(o, &item->name);
	json_out_raw(o, ",\"arguments\":");
	if (is_new)
		json_out_raw(o, "\"\"");
	else
		put_buf(o, &item->text);
}

static const char *
item_status(const struct responses *r, size_t i, bool is_new)
{
	if (is_new || !r->items[i].is_done)
		return "in_progress";
	// The last one is what was cut.
	return i + 1 == r->n_items && r->status > RESPONSES_COMPLETED
	    ? "incomplete"
	    : "completed";
}

static void
put_item(struct json_out *o, const struct responses *r, size_t i, bool is_new)
{
	const struct responses_item *item = &r->items[i];

	json_out_raw(o, "{\"id\":");
	put_item_id(o, r, i);
	if (item->kind == RESPONSES_CALL) {
		put_call(o, r, i, is_new);
	} else {
		json_out_raw(o,
		    item->kind == RESPONSES_REASONING
			? ",\"type\":\"reasoning\",\"summary\":[],"
			  "\"encrypted_content\":null,\"content\":["
			: ",\"type\":\"message\",\"role\":\"assistant\","
			  "\"content\":[");
		if (!is_new)
			put_part(o, item, false);
		json_out_raw(o, "]");
	}
	json_out_raw(o, ",\"status\":\"");
	json_out_raw(o, item_status(r, i, is_new));
	json_out_raw(o, "\"}");
}

// ---- events

void
responses_event_begin(struct responses *r, struct json_out *o, const char *type)
{
	json_out_raw(o, "event: ");
	json_out_raw(o, type);
	json_out_raw(o, "\ndata: {\"type\":\"");
	json_out_raw(o, type);
	json_out_raw(o, "\",\"sequence_number\":");
	json_out_number(o, (int64_t)r->sequence++);
}

void
responses_event_end(struct json_out *o)
{
	json_out_raw(o, "}\n\n");
}

static void
put_place(struct json_out *o, const struct responses *r, size_t i)
{
	json_out_raw(o, ",\"output_index\":");
	json_out_number(o, (int64_t)i);
	json_out_raw(o, ",\"item_id\":");
	put_item_id(o, r, i);
	if (r->items[i].kind != RESPONSES_CALL)
		json_out_raw(o, ",\"content_index\":0");
}

static void
tell_item(struct responses *r, struct json_out *o, size_t i, bool is_new)
{
	responses_event_begin(r, o,
	    is_new ? "response.output_item.added"
		   : "response.output_item.done");
	json_out_raw(o, ",\"output_index\":");
	json_out_number(o, (int64_t)i);
	json_out_raw(o, ",\"item\":");
	put_item(o, r, i, is_new);
	responses_event_end(o);
}

static void
tell_part(struct responses *r, struct json_out *o, size_t i, bool is_new)
{
	if (r->items[i].kind == RESPONSES_CALL)
		return;
	responses_event_begin(r, o,
	    is_new ? "response.content_part.added"
		   : "response.content_part.done");
	put_place(o, r, i);
	json_out_raw(o, ",\"part\":");
	put_part(o, &r->items[i], is_new);
	responses_event_end(o);
}

static void
tell_delta(struct responses *r, struct json_out *o, size_t i, const char *text,
    size_t len, const char *logprobs)
{
	static const char *const type[] = {
		[RESPONSES_REASONING] = "response.reasoning_text.delta",
		[RESPONSES_TEXT] = "response.output_text.delta",
		[RESPONSES_REFUSAL] = "response.refusal.delta",
		[RESPONSES_CALL] = "response.function_call_arguments.delta",
	};
	enum responses_kind kind = r->items[i].kind;

	responses_event_begin(r, o, type[kind]);
	put_place(o, r, i);
	json_out_raw(o, ",\"delta\":");
	json_out_string(o, text, len);
	if (kind == RESPONSES_TEXT) {
		json_out_raw(o, ",\"logprobs\":[");
		if (logprobs != NULL)
			json_out_raw(o, logprobs);
		json_out_raw(o, "]");
	}
	responses_event_end(o);
}

static void
tell_done(struct responses *r, struct json_out *o, size_t i)
{
	static const char *const type[] = {
		[RESPONSES_REASONING] = "response.reasoning_text.done",
		[RESPONSES_TEXT] = "response.output_text.done",
		[RESPONSES_REFUSAL] = "response.refusal.done",
		[RESPONSES_CALL] = "response.function_call_arguments.done",
	};
	static const char *const member[] = {
		[RESPONSES_REASONING] = ",\"text\":",
		[RESPONSES_TEXT] = ",\"text\":",
		[RESPONSES_REFUSAL] = ",\"refusal\":",
		[RESPONSES_CALL] = ",\"arguments\":",
	};
	const struct responses_item *item = &r->items[i];

	responses_event_begin(r, o, type[item->kind]);
	put_place(o, r, i);
	json_out_raw(o, member[item->kind]);
	put_buf(o, &item->text);
	if (item->kind == RESPONSES_TEXT) {
		json_out_raw(o, ",\"logprobs\":");
		put_logprobs(o, item);
	} else if (item->kind == RESPONSES_CALL) {
		json_out_raw(o, ",\"name\":");
		put_buf(o, &item->name);
	}
	responses_event_end(o);
}

// ---- items

static int
close_item(struct responses *r, size_t i, struct buf *out)
{
	struct json_out o = { out, 0 };

	if (r->items[i].is_done)
		return 0;
	r->items[i].is_done = true;
	if (!r->emits)
		return 0;
	tell_done(r, &o, i);
	tell_part(r, &o, i, false);
	tell_item(r, &o, i, false);
	return o.error;
}

int
responses_close(struct responses *r, struct buf *out)
{
	int error = 0;

	for (size_t i = 0; i < r->n_items && error == 0; i++)
		error = close_item(r, i, out);
	return error;
}

// Text ends when something else begins; calls may grow side by side.
static int
close_texts(struct responses *r, struct buf *out)
{
	int error = 0;

	for (size_t i = 0; i < r->n_items && error == 0; i++)
		if (r->items[i].kind != RESPONSES_CALL)
			error = close_item(r, i, out);
	return error;
}

static int
add_item(struct responses *r, enum responses_kind kind)
{
	struct responses_item *grown, *item;

	if (r->n_items == RESPONSES_ITEMS_MAX)
		return -EMSGSIZE;
	grown = reallocarray(r->items, r->n_items + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	r->items = grown;
	item = &grown[r->n_items++];
	memset(item, 0, sizeof(*item));
	item->kind = kind;
	buf_init(&item->text, RESPONSES_ANSWER_MAX);
	buf_init(&item->logprobs, RESPONSES_ANSWER_MAX);
	buf_init(&item->name, RESPONSES_ANSWER_MAX);
	buf_init(&item->call_id, RESPONSES_ANSWER_MAX);
	return 0;
}

static int
tell_new(struct responses *r, struct buf *out)
{
	struct json_out o = { out, 0 };

	if (!r->emits)
		return 0;
	tell_item(r, &o, r->n_items - 1, true);
	tell_part(r, &o, r->n_items - 1, true);
	return o.error;
}

static int
grow_item(struct responses *r, size_t i, const char *text, size_t len,
    const char *logprobs, struct buf *out)
{
	struct responses_item *item = &r->items[i];
	struct json_out o = { out, 0 };
	size_t more = len + (logprobs == NULL ? 0 : strlen(logprobs) + 1);

	if (more > RESPONSES_ANSWER_MAX - r->text_bytes)
		return -EMSGSIZE;
	r->text_bytes += more;
	if ((o.error = buf_append(&item->text, text, len)) < 0)
		return o.error;
	if (logprobs != NULL && logprobs[0] != '\0') {
		struct json_out kept = { &item->logprobs, 0 };

		json_out_raw(&kept, ",");
		json_out_raw(&kept, logprobs);
		if (kept.error < 0)
			return kept.error;
	}
	if (r->emits)
		tell_delta(r, &o, i, text, len, logprobs);
	return o.error;
}

static int
find_text(struct responses *r, enum responses_kind kind, struct buf *out)
{
	size_t last = r->n_items - 1;
	int error;

	if (r->n_items > 0 && r->items[last].kind == kind &&
	    !r->items[last].is_done)
		return 0;
	if ((error = close_texts(r, out)) < 0 ||
	    (error = add_item(r, kind)) < 0)
		return error;
	return tell_new(r, out);
}

int
responses_text(struct responses *r, enum responses_kind kind, const char *text,
    size_t len, struct buf *out)
{
	int error = find_text(r, kind, out);

	if (error < 0 || (len == 0 && r->emits))
		return error;
	return grow_item(r, r->n_items - 1, text, len, NULL, out);
}

int
responses_text_with(struct responses *r, const char *text, size_t len,
    const char *logprobs, struct buf *out)
{
	int error = find_text(r, RESPONSES_TEXT, out);

	return error < 0
	    ? error
	    : grow_item(r, r->n_items - 1, text, len, logprobs, out);
}

static int
add_call(
    struct responses *r, const struct responses_call *call, struct buf *out)
{
	struct responses_item *item;
	int error;

	if ((error = close_texts(r, out)) < 0 ||
	    (error = add_item(r, RESPONSES_CALL)) < 0)
		return error;
	item = &r->items[r->n_items - 1];
	item->call_index = call->index;
	if (call->name != NULL)
		error = buf_append(&item->name, call->name, strlen(call->name));
	if (error == 0 && call->id != NULL)
		error = buf_append(&item->call_id, call->id, strlen(call->id));
	return error < 0 ? error : tell_new(r, out);
}

int
responses_call(
    struct responses *r, const struct responses_call *call, struct buf *out)
{
	size_t i;
	int error;

	for (i = 0; i < r->n_items; i++)
		if (r->items[i].kind == RESPONSES_CALL &&
		    r->items[i].call_index == call->index)
			break;
	if (i == r->n_items && (error = add_call(r, call, out)) < 0)
		return error;
	if (call->arguments_len == 0)
		return 0;
	return grow_item(r, i, call->arguments, call->arguments_len, NULL, out);
}

// ---- the whole

static void
put_usage(struct json_out *o, const struct responses *r)
{
	static const char *const before[] = {
		"{\"input_tokens\":",
		",\"input_tokens_details\":{\"cached_tokens\":",
		"},\"output_tokens\":",
		",\"output_tokens_details\":{\"reasoning_tokens\":",
		"},\"total_tokens\":",
	};

	for (size_t i = 0; i < N_ELEMENTS(before); i++) {
		json_out_raw(o, before[i]);
		json_out_number(o, r->usage[i]);
	}
	json_out_raw(o, "}");
}

static void
put_end(struct json_out *o, const struct responses *r)
{
	json_out_raw(o, ",\"error\":");
	if (r->status == RESPONSES_FAILED) {
		json_out_raw(o, "{\"code\":\"server_error\",\"message\":");
		json_out_string(o, r->error_text, strlen(r->error_text));
		json_out_raw(o, "}");
	} else {
		json_out_raw(o, "null");
	}
	json_out_raw(o, ",\"incomplete_details\":");
	if (r->status == RESPONSES_INCOMPLETE)
		json_out_raw(o,
		    r->is_filtered ? "{\"reason\":\"content_filter\"}"
				   : "{\"reason\":\"max_output_tokens\"}");
	else
		json_out_raw(o, "null");
}

int
responses_object(const struct responses *r, struct buf *out)
{
	static const char *const status[] = { "in_progress", "completed",
		"incomplete", "failed" };
	struct json_out o = { out, 0 };

	json_out_raw(&o, "{\"id\":\"resp_");
	json_out_raw(&o, r->id);
	json_out_raw(&o, "\",\"object\":\"response\",\"created_at\":");
	json_out_number(&o, r->created);
	json_out_raw(&o, ",\"status\":\"");
	json_out_raw(&o, status[r->status]);
	json_out_raw(&o, "\"");
	put_end(&o, r);
	json_out_raw(&o, ",\"model\":");
	json_out_string(&o, r->model, strlen(r->model));
	json_out_bytes(&o, buf_data(r->echo), buf_len(r->echo));
	json_out_raw(&o, ",\"output\":[");
	for (size_t i = 0; i < r->n_items; i++) {
		json_out_raw(&o, i == 0 ? "" : ",");
		put_item(&o, r, i, false);
	}
	json_out_raw(&o, "],\"usage\":");
	if (r->has_usage)
		put_usage(&o, r);
	else
		json_out_raw(&o, "null");
	json_out_raw(&o, "}");
	return o.error;
}
