// Makes the answer: the words of the last user message, one token each, or a
// pattern of the length that was asked for.  The same request always gives
// the same answer, except for stamps.  Nothing here waits: what is late is
// left to the connection's timer.
#include "tests/tools/backend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OUT_MAX ((size_t)512 * 1024)
#define TOKENS_PER_STEP 256
#define TOKEN_BYTES_MAX 65536
#define FILL_PIECE ((size_t)64 * 1024)
#define STALL_NS ((int64_t)5000000)

static const char filler[] = "0123456789abcdefghijklmnopqrstuvwxyz_-.,;:!?@#"
			     "ABCDEFGHIJKLMNOPQ ";

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

// The end of the word at `at` with the white space that follows it.
static size_t
word_end(const char *p, size_t len, size_t at)
{
	while (at < len && is_space(p[at]))
		at++;
	while (at < len && !is_space(p[at]))
		at++;
	while (at < len && is_space(p[at]))
		at++;
	return at;
}

static uint64_t
count_words(const struct buffer *text)
{
	uint64_t n = 0;
	size_t len = buffer_len(text);

	for (size_t at = 0; at < len; n++)
		at = word_end(buffer_bytes(text), len, at);
	return n;
}

void
reply_choose_words(struct conn *c)
{
	static const char intro[] =
	    "I am not a language model, I repeat your words: ";
	struct ask *ask = &c->ask;

	if (buffer_len(&ask->text) == 0)
		buffer_add_text(&ask->text, "(no words)");
	if (c->backend->introduce) {
		struct buffer with = { 0 };

		buffer_add_text(&with, intro);
		buffer_add(
		    &with, buffer_bytes(&ask->text), buffer_len(&ask->text));
		buffer_done(&ask->text);
		ask->text = with;
	}
	c->reply.prompt_words = count_words(&ask->text);
	c->reply.words = ask->knobs.tokens != 0 ? (uint64_t)ask->knobs.tokens
						: c->reply.prompt_words;
	if (ask->max_tokens != 0 && (uint64_t)ask->max_tokens < c->reply.words)
		c->reply.words = (uint64_t)ask->max_tokens;
}

const char *
reply_finish_reason(const struct conn *c)
{
	return c->ask.max_tokens != 0 &&
		c->reply.sent >= (uint64_t)c->ask.max_tokens
	    ? "length"
	    : "stop";
}

static void
add_padding(struct buffer *out, size_t len)
{
	for (size_t n; len != 0; len -= n) {
		n = len < sizeof(filler) - 1 ? len : sizeof(filler) - 1;
		buffer_add(out, filler, n);
	}
}

void
reply_add_token(struct conn *c, struct buffer *out)
{
	const char *p = buffer_bytes(&c->ask.text);
	size_t len = buffer_len(&c->ask.text);
	size_t want = (size_t)c->ask.knobs.token_bytes;
	size_t before = buffer_len(out);
	size_t made;

	want = want < TOKEN_BYTES_MAX ? want : TOKEN_BYTES_MAX;
	if (c->ask.knobs.stamp) {
		buffer_add_format(out, "@%" PRId64 "@ ", tool_now_ns());
	} else {
		size_t at = c->reply.text_at;
		size_t end = word_end(p, len, at);

		buffer_add_json(out, p + at, end - at);
		c->reply.text_at = end == len ? 0 : end;
		// Asked for more words than there are: begin again.
		if (end == len && !is_space(p[len - 1]) &&
		    c->reply.sent + 1 < c->reply.words)
			buffer_add(out, " ", 1);
	}
	made = buffer_len(out) - before;
	if (made < want)
		add_padding(out, want - made);
	c->reply.sent++;
}

