// Decides what a complete request is answered with: models, health, stats,
// completions and embeddings in OpenAI's shapes, or the fault it asked for.
// Its client is a test; there is nothing here to protect.
#include "tests/tools/backend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTOR_MAX 4096
#define HUGE_BYTES ((int64_t)1 << 30)

static const char *
reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 429:
		return "Too Many Requests";
	case 500:
		return "Internal Server Error";
	case 503:
		return "Service Unavailable";
	default:
		return "Status";
	}
}

// length -1: the body has no length that is known now.
void
answer_head(struct conn *c, int status, const char *type, int64_t length)
{
	const char *framing = c->ask.knobs.framing;

	c->reply.chunked = c->reply.eof = false;
	if (strcmp(framing, "eof") == 0 ||
	    (c->http_1_0 && (length < 0 || strcmp(framing, "chunked") == 0)))
		c->reply.eof = true;
	else if (length < 0 || strcmp(framing, "chunked") == 0)
		c->reply.chunked = true;
	buffer_add_format(&c->out,
	    "HTTP/1.1 %d %s\r\nServer: " SERVER_NAME "\r\nContent-Type: %s\r\n",
	    status, reason(status), type);
	if (status == 429 || status == 503)
		buffer_add_text(&c->out, "Retry-After: 1\r\n");
	if (c->reply.chunked)
		buffer_add_text(&c->out, "Transfer-Encoding: chunked\r\n");
	else if (!c->reply.eof)
		buffer_add_format(
		    &c->out, "Content-Length: %" PRId64 "\r\n", length);
	if (c->reply.eof || !c->keep_alive)
		buffer_add_text(&c->out, "Connection: close\r\n");
	buffer_add_text(&c->out, "\r\n");
}

void
answer_body(struct conn *c, const char *bytes, size_t len)
{
	if (len == 0 || strcmp(c->method, "HEAD") == 0)
		return;
	if (c->reply.chunked)
		buffer_add_format(&c->out, "%zx\r\n", len);
	buffer_add(&c->out, bytes, len);
	if (c->reply.chunked)
		buffer_add(&c->out, "\r\n", 2);
}

// The head and all of a body that is in the work buffer.
static void
answer_work(struct conn *c, int status)
{
	struct buffer *b = &c->backend->work;

	answer_head(c, status, "application/json", (int64_t)buffer_len(b));
	answer_body(c, buffer_bytes(b), buffer_len(b));
	if (c->reply.chunked)
		buffer_add_text(&c->out, "0\r\n\r\n");
	conn_answered(c);
}

void
answer_error(struct conn *c, int status, const char *type, const char *code,
    const char *message)
{
	struct buffer *b = &c->backend->work;

	buffer_reset(b);
	buffer_add_text(b, "{\"error\":{\"message\":\"");
	buffer_add_json(b, message, strlen(message));
	buffer_add_format(
	    b, "\",\"type\":\"%s\",\"param\":null,\"code\":", type);
	if (code != NULL)
		buffer_add_format(b, "\"%s\"}}", code);
	else
		buffer_add_text(b, "null}}");
	answer_work(c, status);
}

static void
add_model(const struct backend *b, struct buffer *out, const char *name)
{
	buffer_add_text(out, "{\"id\":\"");
	buffer_add_json(out, name, strlen(name));
	buffer_add_format(out,
	    "\",\"object\":\"model\",\"created\":%" PRId64
	    ",\"owned_by\":\"meshllm-demo-backend\",\"description\":"
	    "\"not a language model: it repeats your words\"}",
	    b->started);
}

static const char *
find_model(const struct backend *b, const char *name)
{
	for (size_t i = 0; i < b->n_models; i++)
		if (strcmp(b->models[i], name) == 0)
			return b->models[i];
	return NULL;
}

