// Checks an answer while it arrives: every byte of the text has to be the one
// that was expected, in order, and the end has to be a proper end.  Under
// stamps the text is the time at which the backend made the token.
#include "tests/bench/load.h"

#include <stdlib.h>
#include <string.h>

static const struct buffer *
expected(const struct client *c)
{
	return c->load->mode == MODE_SOAK ? &c->expected : &c->load->expected;
}

static bool
has(const char *p, size_t len, const char *text)
{
	return memmem(p, len, text, strlen(text)) != NULL;
}

static void
first_token(struct client *c, int64_t now)
{
	if (c->got_first)
		return;
	c->got_first = true;
	samples_add(&c->load->results.first_byte, now - c->start_ns);
	c->load->open++;
}

static void
match(struct client *c, const char *p, size_t len)
{
	const struct buffer *want = expected(c);

	if (buffer_len(want) - c->matched < len ||
	    memcmp(buffer_bytes(want) + c->matched, p, len) != 0)
		c->problem = "wrong content";
	else
		c->matched += len;
}

static void
take_stamp(struct client *c, const char *p, size_t len, int64_t now)
{
	int64_t made = 0;
	size_t i = 1;

	while (i < len && p[i] >= '0' && p[i] <= '9')
		made = made * 10 + (p[i++] - '0');
	if (p[0] != '@' || i == len || p[i] != '@') {
		c->problem = "no stamp";
		return;
	}
	samples_add(&c->load->results.added, now - made);
}

// The text of `"content":"..."` in a line or a whole answer.
static void
take_content(struct client *c, const char *p, size_t len, int64_t now)
{
	static const char key[] = "\"content\":\"";
	const char *text = memmem(p, len, key, sizeof(key) - 1);
	const char *end;
	enum mode mode = c->load->mode;

	if (text == NULL)
		return;
	text += sizeof(key) - 1;
	end = memchr(text, '"', (size_t)(p + len - text));
	if (end == NULL || end == text)
		return;
	c->tokens++;
	c->load->results.tokens++;
	if (c->reading_stream)
		first_token(c, now);
	if (mode == MODE_STREAM || mode == MODE_IDLE)
		take_stamp(c, text, (size_t)(end - text), now);
	else
		match(c, text, (size_t)(end - text));
}

static void
take_line(struct client *c, const char *p, size_t len, int64_t now)
{
	static const char prefix[] = "data: ";

	if (len < sizeof(prefix) - 1 ||
	    memcmp(p, prefix, sizeof(prefix) - 1) != 0)
		return;
	if (c->got_done)
		c->problem = "data after [DONE]";
	if (has(p, len, "[DONE]"))
		c->got_done = true;
	else if (has(p, len, "\"error\""))
		c->problem = "error event";
	if (has(p, len, "\"finish_reason\":\""))
		c->finished = true;
	take_content(c, p, len, now);
}

void
answer_begin(struct client *c)
{
	c->got_byte = c->got_first = c->finished = c->got_done = false;
	c->problem = NULL;
	c->status = 0;
	c->tokens = 0;
	c->matched = 0;
	buffer_reset(&c->body);
}

void
answer_bytes(struct client *c, const char *p, size_t len)
{
	int64_t now = tool_now_ns();
	const char *eol;

	if (len == 0)
		return;
	if (!c->reading_stream)
		first_token(c, now);
	buffer_add(&c->body, p, len);
	while (c->reading_stream && buffer_len(&c->body) != 0) {
		const char *line = buffer_bytes(&c->body);

		eol = memchr(line, '\n', buffer_len(&c->body));
		if (eol == NULL)
			return;
		take_line(c, line, (size_t)(eol - line), now);
		buffer_take(&c->body, (size_t)(eol - line) + 1);
	}
}

void
answer_end(struct client *c)
{
	const struct buffer *want = expected(c);
	enum mode mode = c->load->mode;

	if (c->status != 200) {
		c->problem = c->status == 0 ? "no answer" : "status";
		return;
	}
	if (!c->reading_stream)
		take_content(c, buffer_bytes(&c->body), buffer_len(&c->body),
		    tool_now_ns());
	if (c->problem != NULL)
		return;
	if (c->reading_stream && (!c->finished || !c->got_done))
		c->problem = "no proper end";
	else if (mode == MODE_STREAM && c->tokens != (uint64_t)c->load->tokens)
		c->problem = "tokens lost";
	else if (mode != MODE_STREAM && mode != MODE_IDLE &&
	    c->matched != buffer_len(want))
		c->problem = "content lost";
}
