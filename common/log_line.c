// Forms one event into bytes.  Trusts nobody with the form: texts are escaped
// and cut here, so that none of them can begin a line, a field or a string of
// its own.  It must never allocate, read a clock, or see request content.
#include "common/log_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_TEXT_MAX = 512 };

// A value whose end a reader can tell, or one in a field of its own.
enum quotes { QUOTES_NEVER, QUOTES_IF_NEEDED };

static void
put_char(struct log_line *line, char c)
{
	// Room for the newline is kept.
	if (line->len < line->max - 1)
		line->bytes[line->len++] = c;
}

static void
put_plain(struct log_line *line, const char *text)
{
	while (*text != '\0')
		put_char(line, *text++);
}

static void
put_end(struct log_line *line)
{
	line->bytes[line->len++] = '\n';
}

// Peer-chosen text: printable ASCII as it is, all else as \xNN, in quotes
// when a reader could otherwise mistake where it ends.
static void
put_text(struct log_line *line, const char *text, enum quotes quotes)
{
	static const char digits[] = "0123456789abcdef";
	bool quoted = quotes == QUOTES_IF_NEEDED &&
	    (*text == '\0' || strpbrk(text, " =\"\\") != NULL);

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
		if (c == '\\' || (quoted && c == '"'))
			put_char(line, '\\');
		put_char(line, (char)c);
	}
	if (quoted)
		put_char(line, '"');
}

static const char *
text_of(const struct log_value *v)
{
	return v->text == NULL ? v->store : v->text;
}

static bool
is_short_id(const struct log_value *v)
{
	return v->kind == LOG_V_TEXT && v->text == NULL;
}

static void
put_value(struct log_line *line, const struct log_value *v, enum quotes quotes)
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
		put_text(line, text_of(v), quotes);
		break;
	}
}

static void
put_number(struct log_line *line, uint64_t n)
{
	struct log_value v = log_uint(n);

	put_value(line, &v, QUOTES_NEVER);
}

// ---- text

static const char *
level_name(enum log_level level)
{
	switch (level) {
	case LOG_ERROR:
		return "error";
	case LOG_WARNING:
		return "warning";
	case LOG_INFO:
		return "info";
	case LOG_DEBUG:
		return "debug";
	}
	return "";
}

static void
put_message(struct log_line *line, const struct log_line_event *e)
{
	put_plain(line, e->event);
	for (const struct log_field *f = e->fields; f->name != NULL; f++) {
		put_char(line, ' ');
		put_plain(line, f->name);
		put_char(line, '=');
		put_value(line, &f->value, QUOTES_IF_NEEDED);
	}
	if (e->n_lost > 0) {
		put_plain(line, " lines-lost-before=");
		put_number(line, e->n_lost);
	}
}

void
log_line_text(struct log_line *line, const struct log_line_event *e)
{
	line->len = 0;
	line->max = LOG_LINE_MAX;
	put_plain(line, level_name(e->level));
	put_char(line, ' ');
	put_plain(line, e->daemon);
	put_char(line, ' ');
	put_message(line, e);
	put_end(line);
}

// ---- JSON

// The escapes of put_text hold no quote and only whole backslashes, which
// JSON wants twice.
static void
put_json_string(struct log_line *line, const char *text)
{
	struct log_line plain = { .max = 4 * LOG_TEXT_MAX + 2 };

	put_text(&plain, text, QUOTES_NEVER);
	put_char(line, '"');
	for (size_t i = 0; i < plain.len; i++) {
		if (plain.bytes[i] == '\\' || plain.bytes[i] == '"')
			put_char(line, '\\');
		put_char(line, plain.bytes[i]);
	}
	put_char(line, '"');
}

static void
put_json_value(struct log_line *line, const struct log_value *v)
{
	if (v->kind == LOG_V_TEXT)
		put_json_string(line, text_of(v));
	else if (v->kind == LOG_V_BOOL)
		put_plain(line, v->u != 0 ? "true" : "false");
	else
		put_value(line, v, QUOTES_NEVER);
}

static void
put_json_member(
    struct log_line *line, const char *name, const struct log_value *v)
{
	size_t before = line->len;

