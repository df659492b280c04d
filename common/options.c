// The command line and the configuration file of every program, by one table.
// Trusts neither: both are read strictly, and what is wrong is named.  It must
// never guess, repair, or take the first of two values.
#include "common/options.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/utf8.h"

enum { OPTION_QUOTE_MAX = 48 };

struct table {
	const struct option *options;
	size_t n;
	void *target;
	char *error;
	size_t error_len;
};

// Text of the user inside a complaint: cut, and without control characters.
struct quote {
	char text[OPTION_QUOTE_MAX + 4];
};

static struct quote
quote(const char *text, size_t len)
{
	struct quote q = { .text = "" };
	size_t n = len < OPTION_QUOTE_MAX ? len : OPTION_QUOTE_MAX;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		q.text[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	if (n < len)
		memcpy(q.text + n, "...", 3);
	return q;
}

__attribute__((format(printf, 2, 3))) static int
complain(const struct table *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(t->error, t->error_len, format, args);
	va_end(args);
	return -EINVAL;
}

static void *
field_of(const struct table *t, const struct option *o)
{
	return (uint8_t *)t->target + o->offset;
}

// ---- values

// NULL, or what is wrong with it.
static const char *
check_text(const char *text, size_t len)
{
	const uint8_t *s = (const uint8_t *)text;
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		if (s[i] < 0x20 || s[i] == 0x7f)
			return "has a control character";
		if ((n = utf8_char_len(s + i, len - i)) == 0)
			return "is not UTF-8";
	}
	return NULL;
}

static const char *
check_uint(const struct option *o, const char *value, uint64_t *ret)
{
	uint64_t u = 0;

	for (const char *c = value; *c != '\0'; c++) {
		if (*c < '0' || *c > '9')
			return "is not a number";
		if (__builtin_mul_overflow(u, 10, &u) ||
		    __builtin_add_overflow(u, (uint64_t)(*c - '0'), &u))
			return "is too large";
	}
	if (u < o->min)
		return "is too small";
	if (u > o->max)
		return "is too large";
	*ret = u;
	return NULL;
}

static const char *
check_value(const struct option *o, const char *value)
{
	uint64_t ignored;
	size_t len = strlen(value);
	const char *wrong;

	if (len == 0)
		return "is empty";
	if (len > OPTION_VALUE_MAX)
		return "is too long";
	if (o->kind == OPTION_UINT)
		return check_uint(o, value, &ignored);
	if ((wrong = check_text(value, len)) != NULL)
		return wrong;
	return o->check == NULL ? NULL : o->check(value);
}

static int
store_copy(char **field, const char *value)
{
	char *copy;

	assert(value != NULL);
	if ((copy = strdup(value)) == NULL)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static int
store_item(struct option_list *list, const char *value)
{
	char **values;

	if (list->n >= OPTION_LIST_MAX)
		return -E2BIG;
	values = reallocarray(list->values, list->n + 1, sizeof(*list->values));
	if (values == NULL)
		return -ENOMEM;
	list->values = values;
	values[list->n] = NULL;
	if (store_copy(&values[list->n], value) < 0)
		return -ENOMEM;
	list->n++;
	return 0;
}

// value was checked; NULL for a flag, and for a word without a value.
static int
store(const struct table *t, const struct option *o, const char *value)
{
	void *field = field_of(t, o);
	struct option_word *word = field;

	switch (o->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_STRING:
		return store_copy(field, value);
	case OPTION_STRINGS:
		return store_item(field, value);
	case OPTION_UINT:
		(void)check_uint(o, value, field);
		return 0;
	case OPTION_FLAG_OR_STRING:
		word->is_set = true;
		return value == NULL ? 0 : store_copy(&word->value, value);
	}
	return -EINVAL;
}

static bool
is_given(const struct table *t, const struct option *o)
{
	const void *field = field_of(t, o);

	switch (o->kind) {
	case OPTION_FLAG:
		return *(const bool *)field;
	case OPTION_STRING:
		return *(char *const *)field != NULL;
	case OPTION_STRINGS:
		return ((const struct option_list *)field)->n > 0;
	case OPTION_UINT:
		return *(const uint64_t *)field != 0;
	case OPTION_FLAG_OR_STRING:
		return ((const struct option_word *)field)->is_set;
	}
	return false;
}

static const struct option *
find_option(
    const struct table *t, const char *section, const char *name, size_t len)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct option *o = &t->options[i];

		if (strlen(o->name) != len || memcmp(o->name, name, len) != 0)
			continue;
		if (section == NULL && o->help != NULL)
			return o;
		if (section != NULL && o->section != NULL &&
		    strcmp(o->section, section) == 0)
			return o;
	}
	return NULL;
}

static uint64_t
bit_of(const struct table *t, const struct option *o)
{
	return UINT64_C(1) << (o - t->options);
}

// ---- the command line