static void
answer_models(struct conn *c)
{
	struct backend *b = c->backend;
	const char *name = c->path + strlen("/v1/models");

	buffer_reset(&b->work);
	if (name[0] == '\0') {
		buffer_add_text(&b->work, "{\"object\":\"list\",\"data\":[");
		for (size_t i = 0; i < b->n_models; i++) {
			if (i != 0)
				buffer_add_text(&b->work, ",");
			add_model(b, &b->work, b->models[i]);
		}
		buffer_add_text(&b->work, "]}");
	} else if (find_model(b, name + 1) != NULL) {
		add_model(b, &b->work, name + 1);
	} else {
		answer_error(c, 404, "invalid_request_error", "model_not_found",
		    "no such model");
		return;
	}
	answer_work(c, 200);
}

static void
answer_get(struct conn *c)
{
	struct buffer *b = &c->backend->work;
	size_t prefix = strlen("/v1/models");

	buffer_reset(b);
	if (strncmp(c->path, "/v1/models", prefix) == 0 &&
	    (c->path[prefix] == '\0' || c->path[prefix] == '/')) {
		answer_models(c);
	} else if (strcmp(c->path, "/health") == 0) {
		buffer_add_text(b,
		    "{\"status\":\"ok\",\"about\":\"not a language model: it "
		    "repeats your words\"}");
		answer_work(c, 200);
	} else if (strcmp(c->path, "/stats") == 0) {
		stats_add(c->backend, b);
		answer_work(c, 200);
	} else {
		answer_error(
		    c, 404, "invalid_request_error", NULL, "no such path");
	}
}

static void
add_completion_start(struct conn *c, struct buffer *b)
{
	bool chat = c->reply.api == API_CHAT;

	buffer_add_format(b,
	    "{\"id\":\"%s-demo-%" PRIu64 "\",\"object\":\"%s\","
	    "\"created\":%" PRId64 ",\"model\":\"",
	    chat ? "chatcmpl" : "cmpl", c->reply.id,
	    chat ? "chat.completion" : "text_completion", c->backend->started);
	buffer_add_json(b, c->ask.model, strlen(c->ask.model));
	buffer_add_text(b,
	    "\",\"system_fingerprint\":\"not-a-language-model\","
	    "\"choices\":[{\"index\":0,");
	buffer_add_text(b,
	    chat ? "\"message\":{\"role\":\"assistant\",\"refusal\":null,"
		   "\"content\":\""
		 : "\"text\":\"");
}

static void
add_completion_end(struct conn *c, struct buffer *b)
{
	buffer_add_text(b, c->reply.api == API_CHAT ? "\"}" : "\"");
	buffer_add_format(b,
	    ",\"logprobs\":null,\"finish_reason\":\"%s\"}],\"usage\":",
	    reply_finish_reason(c));
	reply_add_usage(c, b);
	buffer_add_text(b, "}");
}

// A long answer is made while it is sent.
static void
answer_filled(struct conn *c)
{
	struct buffer start = { 0 };
	int64_t fill = c->ask.knobs.bytes;

	add_completion_start(c, &start);
	buffer_reset(&c->reply.held);
	add_completion_end(c, &c->reply.held);
	answer_head(c, 200, "application/json",
	    (int64_t)(buffer_len(&start) + buffer_len(&c->reply.held)) + fill);
	answer_body(c, buffer_bytes(&start), buffer_len(&start));
	buffer_done(&start);
	c->reply.kind = REPLY_FILL;
	c->reply.fill = (uint64_t)fill;
	c->reply.due = 0;
}

static void
answer_completion(struct conn *c)
{
	struct buffer *b = &c->backend->work;

	if (c->ask.knobs.bytes != 0) {
		answer_filled(c);
		return;
	}
	buffer_reset(b);
	add_completion_start(c, b);
	reply_add_all(c, b);
	add_completion_end(c, b);
	answer_work(c, 200);
}