void
reply_add_all(struct conn *c, struct buffer *out)
{
	const struct knobs *k = &c->ask.knobs;

	// The common case, a plain echo, need not be taken apart.
	if (!k->stamp && k->token_bytes == 0 &&
	    c->reply.words == c->reply.prompt_words) {
		buffer_add_json(
		    out, buffer_bytes(&c->ask.text), buffer_len(&c->ask.text));
		c->reply.sent = c->reply.words;
	}
	while (c->reply.sent < c->reply.words)
		reply_add_token(c, out);
}

void
reply_add_usage(struct conn *c, struct buffer *out)
{
	uint64_t prompt = c->reply.prompt_words;

	buffer_add_format(out,
	    "{\"prompt_tokens\":%" PRIu64 ",\"completion_tokens\":%" PRIu64
	    ",\"total_tokens\":%" PRIu64 "}",
	    prompt, c->reply.sent, prompt + c->reply.sent);
}

// One SSE event holding `choices` and, when the client asked, usage.
static void
add_event(struct conn *c, const struct buffer *choices, bool usage)
{
	struct buffer *b = &c->backend->work;
	bool chat = c->reply.api == API_CHAT;

	buffer_reset(b);
	buffer_add_format(b,
	    "data: {\"id\":\"%s-demo-%" PRIu64 "\",\"object\":\"%s\","
	    "\"created\":%" PRId64 ",\"model\":\"",
	    chat ? "chatcmpl" : "cmpl", c->reply.id,
	    chat ? "chat.completion.chunk" : "text_completion",
	    c->backend->started);
	buffer_add_json(b, c->ask.model, strlen(c->ask.model));
	buffer_add_text(b,
	    "\",\"system_fingerprint\":\"not-a-language-model\","
	    "\"choices\":[");
	buffer_add(b, buffer_bytes(choices), buffer_len(choices));
	buffer_add_text(b, "]");
	if (usage) {
		buffer_add_text(b, ",\"usage\":");
		reply_add_usage(c, b);
	} else if (c->ask.include_usage) {
		buffer_add_text(b, ",\"usage\":null");
	}
	buffer_add_text(b, "}\n\n");
	answer_body(c, buffer_bytes(b), buffer_len(b));
}

static void
stream_token(struct conn *c)
{
	struct buffer choice = { 0 };

	buffer_add_text(&choice,
	    c->reply.api == API_CHAT ? "{\"index\":0,\"delta\":{\"content\":\""
				     : "{\"index\":0,\"text\":\"");
	reply_add_token(c, &choice);
	buffer_add_text(&choice, c->reply.api == API_CHAT ? "\"}" : "\"");
	buffer_add_text(&choice, ",\"logprobs\":null,\"finish_reason\":null}");
	add_event(c, &choice, false);
	buffer_done(&choice);
}

void
reply_stream_start(struct conn *c)
{
	struct buffer choice = { 0 };

	c->reply.kind = REPLY_STREAM;
	c->reply.counted = true;
	c->backend->stats.streams++;
	c->backend->stats.streams_now++;
	answer_head(c, 200, "text/event-stream", -1);
	if (c->reply.api == API_CHAT) {
		buffer_add_text(&choice,
		    "{\"index\":0,\"delta\":{\"role\":\"assistant\","
		    "\"content\":\"\"},\"logprobs\":null,"
		    "\"finish_reason\":null}");
		add_event(c, &choice, false);
	}
	buffer_done(&choice);
}

static void
end_stream(struct conn *c)
{
	struct buffer choice = { 0 };

	buffer_add_format(&choice,
	    "{\"index\":0,%s,\"logprobs\":null,\"finish_reason\":\"%s\"}",
	    c->reply.api == API_CHAT ? "\"delta\":{}" : "\"text\":\"\"",
	    reply_finish_reason(c));
	add_event(c, &choice, false);
	if (c->ask.include_usage) {
		buffer_reset(&choice);
		add_event(c, &choice, true);
	}
	buffer_done(&choice);
	if (strcmp(c->ask.knobs.fault, "no_done") != 0)
		answer_body(c, "data: [DONE]\n\n", 14);
	if (c->reply.chunked)
		buffer_add_text(&c->out, "0\r\n\r\n");
	conn_answered(c);
}

