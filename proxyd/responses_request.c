// A request for a response, made into one for a chat completion.  A client
// wrote it: what cannot be said in chat completions is refused, never left
// out, unless it asks for nothing that a local server could do.  Members that
// nobody here knows pass unchanged: servers have options of their own.
#include "proxyd/responses_job.h"

#include "proxyd/json_out.h"
#include "proxyd/responses.h"

static int
set(struct responses_job *j, const char *name, json_t *value)
{
	return json_object_set_new(j->out, name, value) < 0 ? -ENOMEM : 0;
}

static int
translate_tools(struct responses_job *j)
{
	static const char *const members[] = { "name", "description",
		"parameters", "strict" };
	json_t *tool, *tools = json_array();
	size_t i;

	if (tools == NULL || set(j, "tools", tools) < 0)
		return -ENOMEM;
	json_array_foreach(json_object_get(j->in, "tools"), i, tool)
	{
		json_t *function = json_object();

		if (!text_is(tool, "type", "function")) {
			json_decref(function);
			return refuse(j,
			    "tools: this model's server knows tools of type "
			    "function only");
		}
		for (size_t k = 0; k < N_ELEMENTS(members); k++)
			if (is_given(tool, members[k]))
				(void)json_object_set(function, members[k],
				    json_object_get(tool, members[k]));
		(void)json_array_append_new(tools,
		    json_pack("{s:s, s:o}", "type", "function", "function",
			function));
	}
	return json_array_size(tools) > 0 ? 0
					  : json_object_del(j->out, "tools");
}

static int
translate_tool_choice(struct responses_job *j)
{
	json_t *choice = json_object_get(j->in, "tool_choice");

	if (json_is_string(choice))
		return set(j, "tool_choice", json_incref(choice));
	if (text_is(choice, "type", "function") &&
	    text_of(choice, "name") != NULL)
		return set(j, "tool_choice",
		    json_pack("{s:s, s:{s:O}}", "type", "function", "function",
			"name", json_object_get(choice, "name")));
	return refuse(j,
	    "tool_choice: this model's server knows a word or one function "
	    "only");
}

static int
translate_format(struct responses_job *j, const json_t *format)
{
	static const char *const members[] = { "name", "description", "schema",
		"strict" };
	json_t *schema;

	if (!is_given(format, "type") || text_is(format, "type", "text"))
		return 0;
	if (!text_is(format, "type", "json_schema"))
		return set(j, "response_format", json_deep_copy(format));
	schema = json_object();
	for (size_t k = 0; k < N_ELEMENTS(members); k++)
		if (is_given(format, members[k]))
			(void)json_object_set(schema, members[k],
			    json_object_get(format, members[k]));
	return set(j, "response_format",
	    json_pack(
		"{s:s, s:o}", "type", "json_schema", "json_schema", schema));
}

static int
translate_options(struct responses_job *j)
{
	json_t *effort =
	    json_object_get(json_object_get(j->in, "reasoning"), "effort");
	json_t *text = json_object_get(j->in, "text");
	json_t *one;
	size_t i;
	int r = 0;

	if (is_given(j->in, "max_output_tokens"))
		r = set(j, "max_tokens",
		    json_incref(json_object_get(j->in, "max_output_tokens")));
	if (r == 0 && json_is_string(effort))
		r = set(j, "reasoning_effort", json_incref(effort));
	if (r == 0 && is_given(text, "verbosity"))
		r = set(j, "verbosity",
		    json_incref(json_object_get(text, "verbosity")));
	if (r == 0)
		r = translate_format(j, json_object_get(text, "format"));
	if (r == 0 && json_array_size(json_object_get(j->in, "tools")) > 0)
		r = translate_tools(j);
	if (r == 0 && is_given(j->in, "tool_choice"))
		r = translate_tool_choice(j);
	json_array_foreach(json_object_get(j->in, "include"), i, one)
	{
		if (r == 0 && json_is_string(one) &&
		    strcmp(json_string_value(one),
			"message.output_text.logprobs") == 0)
			r = set(j, "logprobs", json_true());
	}
	if (r == 0 && json_is_true(json_object_get(j->in, "stream")))
		r = set(j, "stream_options",
		    json_pack("{s:b}", "include_usage", 1));
	return r;
}