static void
add_vector(struct buffer *out, uint64_t hash, size_t n, bool base64)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm"
				       "nopqrstuvwxyz0123456789+/";
	uint8_t bytes[VECTOR_MAX * 4 + 2] = { 0 };
	size_t len = n * 4;

	buffer_add_text(out, base64 ? "\"" : "[");
	for (size_t i = 0; i < n; i++) {
		float f;

		hash = hash * 6364136223846793005U + 1442695040888963407U;
		f = (float)((int)(hash >> 56) - 128) / 128.0f;
		memcpy(bytes + i * 4, &f, sizeof(f)); // little-endian hosts
		if (!base64)
			buffer_add_format(
			    out, "%s%g", i != 0 ? "," : "", (double)f);
	}
	for (size_t i = 0; base64 && i < len; i += 3) {
		unsigned v = (unsigned)(bytes[i] << 16 | bytes[i + 1] << 8 |
		    bytes[i + 2]);
		char four[4] = { alphabet[v >> 18], alphabet[v >> 12 & 63],
			i + 1 < len ? alphabet[v >> 6 & 63] : '=',
			i + 2 < len ? alphabet[v & 63] : '=' };

		buffer_add(out, four, sizeof(four));
	}
	buffer_add_text(out, base64 ? "\"" : "]");
}

static void
answer_embeddings(struct conn *c)
{
	struct buffer *b = &c->backend->work;
	struct buffer *inputs = &c->ask.inputs;
	int64_t want = c->ask.dimensions;
	size_t n = want > 0 && want <= VECTOR_MAX ? (size_t)want : 8;
	bool base64 = strcmp(c->ask.encoding_format, "base64") == 0;
	uint64_t h = 0;

	if (buffer_len(inputs) == 0) // token ids
		buffer_add(inputs, (const char *)&h, sizeof(h));
	buffer_reset(b);
	buffer_add_text(b, "{\"object\":\"list\",\"data\":[");
	for (size_t i = 0; i < buffer_len(inputs) / sizeof(h); i++) {
		memcpy(&h, buffer_bytes(inputs) + i * sizeof(h), sizeof(h));
		buffer_add_format(b,
		    "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":",
		    i != 0 ? "," : "", i);
		add_vector(b, h, n, base64);
		buffer_add_text(b, "}");
	}
	buffer_add_text(b, "],\"model\":\"");
	buffer_add_json(b, c->ask.model, strlen(c->ask.model));
	buffer_add_format(b,
	    "\",\"usage\":{\"prompt_tokens\":%" PRIu64
	    ",\"total_tokens\":%" PRIu64 "}}",
	    c->reply.prompt_words, c->reply.prompt_words);
	answer_work(c, 200);
}

static bool
find_api(const char *path, enum api *ret)
{
	if (strcmp(path, "/v1/chat/completions") == 0)
		*ret = API_CHAT;
	else if (strcmp(path, "/v1/completions") == 0)
		*ret = API_COMPLETION;
	else if (strcmp(path, "/v1/embeddings") == 0)
		*ret = API_EMBEDDING;
	else
		return false;
	return true;
}

static void
answer_post(struct conn *c)
{
	const struct backend *b = c->backend;

	if (!find_api(c->path, &c->reply.api)) {
		answer_error(
		    c, 404, "invalid_request_error", NULL, "no such path");
	} else if (!ask_is_complete(&c->scan)) {
		answer_error(c, 400, "invalid_request_error", NULL,
		    "the body is not a JSON object");
	} else if (find_model(b, c->ask.model) == NULL) {
		answer_error(c, 404, "invalid_request_error", "model_not_found",
		    "no such model");
	} else {
		reply_choose_words(c);
		if (b->context_words != 0 &&
		    c->reply.prompt_words > (uint64_t)b->context_words)
			answer_error(c, 400, "invalid_request_error",
			    "context_length_exceeded",
			    "the prompt is longer than the context");
		else if (c->reply.api == API_EMBEDDING)
			answer_embeddings(c);
		else if (c->ask.stream)
			reply_stream_start(c);
		else
			answer_completion(c);
	}
}

