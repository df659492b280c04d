// The items of a request for a response, made into messages of a chat.  What
// has no place in a chat is refused: left out, the model would be asked
// something else.
#include "proxyd/responses_job.h"

#include "proxyd/responses.h"

static int
no_memory(const json_t *json)
{
	return json == NULL ? -ENOMEM : 0;
}

// ---- content

static bool
is_text_part(const json_t *part)
{
	static const char *const types[] = { "input_text", "output_text",
		"text", "summary_text", "reasoning_text" };

	for (size_t i = 0; i < N_ELEMENTS(types); i++)
		if (text_is(part, "type", types[i]))
			return json_is_string(json_object_get(part, "text"));
	return text_is(part, "type", "refusal") &&
	    json_is_string(json_object_get(part, "refusal"));
}

static json_t *
text_of_part(const json_t *part)
{
	json_t *text = json_object_get(part, "text");

	return text != NULL ? text : json_object_get(part, "refusal");
}

static json_t *
image_of(const json_t *part)
{
	json_t *url = json_object_get(part, "image_url");
	json_t *image;

	if (json_is_object(url))
		return json_pack(
		    "{s:s, s:O}", "type", "image_url", "image_url", url);
	image = json_pack("{s:O}", "url", url);
	if (is_given(part, "detail"))
		(void)json_object_set(
		    image, "detail", json_object_get(part, "detail"));
	return json_pack("{s:s, s:o}", "type", "image_url", "image_url", image);
}

static json_t *
file_of(const json_t *part)
{
	json_t *file =
	    json_pack("{s:O}", "file_data", json_object_get(part, "file_data"));

	if (is_given(part, "filename"))
		(void)json_object_set(
		    file, "filename", json_object_get(part, "filename"));
	return json_pack("{s:s, s:o}", "type", "file", "file", file);
}

static int
translate_part(struct responses_job *j, const json_t *part, json_t *parts)
{
	json_t *made = NULL;

	if (is_text_part(part))
		made = json_pack(
		    "{s:s, s:O}", "type", "text", "text", text_of_part(part));
	else if ((text_is(part, "type", "input_image") ||
		     text_is(part, "type", "image_url")) &&
	    is_given(part, "image_url"))
		made = image_of(part);
	else if (text_is(part, "type", "input_file") &&
	    json_is_string(json_object_get(part, "file_data")))
		made = file_of(part);
	else if (text_is(part, "type", "input_audio"))
		made = json_deep_copy(part);
	else
		return refuse(j,
		    "a part of the input is of a type, or stored under an id, "
		    "that this model's server cannot be given");
	if (made == NULL)
		return -ENOMEM;
	return json_array_append_new(parts, made) == 0 ? 0 : -ENOMEM;
}

// All parts are text: one string, which every server takes.
static json_t *
join_texts(const json_t *parts)
{
	struct buf text;
	json_t *part, *joined = NULL;
	size_t i;
	int r = 0;

	buf_init(&text, RESPONSES_REQUEST_MAX);
	json_array_foreach(parts, i, part)
	{
		const json_t *one = text_of_part(part);

		if (!is_text_part(part))
			goto out;
		if (r == 0)
			r = buf_append(&text, json_string_value(one),
			    json_string_length(one));
	}
	if (r == 0)
		joined = json_stringn_nocheck(buf_data(&text) == NULL
			? ""
			: (const char *)buf_data(&text),
		    buf_len(&text));
out:
	buf_release(&text);
	return joined;
}

static int
translate_content(struct responses_job *j, json_t *content, json_t **ret)
{
	json_t *parts, *part;
	size_t i;
	int r = 0;

	if (json_is_string(content)) {
		*ret = json_incref(content);
		return 0;
	}
	if (!json_is_array(content))
		return refuse(j, "input: content is no text and no list");
	if ((*ret = join_texts(content)) != NULL)
		return 0;
	if ((parts = json_array()) == NULL)
		return -ENOMEM;
	json_array_foreach(content, i, part)
	{
		if (r == 0)
			r = translate_part(j, part, parts);
	}
	if (r < 0)
		json_decref(parts);
	else
		*ret = parts;
	return r;
}

// ---- items

static int
add_message(struct responses_job *j, json_t *message)
{
	int r = no_memory(message);

	if (r == 0 && json_array_append_new(j->messages, message) < 0)
		r = -ENOMEM;
	return r;
}

static int
begin_assistant(struct responses_job *j)
{
	json_t *message =
	    json_pack("{s:s, s:n}", "role", "assistant", "content");
	int r = add_message(j, message);

	if (r < 0)
		return r;
	j->assistant = message;
	if (j->thoughts != NULL)
		(void)json_object_set(
		    message, "reasoning_content", j->thoughts);
	json_decref(j->thoughts);
	j->thoughts = NULL;
	return 0;
}

