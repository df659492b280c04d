// Events, one line each: `level daemon event key=value ...`, or the same as
// JSON or as fields of the journal.
//
// A value is a number, a short peer id, an error, or a text that is escaped
// and cut.  There is no branch for byte buffers: handing one in, or a secret,
// does not compile.  Content of requests is never logged at any level.
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sizes.h"

enum log_level {
	LOG_ERROR = 3, // numbers of syslog(3)
	LOG_WARNING = 4,
	LOG_INFO = 6,
	LOG_DEBUG = 7,
};

struct log_value {
	enum { LOG_V_UINT, LOG_V_INT, LOG_V_TEXT, LOG_V_BOOL } kind;
	union {
		uint64_t u;
		int64_t i;
		const char *text;
	};
	char store[24];
};

struct log_field {
	const char *name;
	struct log_value value;
};

struct log_value log_uint(uint64_t);
struct log_value log_int(int64_t);
struct log_value log_bool(bool);
struct log_value log_text(const char *text); // NULL is shown as "-"
struct log_value log_value(struct log_value);

// Short form of an endpoint id: hex of its first five bytes.
struct log_value log_peer(const uint8_t id[static ENDPOINT_ID_LEN]);
// Name of an errno; takes 0, errno or -errno.
struct log_value log_error(int error);

// clang-format off
#define LOG_VALUE(x) _Generic((x),				\
	bool: log_bool,						\
	char *: log_text, const char *: log_text,		\
	uint8_t: log_uint, uint16_t: log_uint,			\
	uint32_t: log_uint, uint64_t: log_uint,			\
	unsigned long long: log_uint,				\
	int: log_int, int64_t: log_int,				\
	struct log_value: log_value)(x)

#define F(name, x) (struct log_field){ (name), LOG_VALUE(x) }
#define LOG(level, event, ...)						\
	log_event((level), (event),					\
	    (const struct log_field[]){ __VA_ARGS__ __VA_OPT__(,)	\
		{ NULL, { 0 } } })
// clang-format on

enum { LOG_DAEMON_FD = 1 };

// name: of the daemon, static.  Reads nothing, allocates nothing.
void log_open(const char *name);
// Events above this level are dropped; LOG_INFO at the start.
void log_set_level(enum log_level);
// error, warning, info or debug; NULL leaves it.  -EINVAL for others.
int log_set_level_name(const char *name);
// auto, text, json or journal; NULL is auto: the journal if standard error is
// connected to it.  -EINVAL for others.  What cannot be had is said in the log,
// which is text then.  at: the number that the journal's socket shall have,
// -1 for any; a daemon gives up standard output for it (LOG_DAEMON_FD), as it
// would not outlive the closing of what was inherited by accident.
int log_set_format(const char *name, int at);
const char *log_format_name(void); // never auto
int log_descriptor(void);	   // where the log goes
// Before a process without a filter ends: the journal finds out from /proc
// whose an event is, when it takes it.  Waits for that, half a second at most.
void log_settle(void);
enum log_level log_get_level(void);
const char *log_level_name(enum log_level); // NULL: there is none
bool log_enabled(enum log_level);
void log_event(
    enum log_level, const char *event, const struct log_field *fields);

// For what strangers can make happen as often as they like: the first lines
// of each window are written, the others counted and told once it has passed.
enum { LOG_LIMIT_LINES = 100, LOG_LIMIT_WINDOW_MS = 10 * 1000 };

struct log_limit { // zeroed at the start
	uint64_t since_ms;
	uint64_t n_lines;
};

// May one more line be written at this time?
bool log_limit_pass(struct log_limit *, uint64_t now_ms);

#endif
