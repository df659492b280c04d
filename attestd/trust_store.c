// The verifier's view of the trust files: the operator's decisions as they
// are now, and the keys seen first.  A file that cannot be read or understood
// means that nobody is trusted, never that an old decision goes on.
#include "attestd/trust.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static void
forget_decisions(struct trust_store *s)
{
	trust_list_done(&s->decided);
	free(s->roots);
	s->roots = NULL;
	s->n_roots = 0;
}

int
trust_store_decided(struct trust_store *s)
{
	size_t n = 0;

	trust_sort(&s->decided);
	s->generation++;
	free(s->roots);
	s->n_roots = 0;
	s->roots = calloc(s->decided.n + EK_N_VENDOR_ROOTS, sizeof(*s->roots));
	if (s->roots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < EK_N_VENDOR_ROOTS; i++)
		if (!trust_is_revoked(s, ek_vendor_roots[i].fingerprint))
			s->roots[n++] = ek_vendor_roots[i];
	for (size_t i = 0; i < s->decided.n; i++) {
		const struct trust_line *line = &s->decided.at[i];

		if (line->kind != TRUST_ROOT ||
		    trust_find(&s->decided, TRUST_REVOKE, line->id) != NULL)
			continue;
		memcpy(s->roots[n].fingerprint, line->id, TRUST_ID_LEN);
		s->roots[n].vendor = line->name;
		s->roots[n++].source = "added by the operator";
	}
	s->n_roots = n;
	return 0;
}

static void
load_decisions(struct trust_store *s)
{
	int r;

	forget_decisions(s);
	r = trust_load(s->dir_fd, TRUST_FILE, &s->decided, &s->bad_line);
	if (r == 0)
		r = trust_store_decided(s);
	s->is_damaged = r < 0;
	if (r < 0)
		forget_decisions(s);
}

// What tells one version of the file from another; all zero: no file.
static void
look(const struct trust_store *s, struct trust_store *ret)
{
	struct stat st = { 0 };

	if (fstatat(s->dir_fd, TRUST_FILE, &st, AT_SYMLINK_NOFOLLOW) == -1)
		memset(&st, 0, sizeof(st));
	ret->changed = st.st_mtim;
	ret->size = (uint64_t)st.st_size;
	ret->inode = st.st_ino;
}

bool
trust_store_refresh(struct trust_store *s)
{
	struct trust_store now = { 0 };

	if (s->dir_fd == -1)
		return false;
	look(s, &now);
	if (now.changed.tv_sec == s->changed.tv_sec &&
	    now.changed.tv_nsec == s->changed.tv_nsec && now.size == s->size &&
	    now.inode == s->inode)
		return false;
	s->changed = now.changed;
	s->size = now.size;
	s->inode = now.inode;
	load_decisions(s);
	return true;
}

int
trust_store_init(struct trust_store *s, const char *dir)
{
	size_t bad_line;
	int r;

	*s = (struct trust_store){ .dir_fd = -1, .own_fd = -1 };
	if (dir == NULL)
		return trust_store_decided(s);
	s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->dir_fd == -1)
		return -errno;
	r = trust_load(s->dir_fd, TRUST_SEEN_FILE, &s->seen, &bad_line);
	if (r < 0) {
		close_fd(&s->dir_fd);
		return r;
	}
	trust_sort(&s->seen);
	look(s, s);
	load_decisions(s);
	return 0;
}

int
trust_store_own(struct trust_store *s)
{
	if (s->dir_fd == -1)
		return 0;
	if (mkdirat(s->dir_fd, TRUST_OWN_FOLDER, 0700) == -1 && errno != EEXIST)
		return -errno;
	s->own_fd = openat(s->dir_fd, TRUST_OWN_FOLDER,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return s->own_fd == -1 ? -errno : 0;
}

void
trust_store_done(struct trust_store *s)
{
	forget_decisions(s);
	trust_list_done(&s->seen);
	close_fd(&s->dir_fd);
	close_fd(&s->own_fd);
}

// Each new key costs a write to the disk; anybody can make many.
static bool
may_remember(struct trust_store *s, uint64_t now_s)
{
	uint64_t passed = now_s > s->new_s ? now_s - s->new_s : 0;

	s->n_new = passed < s->n_new ? s->n_new - passed : 0;
	s->new_s = now_s;
	if (s->n_new >= TRUST_NEW_MAX)
		return false;
	s->n_new++;
	return true;
}

int
trust_store_see(struct trust_store *s, const uint8_t node[static TRUST_ID_LEN],
    const uint8_t key[static TRUST_ID_LEN], uint64_t now_s)
{
	struct trust_line line = { .kind = TRUST_SEEN, .time = now_s };
	int r;

	if (s->own_fd == -1 || s->is_read_only)
		return -EROFS;
	if (!may_remember(s, now_s))
		return -EAGAIN;
	memcpy(line.id, node, TRUST_ID_LEN);
	memcpy(line.key, key, TRUST_ID_LEN);
	if ((r = trust_add(&s->seen, &line)) < 0)
		return r;
	r = trust_save(s->own_fd, TRUST_SEEN_NAME, &s->seen, false);
	if (r < 0)
		(void)trust_remove(&s->seen, TRUST_SEEN, node); // just added
	return r;
}

bool
trust_is_revoked(const struct trust_store *s, const uint8_t *id)
{
	return trust_find(&s->decided, TRUST_REVOKE, id) != NULL;
}

struct ek_roots
trust_roots(const struct trust_store *s)
{
	return (struct ek_roots){ s->roots, s->n_roots };
}