// The stream's fault, if this is where it happens.
static bool
stream_fault(struct conn *c)
{
	static const char error[] =
	    "data: {\"error\":{\"message\":\"the demo backend was asked to "
	    "fail\",\"type\":\"server_error\",\"code\":500}}\n\n";
	const char *fault = c->ask.knobs.fault;

	if (c->reply.sent < (uint64_t)c->ask.knobs.fault_after)
		return false;
	if (strcmp(fault, "cut") == 0) {
		;
	} else if (strcmp(fault, "cut_reset") == 0) {
		c->reset = true;
	} else if (strcmp(fault, "bad_chunk") == 0) {
		buffer_add_text(&c->out, "zz\r\nnot a chunk\r\n");
	} else if (strcmp(fault, "bad_event") == 0) {
		answer_body(c, "data: {\"choices\":[{\n\n", 21);
		c->ask.knobs.fault[0] = '\0';
		return false;
	} else if (strcmp(fault, "error_event") == 0) {
		answer_body(c, error, sizeof(error) - 1);
		if (c->reply.chunked)
			buffer_add_text(&c->out, "0\r\n\r\n");
	} else if (strcmp(fault, "stall") == 0) {
		c->reply.kind = REPLY_NEVER;
		return true;
	} else {
		return false;
	}
	c->keep_alive = false;
	conn_answered(c);
	return true;
}

static void
step_stream(struct conn *c)
{
	int64_t now = tool_now_ns();

	for (int i = 0; i < TOKENS_PER_STEP; i++) {
		if (c->reply.due > now)
			break;
		if (stream_fault(c))
			return;
		if (c->reply.sent == c->reply.words) {
			end_stream(c);
			return;
		}
		if (buffer_len(&c->out) > OUT_MAX) {
			c->reply.due = now + STALL_NS; // a slow reader
			break;
		}
		stream_token(c);
		if (c->reply.sent < c->reply.words)
			c->reply.due += c->ask.knobs.delay_ms * 1000000;
	}
	conn_schedule(c);
}

static void
step_fill(struct conn *c)
{
	size_t room = FILL_PIECE;

	if (buffer_len(&c->out) != 0)
		return; // conn_write calls again
	room = c->reply.fill < room ? (size_t)c->reply.fill : room;
	c->reply.fill -= room;
	buffer_reset(&c->backend->work);
	add_padding(&c->backend->work, room);
	answer_body(c, buffer_bytes(&c->backend->work), room);
	if (c->reply.fill != 0)
		return;
	answer_body(
	    c, buffer_bytes(&c->reply.held), buffer_len(&c->reply.held));
	buffer_reset(&c->reply.held);
	if (c->reply.chunked)
		buffer_add_text(&c->out, "0\r\n\r\n");
	conn_answered(c);
}

static void
step_drip(struct conn *c)
{
	struct buffer *held = &c->reply.held;
	const char *p = buffer_bytes(held);
	const char *end = memmem(p, buffer_len(held), "\r\n\r\n", 4);
	size_t n = end != NULL ? 1 : buffer_len(held);

	buffer_add(&c->out, p, n);
	buffer_take(held, n);
	if (buffer_len(held) == 0) {
		conn_answered(c);
		return;
	}
	c->reply.due +=
	    (c->ask.knobs.delay_ms != 0 ? c->ask.knobs.delay_ms : 20) * 1000000;
	conn_schedule(c);
}

int
reply_step(struct conn *c)
{
	switch (c->reply.kind) {
	case REPLY_WAIT:
		return answer_now(c);
	case REPLY_STREAM:
		step_stream(c);
		break;
	case REPLY_FILL:
		step_fill(c);
		break;
	case REPLY_DRIP:
		step_drip(c);
		break;
	case REPLY_NONE:
	case REPLY_NEVER:
		break;
	}
	return 0;
}
