// Writes each event with one call: a line to standard error, or a datagram to
// the journal.  Trusts the journal's socket and what systemd says in
// JOURNAL_STREAM.  It must never allocate, wait (but in log_settle), or see
// request content.
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log_line.h"

#ifndef LOG_JOURNAL_SOCKET
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"
#endif

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_JOURNAL };

static const char *log_name = "meshllm";
static enum log_level log_level = LOG_INFO;
static enum format log_format = FORMAT_TEXT;
static int log_journal = -1;
static uint64_t log_lost; // lines, since the last one that was written

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

// Is standard error what systemd connected to the journal for us?
static bool
is_journal_stream(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char found[2 * 20 + 2];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) == -1)
		return false;
	(void)snprintf(found, sizeof(found), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	return strcmp(stream, found) == 0;
}

// at: the number that the socket shall have; -1: any.
static int
open_journal(int at)
{
	const struct sockaddr_un journal = { .sun_family = AF_UNIX,
		.sun_path = LOG_JOURNAL_SOCKET };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&journal, sizeof(journal)) ==
		-1 ||
	    (at != -1 && dup3(fd, at, O_CLOEXEC) == -1)) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	if (at != -1)
		(void)close(fd);
	log_journal = at == -1 ? fd : at;
	return 0;
}

static void
use_journal(int at)
{
	int r = log_journal == -1 ? open_journal(at) : 0;

	if (r < 0)
		LOG(LOG_WARNING, "journal-off", F("error", log_error(r)));
	else
		log_format = FORMAT_JOURNAL;
}

int
log_set_format(const char *name, int at)
{
	if (name == NULL || strcmp(name, "auto") == 0) {
		if (is_journal_stream())
			use_journal(at);
		return 0;
	}
	if (strcmp(name, "journal") == 0)
		use_journal(at);
	else if (strcmp(name, "json") == 0)
		log_format = FORMAT_JSON;
	else if (strcmp(name, "text") == 0)
		log_format = FORMAT_TEXT;
	else
		return -EINVAL;
	return 0;
}

const char *
log_format_name(void)
{
	static const char *const names[] = { "text", "json", "journal" };

	return names[log_format];
}

int
log_descriptor(void)
{
	return log_format == FORMAT_JOURNAL ? log_journal : STDERR_FILENO;
}

void
log_set_level(enum log_level level)
{
	log_level = level;
}

static const char *const level_names[] = { [LOG_ERROR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug" };

const char *
log_level_name(enum log_level level)
{
	return (size_t)level < N_ELEMENTS(level_names) ? level_names[level]
						       : NULL;
}

int
log_set_level_name(const char *name)
{
	if (name == NULL)
		return 0;
	for (size_t i = 0; i < N_ELEMENTS(level_names); i++)
		if (level_names[i] != NULL &&
		    strcmp(level_names[i], name) == 0) {
			log_level = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}

void
log_settle(void)
{
	int left = 1;

	for (int i = 0; i < 50 && left > 0 && log_format == FORMAT_JOURNAL;
	     i++) {
		if (ioctl(log_journal, SIOCOUTQ, &left) == -1)
			return;
		// Once more when it is taken: it is looked at next.
		(void)poll(NULL, 0, 10);
	}
}

enum log_level
log_get_level(void)
{
	return log_level;
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

static int
send_to_journal(struct log_line *line, const struct log_line_event *e)
{
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	log_line_journal(line, e);
	iov = (struct iovec){ line->bytes, line->len };
	return sendmsg(log_journal, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == -1
	    ? -errno
	    : 0;
}

// Lines up to PIPE_BUF are written whole or not at all.
static int
write_line(struct log_line *line, struct log_line_event *e)
{
	struct timespec now = { 0 };

	if (log_format == FORMAT_JSON) {
		(void)clock_gettime(CLOCK_REALTIME, &now);
		e->at =
		    (struct rfc3339_time){ now.tv_sec, (uint32_t)now.tv_nsec };
		log_line_json(line, e);
	} else
		log_line_text(line, e);
	return write(STDERR_FILENO, line->bytes, line->len) == -1 ? -errno : 0;
}

void
log_event(
    enum log_level level, const char *event, const struct log_field *fields)
{
	struct log_line_event e = { .level = level,
		.daemon = log_name,
		.event = event,
		.fields = fields,
		.n_lost = log_lost };
	struct log_line line;
	int r = -ENOTCONN;

	if (!log_enabled(level))
		return;
	if (log_format == FORMAT_JOURNAL)
		r = send_to_journal(&line, &e);
	// A journal that is gone, rather than busy, leaves standard error.
	if (r < 0 && r != -EAGAIN && r != -ENOBUFS)
		r = write_line(&line, &e);
	// A log that cannot be written is no reason to stop serving; the next
	// line that gets through says how many did not.
	log_lost = r < 0 ? e.n_lost + 1 : 0;
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
