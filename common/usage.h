// Memory and time of a process, out of its /proc/PID/stat.
#ifndef COMMON_USAGE_H
#define COMMON_USAGE_H

#include <stdint.h>

enum { USAGE_TEXT_MAX = 1024 };

// Text of another form leaves both as they are.
void usage_parse(
    const char *stat, uint64_t *ret_rss_bytes, uint64_t *ret_cpu_ms);

#endif
