// Files of the state directory.  Trusts the kernel's answer about owner and
// mode of what it holds open, never a path looked up twice.  It must never
// follow a symbolic link, nor repair what is wrong: a wrong owner or mode may
// mean that somebody else has seen or chosen the content.
#include "cryptod/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { STATE_NAME_MAX = 64 };

int
state_fail(struct state *s, const char *name, int error, const char *reason)
{
	(void)snprintf(s->error, sizeof(s->error), "%s%s%s: %s",
	    s->at == NULL ? s->path : s->at, name == NULL ? "" : "/",
	    name == NULL ? "" : name, reason);
	return error;
}

static int
fail_errno(struct state *s, const char *name, const char *what)
{
	char reason[128];
	int error = errno;

	(void)snprintf(reason, sizeof(reason), "cannot %s: %s", what,
	    strerrordesc_np(error));
	return state_fail(s, name, -error, reason);
}

static int
check_owner_and_mode(
    struct state *s, const char *name, const struct stat *st, mode_t mode)
{
	char reason[128];

	if (st->st_uid != geteuid()) {
		(void)snprintf(reason, sizeof(reason),
		    "belongs to user %u, must belong to user %u",
		    (unsigned)st->st_uid, (unsigned)geteuid());
		return state_fail(s, name, -EPERM, reason);
	}
	if ((st->st_mode & 07777) != mode) {
		(void)snprintf(reason, sizeof(reason),
		    "mode is %04o, must be %04o",
		    (unsigned)(st->st_mode & 07777), (unsigned)mode);
		return state_fail(s, name, -EPERM, reason);
	}
	return 0;
}

int
state_init(struct state *s, const char *path)
{
	AUTO_FD fd = -1;
	struct stat st;
	int r;

	*s = (struct state){ .fd = -1, .path = path };
	if (mkdir(path, 0700) == -1 && errno != EEXIST)
		return fail_errno(s, NULL, "make this directory");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	// A symbolic link with O_DIRECTORY is ENOTDIR, not ELOOP.
	if (fd == -1 && (errno == ENOTDIR || errno == ELOOP))
		return state_fail(
		    s, NULL, -ENOTDIR, "not a directory, or a symbolic link");
	if (fd == -1)
		return fail_errno(s, NULL, "open this directory");
	if (fstat(fd, &st) == -1)
		return fail_errno(s, NULL, "examine this directory");
	if ((r = check_owner_and_mode(s, NULL, &st, 0700)) < 0)
		return r;
	s->fd = take_fd(&fd);
	return 0;
}

void
state_done(struct state *s)
{
	close_fd(&s->fd);
}

int
state_open(struct state *s, const char *name, int *ret_fd, size_t *ret_size)
{
	// NONBLOCK: a FIFO must not hold up the start.
	AUTO_FD fd =
	    openat(s->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd == -1 && errno == ENOENT)
		return -ENOENT;
	if (fd == -1 && errno == ELOOP)
		return state_fail(s, name, -ELOOP, "is a symbolic link");
	if (fd == -1)
		return fail_errno(s, name, "open");
	if (fstat(fd, &st) == -1)
		return fail_errno(s, name, "examine");
	if (!S_ISREG(st.st_mode))
		return state_fail(s, name, -EINVAL, "is not a regular file");
	if ((r = check_owner_and_mode(s, name, &st, 0600)) < 0)
		return r;
	if (st.st_nlink != 1)
		return state_fail(
		    s, name, -EMLINK, "has a second name (hard link)");
	*ret_fd = take_fd(&fd);
	*ret_size = (size_t)st.st_size;
	return 0;
}

// systemd makes the folder and the file, root's or ours, and lets us read by
// mode or by an access list, whose mask stands in the place of the group.
static int
check_credential(struct state *s, const char *name, const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return state_fail(s, name, -EINVAL, "is not a regular file");
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return state_fail(s, name, -EPERM, "belongs to another user");
	if ((st->st_mode & 0027) != 0)
		return state_fail(s, name, -EPERM,
		    "others may read or write this credential");
	return 0;
}

int
state_open_credential(
    struct state *s, const char *name, int *ret_fd, size_t *ret_size)
{
	AUTO_FD dir = -1;
	AUTO_FD fd = -1;
	struct stat st;
	int r;

	if (s->credentials == NULL)
		return -ENOENT;
	s->at = s->credentials;
	dir = open(
	    s->credentials, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir == -1)
		return fail_errno(s, NULL, "open this directory");
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT) {
		s->at = NULL;
		return -ENOENT;
	}
	if (fd == -1 || fstat(fd, &st) == -1)
		return fail_errno(s, name, "open");
	if ((r = check_credential(s, name, &st)) < 0)
		return r;
	*ret_fd = take_fd(&fd);
	*ret_size = (size_t)st.st_size;
	return 0;
}

void
state_close_credential(struct state *s)
{
	s->at = NULL;
}

static int
write_all(struct state *s, const char *name, const uint8_t *bytes, size_t len)
{
	AUTO_FD fd = openat(s->fd, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t n;

	if (fd == -1)
		return fail_errno(s, name, "create");
	n = write(fd, bytes, len);
	if (n != -1 && (size_t)n != len)
		errno = ENOSPC;
	if (n == -1 || (size_t)n != len)
		return fail_errno(s, name, "write");
	return fsync(fd) == -1 ? fail_errno(s, name, "write") : 0;
}

static int
put_in_place(
    struct state *s, const char *temporary, const char *name, bool fresh)
{
	unsigned flags = fresh ? RENAME_NOREPLACE : 0;

	if (renameat2(s->fd, temporary, s->fd, name, flags) == -1)
		return fail_errno(s, name, "put in place");
	return fsync(s->fd) == -1 ? fail_errno(s, name, "write") : 0;
}

int
state_write(struct state *s, const char *name, const uint8_t *bytes, size_t len,
    bool fresh)
{
	char temporary[STATE_NAME_MAX];
	int r;

	(void)snprintf(temporary, sizeof(temporary), ".%s.new", name);
	// Left by a start that was cut off; the directory is ours alone.
	if (unlinkat(s->fd, temporary, 0) == -1 && errno != ENOENT)
		return fail_errno(s, temporary, "remove");
	r = write_all(s, temporary, bytes, len);
	if (r == 0)
		r = put_in_place(s, temporary, name, fresh);
	if (r < 0)
		(void)unlinkat(s->fd, temporary, 0); // may not be there
	return r;
}
