// Ownership that ends with the scope, and results that must be looked at.
#ifndef COMMON_CLEANUP_H
#define COMMON_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define AUTO_FD __attribute__((cleanup(cleanup_fd))) int
#define AUTO_FREE __attribute__((cleanup(cleanup_free)))
#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

static inline void
cleanup_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	errno = saved;
}

static inline void
cleanup_free(void *p)
{
	free(*(void **)p);
}

// Take the descriptor out of *fd; the caller owns it now.
static inline int
take_fd(int *fd)
{
	int owned = *fd;

	*fd = -1;
	return owned;
}

// Close *fd if open and forget it.
static inline void
close_fd(int *fd)
{
	cleanup_fd(fd);
	*fd = -1;
}

#endif
