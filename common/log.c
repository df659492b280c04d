// Formats events into one line and writes it with one write(2) to standard
// error.  Trusts nobody with the format: texts are escaped and cut here.  It
// must never allocate, read a clock, or see request content.
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOG_LINE_MAX = 2048, LOG_TEXT_MAX = 512 };

static const char *log_name = "meshllm";
static enum log_level log_level = LOG_INFO;
static uint64_t log_dropped; // lines, since the last one that was written

struct line {
	size_t len;
	char bytes[LOG_LINE_MAX];
};

// A reader that stalls must not stall us: a pipe gets a description of our
// own that does not block.  What cannot be reopened (a socket, a pipe of
// another user) stays as it is.
static void
unblock_pipe(void)
{
	struct stat st;
	int fd;

	if (fstat(STDERR_FILENO, &st) == -1 || !S_ISFIFO(st.st_mode))
		return;
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return;
	(void)dup2(fd, STDERR_FILENO);
	(void)close(fd);
}

void
log_open(const char *name)
{
	log_name = name;
	unblock_pipe();
}

void
log_set_level(enum log_level level)
{
	log_level = level;
}

int
log_set_level_name(const char *name)
{
	static const struct {
		const char *name;
		enum log_level level;
	} names[] = { { "error", LOG_ERROR }, { "warning", LOG_WARNING },
		{ "info", LOG_INFO }, { "debug", LOG_DEBUG } };

	if (name == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].name, name) == 0) {
			log_level = names[i].level;
			return 0;
		}
	return -EINVAL;
}

bool
log_enabled(enum log_level level)
{
	return level <= log_level;
}

struct log_value
log_uint(uint64_t u)
{
	return (struct log_value){ .kind = LOG_V_UINT, .u = u };
}

struct log_value
log_int(int64_t i)
{
	return (struct log_value){ .kind = LOG_V_INT, .i = i };
}

struct log_value
log_bool(bool b)
{
	return (struct log_value){ .kind = LOG_V_BOOL, .u = b };
}

struct log_value
log_text(const char *text)
{
	return (struct log_value){ .kind = LOG_V_TEXT,
		.text = text == NULL ? "-" : text };
}

struct log_value
log_value(struct log_value v)
{
	return v;
}

struct log_value
log_peer(const uint8_t id[static ENDPOINT_ID_LEN])
{
	static const char digits[] = "0123456789abcdef";
	struct log_value v = { .kind = LOG_V_TEXT };

	for (size_t i = 0; i < ENDPOINT_ID_SHORT_LEN; i++) {
		v.store[2 * i] = digits[id[i] >> 4];
		v.store[2 * i + 1] = digits[id[i] & 15];
	}
	return v;
}

struct log_value
log_error(int error)
{
	const char *text;

	text = strerrordesc_np(error < 0 ? -error : error);
	return log_text(text == NULL ? "unknown error" : text);
}

static void
put_char(struct line *line, char c)
{
	// Room for the newline is kept.
	if (line->len < sizeof(line->bytes) - 1)
		line->bytes[line->len++] = c;
}

static void
put_plain(struct line *line, const char *text)
{
	while (*text != '\0')
		put_char(line, *text++);
}

// Peer-chosen text: printable ASCII as it is, all else as \xNN, in quotes
// when a reader could otherwise mistake where it ends.
static void
put_text(struct line *line, const char *text)
{
	static const char digits[] = "0123456789abcdef";
	bool quoted = *text == '\0' || strpbrk(text, " =\"\\") != NULL;

	if (quoted)
		put_char(line, '"');
	for (size_t i = 0; i < LOG_TEXT_MAX && text[i] != '\0'; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c > 0x7e) {
			put_plain(line, "\\x");
			put_char(line, digits[c >> 4]);
			put_char(line, digits[c & 15]);
			continue;
		}
		if (c == '"' || c == '\\')
			put_char(line, '\\');
		put_char(line, (char)c);
	}
	if (quoted)
		put_char(line, '"');
}

static void
put_value(struct line *line, const struct log_value *v)
{
	char number[24];

	switch (v->kind) {
	case LOG_V_UINT:
		(void)snprintf(number, sizeof(number), "%" PRIu64, v->u);
		put_plain(line, number);
		break;
	case LOG_V_INT:
		(void)snprintf(number, sizeof(number), "%" PRId64, v->i);
		put_plain(line, number);
		break;
	case LOG_V_BOOL:
		put_plain(line, v->u != 0 ? "yes" : "no");
		break;
	case LOG_V_TEXT:
		put_text(line, v->text == NULL ? v->store : v->text);
		break;
	}
}

static const char *
level_name(enum log_level level)
{
	switch (level) {
	case LOG_ERROR:
		return "error ";
	case LOG_WARNING:
		return "warning ";
	case LOG_INFO:
		return "info ";
	case LOG_DEBUG:
		return "debug ";
	}
	return "";
}

static void
put_dropped(struct line *line)
{
	struct log_value v = log_uint(log_dropped);

	if (log_dropped == 0)
		return;
	log_dropped = 0;
	put_plain(line, " lines-lost-before=");
	put_value(line, &v);
}

void
log_event(
    enum log_level level, const char *event, const struct log_field *fields)
{
	struct line line = { .len = 0 };

	if (!log_enabled(level))
		return;
	put_plain(&line, level_name(level));
	put_plain(&line, log_name);
	put_char(&line, ' ');
	put_plain(&line, event);
	for (; fields->name != NULL; fields++) {
		put_char(&line, ' ');
		put_plain(&line, fields->name);
		put_char(&line, '=');
		put_value(&line, &fields->value);
	}
	put_dropped(&line);
	line.bytes[line.len++] = '\n';
	// A log that cannot be written is no reason to stop serving: lines up
	// to PIPE_BUF are written whole or not at all, and the next one that
	// gets through says how many did not.
	if (write(STDERR_FILENO, line.bytes, line.len) == -1)
		log_dropped++;
}

bool
log_limit_pass(struct log_limit *limit, uint64_t now_ms)
{
	if (now_ms - limit->since_ms > LOG_LIMIT_WINDOW_MS) {
		if (limit->n_lines > LOG_LIMIT_LINES)
			LOG(LOG_WARNING, "lines-left-out",
			    F("count", limit->n_lines - LOG_LIMIT_LINES));
		limit->since_ms = now_ms;
		limit->n_lines = 0;
	}
	return ++limit->n_lines <= LOG_LIMIT_LINES;
}
