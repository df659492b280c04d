// The API as a socket in the file system: whoever may connect is decided by
// its mode and group.  What is left of an earlier run is removed only when it
// is a socket that nobody listens on; nobody can connect before the mode is
// set, since listen(2) comes last.
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "proxyd/listen.h"

static int
make_address(const char *path, struct sockaddr_un *ret)
{
	size_t n = strlen(path);

	if (path[0] != '/' || n >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	memcpy(ret->sun_path, path, n + 1);
	return 0;
}

static int
new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd == -1 ? -errno : fd;
}

static int
remove_stale(const struct sockaddr_un *un)
{
	AUTO_FD fd = -1;
	struct stat st;

	if (lstat(un->sun_path, &st) == -1)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if ((fd = new_socket()) < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0 ||
	    errno == EAGAIN)
		return -EADDRINUSE;
	if (errno != ECONNREFUSED)
		return -errno;
	return unlink(un->sun_path) == -1 ? -errno : 0;
}

int
listen_unix(const struct listen_at *at, int *ret)
{
	struct sockaddr_un un;
	AUTO_FD fd = -1;
	int r;

	if ((r = make_address(at->unix_path, &un)) < 0 ||
	    (r = remove_stale(&un)) < 0)
		return r;
	if ((fd = new_socket()) < 0)
		return fd;
	if (bind(fd, (const struct sockaddr *)&un, sizeof(un)) == -1)
		return -errno;
	if (at->has_gid && lchown(un.sun_path, (uid_t)-1, at->gid) == -1)
		return -errno;
	if (chmod(un.sun_path, at->mode) == -1 ||
	    listen(fd, LISTEN_BACKLOG) == -1)
		return -errno;
	*ret = take_fd(&fd);
	return 0;
}