// Would need a memory of earlier requests, or a queue, which no node has.
static int
refuse_state(struct responses_job *j)
{
	if (is_given(j->in, "previous_response_id"))
		return refuse(j,
		    "previous_response_id: nothing is stored here; send the "
		    "earlier items as input");
	if (is_given(j->in, "conversation"))
		return refuse(j, "conversation: nothing is stored here");
	if (is_given(j->in, "prompt"))
		return refuse(j, "prompt: no templates are stored here");
	if (json_is_true(json_object_get(j->in, "background")))
		return refuse(j, "background: nothing is stored here");
	return 0;
}

static bool
is_translated(const char *name)
{
	static const char *const names[] = { "input", "instructions",
		"max_output_tokens", "text", "reasoning", "tools",
		"tool_choice", "include", "store", "truncation",
		"previous_response_id", "conversation", "background", "prompt",
		"stream_options", "max_tool_calls", "metadata", "service_tier",
		"messages" };

	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int
translate(struct responses_job *j)
{
	const char *name;
	json_t *value;
	int r = refuse_state(j);

	if (r < 0)
		return r;
	json_object_foreach((json_t *)(uintptr_t)j->in, name, value)
	{
		if (!is_translated(name) &&
		    json_object_set(j->out, name, value) < 0)
			return -ENOMEM;
	}
	if ((j->messages = json_array()) == NULL ||
	    set(j, "messages", j->messages) < 0)
		return -ENOMEM;
	r = responses_input(j);
	return r < 0 ? r : translate_options(j);
}

// ---- the echo

static int
append(const char *bytes, size_t n, void *arg)
{
	return buf_append(arg, bytes, n);
}

static void
put_echo(struct json_out *o, const json_t *in, const char *name,
    const char *otherwise)
{
	const json_t *value = json_object_get(in, name);

	json_out_raw(o, ",\"");
	json_out_raw(o, name);
	json_out_raw(o, "\":");
	if (value == NULL || json_is_null(value))
		json_out_raw(o, otherwise);
	else if (o->error == 0 &&
	    json_dump_callback(
		value, append, o->buf, JSON_COMPACT | JSON_ENCODE_ANY) < 0)
		o->error = -ENOMEM;
}

static int
make_echo(const json_t *in, struct buf *echo)
{
	static const char *const members[][2] = {
		{ "instructions", "null" },
		{ "max_output_tokens", "null" },
		{ "max_tool_calls", "null" },
		{ "metadata", "{}" },
		{ "parallel_tool_calls", "true" },
		{ "previous_response_id", "null" },
		{ "prompt_cache_key", "null" },
		{ "reasoning", "{\"effort\":null,\"summary\":null}" },
		{ "safety_identifier", "null" },
		{ "temperature", "1.0" },
		{ "text", "{\"format\":{\"type\":\"text\"}}" },
		{ "tool_choice", "\"auto\"" },
		{ "tools", "[]" },
		{ "top_logprobs", "0" },
		{ "top_p", "1.0" },
		{ "user", "null" },
	};
	struct json_out o = { echo, 0 };

	json_out_raw(&o,
	    ",\"background\":false,\"service_tier\":\"default\","
	    "\"store\":false,\"truncation\":\"disabled\"");
	for (size_t i = 0; i < N_ELEMENTS(members); i++)
		put_echo(&o, in, members[i][0], members[i][1]);
	return o.error;
}

int
responses_request(const uint8_t *body, size_t len, struct buf *chat,
    struct buf *echo, const char **ret_why)
{
	json_error_t ignored;
	struct responses_job j = { .why = "the request is no JSON object" };
	json_t *in;
	int r = -EINVAL;

	*ret_why = "the request is too large to be translated";
	if (len > RESPONSES_REQUEST_MAX)
		return -EMSGSIZE;
	in = json_loadb((const char *)body, len,
	    JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &ignored);
	j.in = in;
	if (json_is_object(in)) {
		j.out = json_object();
		r = j.out == NULL ? -ENOMEM : translate(&j);
	}
	if (r == 0 && json_dump_callback(j.out, append, chat, JSON_COMPACT) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = make_echo(in, echo);
	json_decref(j.thoughts);
	json_decref(j.out);
	json_decref(in);
	*ret_why = j.why;
	return r;
}
