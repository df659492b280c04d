// One event as bytes, in one of the forms of the log.  For log.c.
#ifndef COMMON_LOG_LINE_H
#define COMMON_LOG_LINE_H

#include "common/log.h"
#include "common/rfc3339.h"

enum { LOG_LINE_MAX = 2048, LOG_JOURNAL_MAX = 8192 };

struct log_line {
	size_t len;
	size_t max; // <= sizeof(bytes); what does not fit is cut
	char bytes[LOG_JOURNAL_MAX];
};

struct log_line_event {
	enum log_level level;
	const char *daemon; // its short name, as in `cryptod`
	const char *event;
	const struct log_field *fields;
	uint64_t n_lost;	// lines before this one
	struct rfc3339_time at; // for JSON; the others have it from outside
};

// `level daemon event key=value ...` and a newline.
void log_line_text(struct log_line *, const struct log_line_event *);
// One object and a newline.
void log_line_json(struct log_line *, const struct log_line_event *);
// A datagram of the journal's native protocol: a line for each of its fields.
void log_line_journal(struct log_line *, const struct log_line_event *);

// MESSAGE_ID of an event, the same in every version as long as its name is
// (systemd/make-catalog); NULL for one that has no entry in the catalogue.
const char *log_line_id(const char *event);

#endif
