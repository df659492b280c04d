// Makes state folders.  Trusts the path that the caller chose, not what lies
// there; it must never follow a link out of it, open a folder to others, or
// give away a file that another user could have put there.
#include "ctl/state_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct complaint {
	const struct state_dir *dir;
	char *error;
	size_t error_len;
};

static int
complain(const struct complaint *c, const char *name, const char *what, int r)
{
	(void)snprintf(c->error, c->error_len, "state directory %s%s%s: %s",
	    c->dir->top, *name == '\0' ? "" : "/", name, what);
	return r;
}

static int
complain_errno(const struct complaint *c, const char *name)
{
	return complain(c, name, strerrordesc_np(errno), -errno);
}

static bool
is_for_another(const struct state_dir *dir)
{
	return dir->uid != geteuid();
}

static int
open_top(const struct complaint *c, int *ret)
{
	AUTO_FD top = -1;
	struct stat st;

	if (mkdir(c->dir->top, 0700) == -1 && errno != EEXIST)
		return complain_errno(c, "");
	top = open(c->dir->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top == -1 || fstat(top, &st) == -1)
		return complain_errno(c, "");
	if (is_for_another(c->dir) && st.st_uid == geteuid() &&
	    (st.st_mode & 0011) != 0011 &&
	    fchmod(top, (st.st_mode & 07777) | 0011) == -1)
		return complain_errno(c, "");
	*ret = take_fd(&top);
	return 0;
}

// A regular file of ours, with one name, becomes the daemon's.
static int
give_file(const struct state_dir *dir, int folder, const char *name)
{
	AUTO_FD fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)
		return 0;
	if (fchownat(fd, "", dir->uid, dir->gid, AT_EMPTY_PATH) == -1)
		return -errno;
	return 0;
}

static int give_folder(const struct state_dir *, int folder, bool is_top);

// A folder of ours in it, likewise; no folders in that.
static int
give_inner(const struct state_dir *dir, int folder, const char *name)
{
	AUTO_FD fd = openat(
	    folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return 0;
	return give_folder(dir, fd, false);
}

// The folder is ours and closed to others, so what is in it is ours as well.
static int
give_folder(const struct state_dir *dir, int folder, bool is_top)
{
	int copy = fcntl(folder, F_DUPFD_CLOEXEC, 0), r = 0;
	DIR *list = copy == -1 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (list == NULL) {
		r = -errno;
		close_fd(&copy);
		return r;
	}
	while (r == 0 && (e = readdir(list)) != NULL)
		if (e->d_type == DT_REG || e->d_type == DT_UNKNOWN)
			r = give_file(dir, folder, e->d_name);
		else if (e->d_type == DT_DIR && is_top && e->d_name[0] != '.')
			r = give_inner(dir, folder, e->d_name);
	(void)closedir(list);
	if (r == 0 && fchown(folder, dir->uid, dir->gid) == -1)
		r = -errno;
	return r;
}

int
state_dir_make(const struct state_dir *dir, char *error, size_t error_len)
{
	const struct complaint c = { dir, error, error_len };
	AUTO_FD top = -1;
	AUTO_FD fd = -1;
	struct stat st;
	int r = open_top(&c, &top);

	if (r < 0)
		return r;
	if (mkdirat(top, dir->name, 0700) == -1 && errno != EEXIST)
		return complain_errno(&c, dir->name);
	fd = openat(
	    top, dir->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1)
		return complain_errno(&c, dir->name);
	if (st.st_uid != dir->uid && st.st_uid != geteuid())
		return complain(
		    &c, dir->name, "belongs to another user", -EPERM);
	if ((st.st_mode & 077) != 0)
		return complain(&c, dir->name,
		    "others may enter it; its mode must be 0700", -EPERM);
	if (st.st_uid == dir->uid)
		return 0;
	r = give_folder(dir, fd, true);
	if (r == -EPERM)
		return complain(&c, dir->name,
		    "cannot be given to its daemon's user: CAP_CHOWN is "
		    "missing",
		    r);
	return r < 0 ? complain(&c, dir->name, strerrordesc_np(-r), r) : 0;
}
