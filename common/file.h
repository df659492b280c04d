// A small file, read whole: configuration, keys.
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <stddef.h>

#include "common/cleanup.h"

enum file_kind {
	FILE_PLAIN,
	FILE_TRUSTED, // refused when others than its owner can write it
	FILE_SECRET,  // also refused when those outside its group can read it
};

// *ret: the bytes with a zero behind them, owned by the caller, who wipes what
// is secret.  -EFBIG: more than max.  -EISDIR, -ENODEV: no regular file.
// -EPERM: its mode lets others do what the kind forbids.  -errno.
MUST_CHECK int file_read(
    const char *path, enum file_kind, size_t max, char **ret, size_t *ret_len);

#endif
