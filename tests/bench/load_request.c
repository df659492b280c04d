// The requests of each mode, and the answer that the demo backend has to give
// to them: it repeats the user's words.
#include "tests/bench/load.h"

#include <inttypes.h>
#include <string.h>

#define SOAK_WORDS_MAX 60
#define IDLE_DELAY_MS 3600000

static const char upload_text[] = "say what this picture shows";

static uint64_t
next_random(uint64_t *state)
{
	// xorshift64: repeatable, and good enough to vary requests.
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void
finish(const struct load *l, struct buffer *request, const struct buffer *body)
{
	buffer_reset(request);
	buffer_add_format(request,
	    "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\n"
	    "Content-Type: application/json\r\nAccept: */*\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    l->authority, buffer_len(body));
	buffer_add(request, buffer_bytes(body), buffer_len(body));
}

static void
add_words(struct buffer *b, size_t len)
{
	static const char words[] =
	    "the river of stone and light went on below the hill ";

	for (size_t n; len != 0; len -= n) {
		n = len < sizeof(words) - 1 ? len : sizeof(words) - 1;
		buffer_add(b, words, n);
	}
}

static void
add_picture(struct buffer *b, size_t len)
{
	static const char piece[] =
	    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhf";

	buffer_add_format(b,
	    "[{\"type\":\"text\",\"text\":\"%s\"},{\"type\":\"image_url\","
	    "\"image_url\":{\"url\":\"data:image/png;base64,",
	    upload_text);
	for (size_t n; len != 0; len -= n) {
		n = len < sizeof(piece) - 1 ? len : sizeof(piece) - 1;
		buffer_add(b, piece, n);
	}
	buffer_add_text(b, "\"}}]");
}

void
request_make(struct load *l)
{
	struct buffer body = { 0 };

	buffer_add_format(&body, "{\"model\":\"%s\",", l->model);
	if (l->mode == MODE_STREAM || l->mode == MODE_IDLE)
		buffer_add_format(&body,
		    "\"stream\":true,\"demo_stamp\":true,\"demo_tokens\":"
		    "%" PRId64 ",\"demo_delay_ms\":%" PRId64 ",",
		    l->tokens,
		    l->mode == MODE_IDLE ? IDLE_DELAY_MS : l->delay_ms);
	buffer_add_text(&body, "\"messages\":[{\"role\":\"user\",\"content\":");
	if (l->mode == MODE_UPLOAD) {
		add_picture(&body, l->prompt_bytes);
		buffer_add_text(&l->expected, upload_text);
	} else {
		add_words(&l->expected, l->prompt_bytes);
		buffer_add_text(&body, "\"");
		buffer_add(&body, buffer_bytes(&l->expected),
		    buffer_len(&l->expected));
		buffer_add_text(&body, "\"");
	}
	buffer_add_text(&body, "}]}");
	finish(l, &l->request, &body);
	buffer_done(&body);
}

void
request_make_soak(struct client *c)
{
	struct load *l = c->load;
	struct buffer body = { 0 };
	uint64_t n = 1 + next_random(&l->seed) % SOAK_WORDS_MAX;
	bool stream = next_random(&l->seed) % 4 != 0;

	buffer_reset(&c->expected);
	for (uint64_t i = 0; i < n; i++)
		buffer_add_format(&c->expected, "%sw%08" PRIx64,
		    i == 0 ? "" : " ", next_random(&l->seed) & 0xffffffff);
	buffer_add_format(&body,
	    "{\"model\":\"%s\",\"stream\":%s,\"demo_delay_ms\":%" PRId64
	    ",\"messages\":[{\"role\":\"system\",\"content\":\"x\"},"
	    "{\"role\":\"user\",\"content\":\"",
	    l->model, stream ? "true" : "false", l->delay_ms);
	buffer_add(&body, buffer_bytes(&c->expected), buffer_len(&c->expected));
	buffer_add_text(&body, "\"}]}");
	finish(l, &c->request, &body);
	buffer_done(&body);
	c->to_abort = stream && n > 4 && l->abort_every != 0 &&
	    l->results.started % l->abort_every == 0;
}
