// Helpers of the test programs.  They trust their caller; a tool that runs
// out of memory ends, because no test can go on without it.  Nothing of this
// may be linked into a daemon.
#include "tests/tools/tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define KEEP_MAX ((size_t)256 * 1024)

size_t
buffer_len(const struct buffer *b)
{
	return b->end - b->start;
}

const char *
buffer_bytes(const struct buffer *b)
{
	return b->bytes != NULL ? b->bytes + b->start : "";
}

static void
reserve(struct buffer *b, size_t len)
{
	size_t used = b->end - b->start;
	size_t capacity = b->capacity != 0 ? b->capacity : 512;

	if (b->capacity - b->end >= len)
		return;
	if (b->start != 0) {
		memmove(b->bytes, b->bytes + b->start, used);
		b->start = 0;
		b->end = used;
	}
	while (capacity - used < len)
		capacity *= 2;
	if (capacity == b->capacity)
		return;
	b->bytes = realloc(b->bytes, capacity);
	if (b->bytes == NULL)
		tool_die("realloc");
	b->capacity = capacity;
}

void
buffer_add(struct buffer *b, const char *bytes, size_t len)
{
	if (len == 0)
		return;
	reserve(b, len);
	memcpy(b->bytes + b->end, bytes, len);
	b->end += len;
}

void
buffer_add_text(struct buffer *b, const char *text)
{
	buffer_add(b, text, strlen(text));
}

void
buffer_add_format(struct buffer *b, const char *format, ...)
{
	va_list args;
	int n;

	reserve(b, 512);
	va_start(args, format);
	n = vsnprintf(b->bytes + b->end, b->capacity - b->end, format, args);
	va_end(args);
	if (n < 0)
		tool_die("vsnprintf");
	if ((size_t)n >= b->capacity - b->end) {
		reserve(b, (size_t)n + 1);
		va_start(args, format);
		n = vsnprintf(
		    b->bytes + b->end, b->capacity - b->end, format, args);
		va_end(args);
	}
	b->end += (size_t)n;
}

void
buffer_add_json(struct buffer *b, const char *bytes, size_t len)
{
	size_t from = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buffer_add(b, bytes + from, i - from);
		from = i + 1;
		if (c == '\n')
			buffer_add_text(b, "\\n");
		else if (c < 0x20)
			buffer_add_format(b, "\\u%04x", c);
		else
			buffer_add_format(b, "\\%c", c);
	}
	buffer_add(b, bytes + from, len - from);
}

void
buffer_take(struct buffer *b, size_t len)
{
	b->start += len;
	if (b->start == b->end)
		buffer_reset(b);
}

void
buffer_reset(struct buffer *b)
{
	b->start = b->end = 0;
	if (b->capacity > KEEP_MAX)
		buffer_done(b);
}

void
buffer_done(struct buffer *b)
{
	free(b->bytes);
	memset(b, 0, sizeof(*b));
}

int64_t
tool_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); // cannot fail
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void
tool_die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

int64_t
tool_number(const char *option, const char *text, int64_t min, int64_t max)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || n < min || n > max) {
		fprintf(stderr, "--%s: not a number from %lld to %lld: %s\n",
		    option, (long long)min, (long long)max, text);
		exit(2);
	}
	return n;
}

void
tool_raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); // fewer, then
}
