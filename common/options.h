// One table per daemon serves the command line and the configuration file:
// every key of the file is also a long option (architecture, section 9).
//
// The file is INI: `[section]` of a daemon's name, `key = value`, `#` starts
// a comment line; a repeatable key stands several times.  Unknown sections,
// keys and malformed values are errors that name file, line and reason.
// Values are UTF-8 without control characters, not empty.
#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

enum option_kind {
	OPTION_FLAG,	// bool; in the file yes or no
	OPTION_STRING,	// char *, owned by the options
	OPTION_STRINGS, // struct option_list, repeatable
	OPTION_UINT,	// uint64_t, within min..max; min >= 1, 0: not given
	OPTION_FLAG_OR_STRING, // --name or --name=VALUE; struct option_word
};

struct option_list {
	size_t n;
	char **values; // owned
};

struct option_word {
	bool is_set;
	char *value; // owned, may be NULL
};

struct option {
	const char *name;     // long name without dashes
	const char *section;  // of the file: the owning daemon; NULL: not in it
	const char *argument; // for --help, e.g. "ADDR:PORT"; NULL for a flag
	// One line; NULL: a key of the file only, whose name another row may
	// have as an option.
	const char *help;
	enum option_kind kind;
	size_t offset;	   // of the field in the struct that is filled
	uint64_t min, max; // OPTION_UINT
	// Of a text: NULL, or what is wrong with it, e.g. "is no address".
	const char *(*check)(const char *value);
};

enum {
	OPTIONS_MAX = 64,	       // entries of a table
	OPTION_LIST_MAX = 64,	       // values of one repeatable option
	OPTION_VALUE_MAX = 4096,       // bytes of one value
	OPTIONS_FILE_MAX = 512 * 1024, // bytes of the file
};

// Parse argv[1..] into the zeroed struct at target.  A complaint goes to
// error (a line that names the option).  -EINVAL; 1: --help was asked for.
MUST_CHECK int options_parse(const struct option *, size_t n, int argc,
    char *const argv[], void *target, char *error, size_t error_len);
// Parse the file; values already set on the command line stay.  sections:
// names that may appear although the table has no key for them, NULL at the
// end; their keys are not looked at.  -EINVAL, or the errno of the open.
MUST_CHECK int options_load(const struct option *, size_t n, const char *path,
    const char *const *sections, void *target, char *error, size_t error_len);
// How many of argv, the command's name included, come before the first word
// that is no option: options_parse() takes no others.
int options_count(int argc, char *const argv[]);
// To standard output: usage, then a line or two for each option.
void options_help(const struct option *, size_t n, const char *usage);
void options_done(const struct option *, size_t n, void *target);

#endif