static void
end_assistant(struct responses_job *j)
{
	j->assistant = NULL;
	json_decref(j->thoughts);
	j->thoughts = NULL;
}

static int
add_said(struct responses_job *j, json_t *content)
{
	int r = 0;

	if (j->assistant == NULL || is_given(j->assistant, "content") ||
	    is_given(j->assistant, "tool_calls"))
		r = begin_assistant(j);
	if (r == 0 && json_object_set(j->assistant, "content", content) < 0)
		r = -ENOMEM;
	return r;
}

static int
translate_message(struct responses_job *j, const json_t *item)
{
	json_t *content = NULL;
	const char *role = text_of(item, "role");
	int r;

	if (role == NULL)
		return refuse(j, "input: a message without a role");
	// Templates of local models know no developer.
	if (strcmp(role, "developer") == 0)
		role = "system";
	r = translate_content(j, json_object_get(item, "content"), &content);
	if (r < 0)
		return r;
	if (strcmp(role, "assistant") == 0) {
		r = add_said(j, content);
	} else {
		end_assistant(j);
		r = add_message(j,
		    json_pack("{s:s, s:O}", "role", role, "content", content));
	}
	json_decref(content);
	return r;
}

static int
translate_call(struct responses_job *j, const json_t *item)
{
	const char *id = text_of(item, "call_id");
	const char *name = text_of(item, "name");
	json_t *arguments = json_object_get(item, "arguments");
	json_t *calls, *call;
	int r = 0;

	if (id == NULL || name == NULL || !json_is_string(arguments))
		return refuse(j,
		    "input: a function_call needs call_id, name and arguments");
	if (j->assistant == NULL)
		r = begin_assistant(j);
	if (r < 0)
		return r;
	calls = json_object_get(j->assistant, "tool_calls");
	if (calls == NULL) {
		calls = json_array();
		if (json_object_set_new(j->assistant, "tool_calls", calls) < 0)
			return -ENOMEM;
	}
	call = json_pack("{s:s, s:s, s:{s:s, s:O}}", "id", id, "type",
	    "function", "function", "name", name, "arguments", arguments);
	return json_array_append_new(calls, call) < 0 ? -ENOMEM : 0;
}

static int
translate_output(struct responses_job *j, const json_t *item)
{
	const char *id = text_of(item, "call_id");
	json_t *content = NULL;
	int r;

	if (id == NULL)
		return refuse(
		    j, "input: a function_call_output needs a call_id");
	r = translate_content(j, json_object_get(item, "output"), &content);
	if (r < 0)
		return r;
	end_assistant(j);
	r = add_message(j,
	    json_pack("{s:s, s:s, s:O}", "role", "tool", "tool_call_id", id,
		"content", content));
	json_decref(content);
	return r;
}

// Open models go on with what they thought; what is encrypted is not theirs.
static int
translate_thoughts(struct responses_job *j, const json_t *item)
{
	json_t *content = json_object_get(item, "content");

	if (json_array_size(content) == 0)
		return 0;
	end_assistant(j);
	j->thoughts = join_texts(content);
	return 0;
}

static int
translate_item(struct responses_job *j, const json_t *item)
{
	if (!json_is_object(item))
		return refuse(j, "input: an item is no object");
	if (!is_given(item, "type") || text_is(item, "type", "message"))
		return translate_message(j, item);
	if (text_is(item, "type", "function_call"))
		return translate_call(j, item);
	if (text_is(item, "type", "function_call_output"))
		return translate_output(j, item);
	if (text_is(item, "type", "reasoning"))
		return translate_thoughts(j, item);
	return refuse(j,
	    "input: an item is of a type that this model's server does not "
	    "know; it has messages, function calls and reasoning only");
}

int
responses_input(struct responses_job *j)
{
	json_t *input = json_object_get(j->in, "input");
	json_t *instructions = json_object_get(j->in, "instructions");
	json_t *item;
	size_t i;
	int r = 0;

	if (json_is_string(instructions))
		r = add_message(j,
		    json_pack("{s:s, s:O}", "role", "system", "content",
			instructions));
	else if (is_given(j->in, "instructions"))
		return refuse(j, "instructions: no text");
	if (r == 0 && json_is_string(input))
		return add_message(j,
		    json_pack("{s:s, s:O}", "role", "user", "content", input));
	if (!json_is_array(input))
		return refuse(j, "input: needs a text or a list");
	json_array_foreach(input, i, item)
	{
		if (r == 0)
			r = translate_item(j, item);
	}
	return r;
}
