// What the backend saw, for tests that prove what must not have reached it:
// counters, the last head, and with --record every head as it came.
#include "tests/tools/backend.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
record(const struct backend *b, const char *bytes, size_t len)
{
	if (write(b->record_fd, bytes, len) != (ssize_t)len)
		tool_die("record");
}

void
stats_count_head(struct conn *c, const char *head, size_t len)
{
	struct backend *b = c->backend;

	if (strcmp(c->path, "/stats") == 0)
		return;
	b->stats.requests++;
	if (strcmp(c->method, "POST") == 0) {
		buffer_reset(&b->last_head);
		buffer_add(&b->last_head, head, len);
	}
	if (b->record_fd == -1)
		return;
	buffer_reset(&b->work);
	buffer_add_format(
	    &b->work, "=== head %" PRIu64 "\n", b->stats.requests);
	buffer_add(&b->work, head, len);
	record(b, buffer_bytes(&b->work), buffer_len(&b->work));
}

void
stats_count_body(struct conn *c)
{
	struct backend *b = c->backend;
	char line[96];
	int n;

	if (c->body_bytes == 0)
		return;
	b->stats.last_body_bytes = c->body_bytes;
	b->stats.last_body_sum = c->body_sum;
	if (b->record_fd == -1)
		return;
	n = snprintf(
	    line, sizeof(line), "=== body %" PRIu64 " bytes\n", c->body_bytes);
	record(b, line, (size_t)n);
}

void
stats_add(struct backend *b, struct buffer *out)
{
	const struct stats *s = &b->stats;

	// The answer that holds these numbers is not one of answers_now.
	buffer_add_format(out,
	    "{\"about\":\"not a language model: it repeats your words\","
	    "\"requests\":%" PRIu64 ",\"connections\":%" PRIu64
	    ",\"connections_now\":%" PRIu64 ",\"streams\":%" PRIu64
	    ",\"streams_now\":%" PRIu64 ",\"answers_now\":%" PRIu64
	    ",\"aborted\":%" PRIu64,
	    s->requests, s->connections, s->connections_now, s->streams,
	    s->streams_now, s->answers_now - 1, s->aborted);
	buffer_add_format(out,
	    ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64
	    ",\"bad\":%" PRIu64 ",\"authorization_seen\":%" PRIu64
	    ",\"cookie_seen\":%" PRIu64 ",\"last_body_bytes\":%" PRIu64,
	    s->bytes_in, s->bytes_out, s->bad, s->authorization_seen,
	    s->cookie_seen, s->last_body_bytes);
	if (b->checksum)
		buffer_add_format(out,
		    ",\"last_body_fnv1a\":\"%016" PRIx64 "\"",
		    s->last_body_sum);
	buffer_add_text(out, ",\"last_head\":\"");
	buffer_add_json(
	    out, buffer_bytes(&b->last_head), buffer_len(&b->last_head));
	buffer_add_text(out, "\"}\n");
}
