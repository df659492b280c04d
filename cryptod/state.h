// The state directory and its files: nobody else's, not readable by others,
// no symbolic links; written atomically.
#ifndef CRYPTOD_STATE_H
#define CRYPTOD_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

enum { STATE_ERROR_MAX = 512 };

struct state {
	int fd;			     // owned, of the directory
	const char *path;	     // borrowed
	const char *credentials;     // borrowed; folder of systemd's, or NULL
	const char *at;		     // of the file in hand, if not path
	char error[STATE_ERROR_MAX]; // "FILE: reason" of the last failure
};

// Makes the directory (mode 0700) when it is missing.
MUST_CHECK int state_init(struct state *, const char *path);
void state_done(struct state *);
// Open for reading.  A file that is not there is -ENOENT.
MUST_CHECK int state_open(
    struct state *, const char *name, int *ret_fd, size_t *ret_size);
// The same of a credential, which systemd has put where only we can read it,
// if it has; later failures are about that file until state_close.
MUST_CHECK int state_open_credential(
    struct state *, const char *name, int *ret_fd, size_t *ret_size);
void state_close_credential(struct state *);
// New content for name, all or nothing, on disk when this returns.  fresh:
// never over a file that is there.
MUST_CHECK int state_write(struct state *, const char *name,
    const uint8_t *bytes, size_t len, bool fresh);
// Say what is wrong with a file; returns error.
MUST_CHECK int state_fail(
    struct state *, const char *name, int error, const char *reason);

#endif
