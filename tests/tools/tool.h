// What the test tools share: a growing buffer, a clock, option numbers.
#ifndef TESTS_TOOLS_TOOL_H
#define TESTS_TOOLS_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes [start, end) of an allocation that grows; zero-initialise it.
struct buffer {
	char *bytes; // owned
	size_t start;
	size_t end;
	size_t capacity;
};

size_t buffer_len(const struct buffer *b);
const char *buffer_bytes(const struct buffer *b);
void buffer_add(struct buffer *b, const char *bytes, size_t len);
void buffer_add_text(struct buffer *b, const char *text);
void buffer_add_format(struct buffer *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// The inside of a JSON string: escaped, without the quotes.
void buffer_add_json(struct buffer *b, const char *bytes, size_t len);
// Drop len bytes from the front.
void buffer_take(struct buffer *b, size_t len);
// Forget the contents; a large allocation is given back.
void buffer_reset(struct buffer *b);
void buffer_done(struct buffer *b);

int64_t tool_now_ns(void);
void tool_die(const char *what) __attribute__((noreturn));
// The value of a numeric option; ends the program when it is not one.
int64_t tool_number(
    const char *option, const char *text, int64_t min, int64_t max);
// As many descriptors as the system lets us have.
void tool_raise_file_limit(void);

#endif
