// Reads small files of the operator.  Trusts the path, which comes from the
// configuration; does not wait for a device or a pipe that it might name.
#include "common/file.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdint.h>
#include <sys/stat.h>

static int
check_mode(mode_t mode, enum file_kind kind)
{
	if (S_ISDIR(mode))
		return -EISDIR;
	if (!S_ISREG(mode))
		return -ENODEV;
	if (kind != FILE_PLAIN && (mode & (S_IWGRP | S_IWOTH)) != 0)
		return -EPERM;
	return kind == FILE_SECRET && (mode & S_IRWXO) != 0 ? -EPERM : 0;
}

int
file_read(const char *path, enum file_kind kind, size_t max, char **ret,
    size_t *ret_len)
{
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char *bytes;
	size_t len = 0;
	ssize_t n;
	int r;

	if (fd == -1 || fstat(fd, &st) == -1)
		return -errno;
	if ((r = check_mode(st.st_mode, kind)) < 0)
		return r;
	if ((bytes = malloc(max + 1)) == NULL)
		return -ENOMEM;
	while ((n = read(fd, bytes + len, max + 1 - len)) > 0)
		len += (size_t)n;
	r = n == -1 ? -errno : len > max ? -EFBIG : 0;
	if (r < 0) {
		sodium_memzero(bytes, len);
		free(bytes);
		return r;
	}
	bytes[len] = '\0';
	*ret = bytes;
	*ret_len = len;
	return 0;
}
