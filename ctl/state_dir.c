// Makes state folders.  Trusts the path that the caller chose, not what lies
// there; it must never follow a link out of it or open a folder to others.
#include "ctl/state_dir.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int
complain(const char *dir, const char *name, const char *what, int r,
    char *error, size_t error_len)
{
	(void)snprintf(error, error_len, "state directory %s%s%s: %s", dir,
	    *name == '\0' ? "" : "/", name, what);
	return r;
}

int
state_dir_make(const char *dir, const char *name, char *error, size_t error_len)
{
	AUTO_FD top = -1;
	AUTO_FD fd = -1;
	struct stat st;

	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return complain(
		    dir, "", strerrordesc_np(errno), -errno, error, error_len);
	top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top == -1)
		return complain(
		    dir, "", strerrordesc_np(errno), -errno, error, error_len);
	if (mkdirat(top, name, 0700) == -1 && errno != EEXIST)
		return complain(dir, name, strerrordesc_np(errno), -errno,
		    error, error_len);
	fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1)
		return complain(dir, name, strerrordesc_np(errno), -errno,
		    error, error_len);
	if (st.st_uid != geteuid())
		return complain(dir, name, "belongs to another user", -EPERM,
		    error, error_len);
	if ((st.st_mode & 077) != 0)
		return complain(dir, name,
		    "others may enter it; its mode must be 0700", -EPERM, error,
		    error_len);
	return 0;
}