	put_plain(line, line->len == 0 ? "{\"" : ",\"");
	put_plain(line, name);
	put_plain(line, "\":");
	put_json_value(line, v);
	// Half a member would make the whole line unreadable; the brace still
	// has to fit.
	if (line->len >= line->max - 2)
		line->len = before;
}

void
log_line_json(struct log_line *line, const struct log_line_event *e)
{
	char time[RFC3339_TEXT_LEN + 1];
	struct log_value at;
	struct log_value level = log_text(level_name(e->level));
	struct log_value daemon = log_text(e->daemon);
	struct log_value event = log_text(e->event);
	struct log_value lost = log_uint(e->n_lost);

	line->len = 0;
	line->max = LOG_LINE_MAX;
	rfc3339_format(e->at, time);
	at = log_text(time);
	put_json_member(line, "time", &at);
	put_json_member(line, "level", &level);
	put_json_member(line, "daemon", &daemon);
	put_json_member(line, "event", &event);
	if (e->n_lost > 0)
		put_json_member(line, "lines_lost_before", &lost);
	for (const struct log_field *f = e->fields; f->name != NULL; f++)
		put_json_member(line, f->name, &f->value);
	put_char(line, '}');
	put_end(line);
}

// ---- the journal

struct event_id {
	const char *event, *id;
};

static int
compare_events(const void *event, const void *entry)
{
	return strcmp(event, ((const struct event_id *)entry)->event);
}

const char *
log_line_id(const char *event)
{
	static const struct event_id ids[] = {
#include "common/log_ids.h"
	};
	const struct event_id *found = bsearch(event, ids,
	    sizeof(ids) / sizeof(ids[0]), sizeof(ids[0]), compare_events);

	return found == NULL ? NULL : found->id;
}

// The same thing has one name in the journal, whatever reads well in a line.
static const char *
journal_name(const struct log_field *f)
{
	static const struct {
		const char *name, *in_journal;
	} names[] = { { "error", "REASON" }, { "ms", "DURATION_MS" } };

	if (strcmp(f->name, "from") == 0 && is_short_id(&f->value))
		return "PEER";
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(f->name, names[i].name) == 0)
			return names[i].in_journal;
	return f->name;
}

static void
put_journal_name(struct log_line *line, const char *name)
{
	put_plain(line, "MESHLLM_");
	for (; *name != '\0'; name++) {
		if (*name >= 'a' && *name <= 'z')
			put_char(line, (char)(*name - 'a' + 'A'));
		else if ((*name >= 'A' && *name <= 'Z') ||
		    (*name >= '0' && *name <= '9'))
			put_char(line, *name);
		else
			put_char(line, '_');
	}
	put_char(line, '=');
}

static void
put_journal_head(struct log_line *line, const struct log_line_event *e)
{
	const char *id = log_line_id(e->event);

	put_plain(line, "PRIORITY=");
	put_number(line, (uint64_t)e->level);
	put_plain(line, "\nSYSLOG_IDENTIFIER=");
	if (strcmp(e->daemon, "meshllm") != 0)
		put_plain(line, "meshllm-");
	put_plain(line, e->daemon);
	if (id != NULL) {
		put_plain(line, "\nMESSAGE_ID=");
		put_plain(line, id);
	}
	put_plain(line, "\nMESHLLM_EVENT=");
	put_plain(line, e->event);
	put_plain(line, "\nMESSAGE=");
	// The fields have what is cut here.
	line->max = line->len + LOG_LINE_MAX;
	put_message(line, e);
	line->max = sizeof(line->bytes);
	put_char(line, '\n');
}

void
log_line_journal(struct log_line *line, const struct log_line_event *e)
{
	line->len = 0;
	line->max = sizeof(line->bytes);
	put_journal_head(line, e);
	// Values hold no newline: so says put_text.
	for (const struct log_field *f = e->fields; f->name != NULL; f++) {
		put_journal_name(line, journal_name(f));
		put_value(line, &f->value, QUOTES_NEVER);
		put_char(line, '\n');
	}
	if (e->n_lost > 0) {
		put_plain(line, "MESHLLM_LINES_LOST_BEFORE=");
		put_number(line, e->n_lost);
		put_char(line, '\n');
	}
	// Cut in the middle of a line, which must end all the same.
	if (line->bytes[line->len - 1] != '\n')
		put_end(line);
}