// One option; *i is moved over a value of its own argument.
static int
parse_option(
    const struct table *t, int argc, char *const argv[], int *i, uint64_t *seen)
{
	const char *arg = argv[*i] + 2, *value = strchr(arg, '=');
	size_t len = value == NULL ? strlen(arg) : (size_t)(value - arg);
	const struct option *o = find_option(t, NULL, arg, len);
	const char *wrong;
	int r;

	if (o == NULL)
		return complain(t, "unknown option --%s", quote(arg, len).text);
	if (value != NULL)
		value++;
	if (o->kind == OPTION_FLAG && value != NULL)
		return complain(t, "--%s takes no value", o->name);
	if (value == NULL && o->kind != OPTION_FLAG &&
	    o->kind != OPTION_FLAG_OR_STRING) {
		if (*i + 1 >= argc)
			return complain(t, "--%s needs a value", o->name);
		value = argv[++*i];
	}
	if (value != NULL && (wrong = check_value(o, value)) != NULL)
		return complain(t, "--%s: the value \"%s\" %s", o->name,
		    quote(value, strlen(value)).text, wrong);
	if (o->kind != OPTION_STRINGS && (*seen & bit_of(t, o)) != 0)
		return complain(t, "--%s is given twice", o->name);
	*seen |= bit_of(t, o);
	if ((r = store(t, o, value)) == -E2BIG)
		return complain(t, "--%s is given more than %d times", o->name,
		    OPTION_LIST_MAX);
	if (r < 0)
		(void)complain(t, "out of memory");
	return r;
}

int
options_parse(const struct option *options, size_t n, int argc,
    char *const argv[], void *target, char *error, size_t error_len)
{
	struct table t = { options, n, target, error, error_len };
	uint64_t seen = 0;
	int r;

	assert(n <= OPTIONS_MAX);
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];

		if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
			return 1;
		if (strncmp(arg, "--", 2) != 0 || arg[2] == '\0')
			return complain(&t, "unexpected argument \"%s\"",
			    quote(arg, strlen(arg)).text);
		if ((r = parse_option(&t, argc, argv, &i, &seen)) < 0)
			return r;
	}
	return 0;
}

int
options_count(int argc, char *const argv[])
{
	int i = 1;

	while (i < argc && argv[i][0] == '-')
		i += strchr(argv[i], '=') != NULL ||
			strcmp(argv[i], "--help") == 0
		    ? 1
		    : 2;
	return i < argc ? i : argc;
}

// ---- the file

struct file {
	struct table table;
	const char *path;
	const char *const *sections; // that others own
	unsigned line;
	bool is_ours;	  // the section we are in
	char section[32]; // empty before the first
	uint64_t given;	  // by the command line: these stay
	uint64_t seen;
};

__attribute__((format(printf, 2, 3))) static int
complain_line(const struct file *f, const char *format, ...)
{
	const struct table *t = &f->table;
	va_list args;
	int n;

	n = snprintf(t->error, t->error_len, "%s:%u: ", f->path, f->line);
	if (n < 0 || (size_t)n >= t->error_len)
		return -EINVAL;
	va_start(args, format);
	(void)vsnprintf(t->error + n, t->error_len - (size_t)n, format, args);
	va_end(args);
	return -EINVAL;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static char *
trim(char *text)
{
	size_t len;

	while (is_space(*text))
		text++;
	len = strlen(text);
	while (len > 0 && is_space(text[len - 1]))
		text[--len] = '\0';
	return text;
}

static bool
is_section_of(const struct table *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->options[i].section != NULL &&
		    strcmp(t->options[i].section, name) == 0)
			return true;
	return false;
}

static bool
is_section_of_others(const char *const *sections, const char *name)
{
	for (; sections != NULL && *sections != NULL; sections++)
		if (strcmp(*sections, name) == 0)
			return true;
	return false;
}

static int
load_section(struct file *f, char *text)
{
	size_t len = strlen(text);

	if (text[len - 1] != ']')
		return complain_line(f, "the section's ] is missing");
	text[len - 1] = '\0';
	text = trim(text + 1);
	len = strlen(text);
	f->is_ours = is_section_of(&f->table, text);
	if ((!f->is_ours && !is_section_of_others(f->sections, text)) ||
	    len >= sizeof(f->section))
		return complain_line(
		    f, "unknown section [%s]", quote(text, len).text);
	memcpy(f->section, text, len + 1);
	return 0;
}

static int
load_flag(struct file *f, const struct option *o, const char *value)
{
	if (strcmp(value, "yes") == 0)
		return store(&f->table, o, NULL);
	if (strcmp(value, "no") == 0)
		return 0;
	return complain_line(f, "%s: must be yes or no", o->name);
}