static void
drip_answer(struct conn *c)
{
	buffer_reset(&c->reply.held);
	buffer_add(&c->reply.held, buffer_bytes(&c->out), buffer_len(&c->out));
	buffer_reset(&c->out);
	c->phase = PHASE_ANSWER;
	c->backend->stats.answers_now++;
	c->close_after = false;
	c->reply.kind = REPLY_DRIP;
	c->reply.due = tool_now_ns();
	conn_schedule(c);
}

// Only part of a whole answer is sent before the connection ends.
static void
cut_answer(struct conn *c)
{
	c->out.end = c->out.start + buffer_len(&c->out) / 2;
	c->close_after = true;
	c->reset = strcmp(c->ask.knobs.fault, "cut_reset") == 0;
}

// Faults in place of an answer; false: there is none of that kind.
static bool
answer_fault(struct conn *c, int *ret)
{
	const char *fault = c->ask.knobs.fault;
	int status;

	*ret = 0;
	if (strncmp(fault, "error_", 6) == 0 &&
	    (status = (int)strtol(fault + 6, NULL, 10)) >= 300 &&
	    status < 600) {
		answer_error(c, status, "server_error", NULL,
		    "the demo backend was asked to fail");
	} else if (strcmp(fault, "context_overflow") == 0) {
		answer_error(c, 400, "invalid_request_error",
		    "context_length_exceeded",
		    "the prompt is longer than the context");
	} else if (strcmp(fault, "close_before_head") == 0) {
		c->keep_alive = false;
		conn_answered(c);
	} else if (strcmp(fault, "reset_before_head") == 0) {
		c->reset = true;
		*ret = -ECONNRESET;
	} else if (strcmp(fault, "garbage_head") == 0) {
		buffer_add_text(&c->out, "\x16\x03\x01 not HTTP\r\n\r\n");
		c->keep_alive = false;
		conn_answered(c);
	} else if (strcmp(fault, "huge_head") == 0) {
		buffer_add_text(&c->out, "HTTP/1.1 200 OK\r\n");
		for (int i = 0; i < 20000; i++)
			buffer_add_format(
			    &c->out, "X-Filler-%d: %060d\r\n", i, i);
		c->keep_alive = false;
		conn_answered(c);
	} else if (strcmp(fault, "never") == 0) {
		c->reply.kind = REPLY_NEVER;
	} else {
		return false;
	}
	return true;
}

int
answer_now(struct conn *c)
{
	const char *fault = c->ask.knobs.fault;
	int r;

	if (strcmp(c->path, "/stats") != 0 && answer_fault(c, &r))
		return r;
	if (strcmp(fault, "eof_body") == 0)
		(void)snprintf(
		    c->ask.knobs.framing, sizeof(c->ask.knobs.framing), "eof");
	if (strcmp(fault, "huge_body") == 0 && c->ask.knobs.bytes == 0)
		c->ask.knobs.bytes = HUGE_BYTES;
	if (strcmp(c->method, "POST") == 0)
		answer_post(c);
	else if (strcmp(c->method, "GET") == 0 ||
	    strcmp(c->method, "HEAD") == 0)
		answer_get(c);
	else
		answer_error(
		    c, 405, "invalid_request_error", NULL, "no such method");
	if (c->reply.kind == REPLY_STREAM || c->reply.kind == REPLY_FILL)
		conn_schedule(c);
	else if (strcmp(fault, "slow_head") == 0)
		drip_answer(c);
	else if (strncmp(fault, "cut", 3) == 0)
		cut_answer(c);
	return 0;
}

int
answer_start(struct conn *c)
{
	int64_t now = tool_now_ns();
	int64_t first = c->ask.knobs.first_ms * 1000000;
	struct buffer held = c->reply.held;

	buffer_reset(&held);
	c->reply = (struct reply){ .id = c->backend->stats.requests,
		.due = now + first,
		.held = held };
	if (first == 0 || c->ask.stream)
		return answer_now(c);
	c->reply.kind = REPLY_WAIT;
	conn_schedule(c);
	return 0;
}
