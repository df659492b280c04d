// proc(5): what is wanted stands behind the name, which ends with the last
// parenthesis and may hold anything.  The text may be another process's word:
// numbers are read, nothing else.
#include "common/usage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
usage_parse(const char *stat, uint64_t *ret_rss_bytes, uint64_t *ret_cpu_ms)
{
	const char *at = strrchr(stat, ')');
	uint64_t user = 0, system = 0, pages = 0;
	long hz = sysconf(_SC_CLK_TCK);

	if (at == NULL || hz <= 0 ||
	    sscanf(at + 1,
		" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64
		" %" SCNu64 " %*d %*d %*d %*d %*d %*d %*u %*u %" SCNu64,
		&user, &system, &pages) != 3)
		return;
	*ret_rss_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	*ret_cpu_ms = (user + system) * 1000 / (uint64_t)hz;
}