static int
load_value(struct file *f, const struct option *o, const char *value)
{
	const char *wrong = check_value(o, value);
	bool is_bool = strcmp(value, "yes") == 0 || strcmp(value, "no") == 0;
	int r;

	if (wrong != NULL)
		return complain_line(f, "%s: the value \"%s\" %s", o->name,
		    quote(value, strlen(value)).text, wrong);
	if (o->kind != OPTION_STRINGS && (f->seen & bit_of(&f->table, o)) != 0)
		return complain_line(f, "%s is given twice", o->name);
	f->seen |= bit_of(&f->table, o);
	if (o->kind == OPTION_FLAG ||
	    (o->kind == OPTION_FLAG_OR_STRING && is_bool &&
		(f->given & bit_of(&f->table, o)) == 0))
		return load_flag(f, o, value);
	if ((f->given & bit_of(&f->table, o)) != 0)
		return 0;
	if ((r = store(&f->table, o, value)) == -E2BIG)
		return complain_line(f, "%s is given more than %d times",
		    o->name, OPTION_LIST_MAX);
	if (r < 0)
		(void)complain_line(f, "out of memory");
	return r;
}

static int
load_line(struct file *f, char *text)
{
	char *key = trim(text), *value;
	const struct option *o;

	if (*key == '\0' || *key == '#')
		return 0;
	if (*key == '[')
		return load_section(f, key);
	if ((value = strchr(key, '=')) == NULL)
		return complain_line(f, "neither [section] nor key = value");
	*value++ = '\0';
	key = trim(key);
	value = trim(value);
	if (f->section[0] == '\0')
		return complain_line(f, "\"%s\" stands before any [section]",
		    quote(key, strlen(key)).text);
	if (!f->is_ours)
		return 0;
	o = find_option(&f->table, f->section, key, strlen(key));
	if (o == NULL)
		return complain_line(f, "unknown key \"%s\" in [%s]",
		    quote(key, strlen(key)).text, f->section);
	return load_value(f, o, value);
}

static int
load_bytes(struct file *f, char *bytes, size_t len)
{
	char *end = bytes + len, *next;
	int r;

	for (char *line = bytes; line < end; line = next) {
		size_t room = (size_t)(end - line);
		char *newline = memchr(line, '\n', room);
		size_t n = newline == NULL ? room : (size_t)(newline - line);

		f->line++;
		next = line + n + 1;
		line[n] = '\0';
		if (memchr(line, '\0', n) != NULL)
			return complain_line(f, "has a NUL byte");
		if ((r = load_line(f, line)) < 0)
			return r;
	}
	return 0;
}

int
options_load(const struct option *options, size_t n, const char *path,
    const char *const *sections, void *target, char *error, size_t error_len)
{
	struct file f = { .table = { options, n, target, error, error_len },
		.path = path,
		.sections = sections };
	AUTO_FREE char *bytes = NULL;
	size_t len = 0;
	int r;

	assert(n <= OPTIONS_MAX);
	for (size_t i = 0; i < n; i++)
		if (is_given(&f.table, &options[i]))
			f.given |= bit_of(&f.table, &options[i]);
	r = file_read(path, FILE_PLAIN, OPTIONS_FILE_MAX, &bytes, &len);
	if (r < 0) {
		(void)complain(&f.table, "%s: %s", path, strerrordesc_np(-r));
		return r;
	}
	return load_bytes(&f, bytes, len);
}

// ---- help and end

void
options_help(const struct option *options, size_t n, const char *usage)
{
	(void)printf("usage: %s\n\n", usage);
	for (size_t i = 0; i < n; i++) {
		const struct option *o = &options[i];
		const char *argument = o->argument == NULL ? "" : o->argument;
		const char *before = *argument == '\0' ? "" : " ";
		const char *after = "";

		if (o->help == NULL)
			continue;
		if (o->kind == OPTION_FLAG_OR_STRING) {
			before = "[=";
			after = "]";
		}
		(void)printf("  --%s%s%s%s%s\n      %s\n", o->name, before,
		    argument, after,
		    o->kind == OPTION_STRINGS ? "   (repeatable)" : "",
		    o->help);
	}
	(void)printf("  --help\n      This text.\n");
}

void
options_done(const struct option *options, size_t n, void *target)
{
	struct table t = { options, n, target, NULL, 0 };

	for (size_t i = 0; i < n; i++) {
		void *field = field_of(&t, &options[i]);
		struct option_list *list = field;
		struct option_word *word = field;

		switch (options[i].kind) {
		case OPTION_STRING:
			free(*(char **)field);
			*(char **)field = NULL;
			break;
		case OPTION_STRINGS:
			for (size_t k = 0; k < list->n; k++)
				free(list->values[k]);
			free(list->values);
			*list = (struct option_list){ 0 };
			break;
		case OPTION_FLAG_OR_STRING:
			free(word->value);
			*word = (struct option_word){ 0 };
			break;
		case OPTION_FLAG:
		case OPTION_UINT:
			break;
		}
	}
}
