// What values of proxyd's options may be: for itself at the start, and for
// `meshllm config check` before that.  Each: NULL, or what is wrong.
#ifndef COMMON_VALUES_H
#define COMMON_VALUES_H

#include <sys/types.h>

enum { VALUE_HOST_MAX = 253, VALUE_ORIGIN_MAX = 253, VALUE_API_MAX = 105 };

const char *value_check_host(const char *);
const char *value_check_origin(const char *);
// ADDR:PORT or unix:/path.
const char *value_check_api(const char *);
// A level that can be asked for, or yes or no.
const char *value_check_level(const char *);
// Octal, without special bits.
const char *value_check_mode(const char *);
mode_t value_mode(const char *checked);

#endif
