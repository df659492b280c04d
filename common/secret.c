// A pool of pages that nobody but this process reads, cut into slots.  It
// trusts its callers to stay within their slot, and keeps its own records in
// ordinary memory, so that a slot holds secrets only.  It must never hand out
// a slot that still has somebody else's bytes.
#include "common/secret.h"

#include <assert.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

struct secret_pool {
	uint8_t *pages; // owned
	size_t len;
	size_t page_len;
	bool is_memfd;
	size_t n_free;
	uint8_t **free_slots; // owned array; a stack
};

static size_t
page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static int
advise(void *pages, size_t len)
{
	if (madvise(pages, len, MADV_DONTFORK) == -1)
		return -errno;
	if (madvise(pages, len, MADV_DONTDUMP) == -1)
		return -errno;
	return 0;
}

// The mapping stands between two pages that fault on any access.
static int
map_guarded(struct secret_pool *pool, int fd)
{
	size_t all = pool->len + 2 * pool->page_len;
	uint8_t *reserved;
	void *p;
	int r;

	reserved = mmap(NULL, all, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return -errno;
	p = mmap(reserved + pool->page_len, pool->len, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_FIXED, fd, 0);
	r = p == MAP_FAILED ? -errno : advise(p, pool->len);
	if (r < 0) {
		(void)munmap(reserved, all);
		return r;
	}
	pool->pages = p;
	return 0;
}

static int
map_memfd(struct secret_pool *pool)
{
	AUTO_FD fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
	int r;

	if (fd == -1)
		return -errno;
	if (ftruncate(fd, (off_t)pool->len) == -1)
		return -errno;
	if ((r = map_guarded(pool, fd)) < 0)
		return r;
	pool->is_memfd = true;
	return 0;
}

static int
map_locked(struct secret_pool *pool)
{
	int r;

	// A length of whole pages makes the start a page as well.
	if ((pool->pages = sodium_malloc(pool->len)) == NULL)
		return -ENOMEM;
	// sodium_malloc goes on when it could not lock; we do not.
	r = mlock(pool->pages, pool->len) == -1
	    ? -errno
	    : advise(pool->pages, pool->len);
	if (r < 0) {
		sodium_free(pool->pages);
		pool->pages = NULL;
	}
	return r;
}

static int
map_pages(struct secret_pool *pool, enum secret_kind kind)
{
	int r = -ENOSYS;

	if (kind != SECRET_LOCKED)
		r = map_memfd(pool);
	if (r < 0 && kind != SECRET_MEMFD)
		r = map_locked(pool);
	return r;
}

static int
cut_slots(struct secret_pool *pool)
{
	size_t n = pool->len / SECRET_SLOT_LEN;

	pool->free_slots = calloc(n, sizeof(*pool->free_slots));
	if (pool->free_slots == NULL)
		return -ENOMEM;
	// Touch every page now: later there must be no reason to fail.
	memset(pool->pages, 0, pool->len);
	for (size_t i = 0; i < n; i++)
		pool->free_slots[i] =
		    pool->pages + (n - 1 - i) * SECRET_SLOT_LEN;
	pool->n_free = n;
	return 0;
}

int
secret_pool_new(struct secret_pool **ret, size_t n_slots, enum secret_kind kind)
{
	struct secret_pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (pool == NULL)
		return -ENOMEM;
	pool->page_len = page_size();
	assert(n_slots > 0 && n_slots < SIZE_MAX / SECRET_SLOT_LEN / 2);
	pool->len = n_slots * SECRET_SLOT_LEN + pool->page_len - 1;
	pool->len -= pool->len % pool->page_len;
	r = map_pages(pool, kind);
	if (r == 0)
		r = cut_slots(pool);
	if (r < 0) {
		secret_pool_free(pool);
		return r;
	}
	*ret = pool;
	return 0;
}

void
secret_pool_free(struct secret_pool *pool)
{
	if (pool == NULL)
		return;
	if (pool->pages != NULL && pool->is_memfd) {
		sodium_memzero(pool->pages, pool->len);
		(void)munmap(pool->pages - pool->page_len,
		    pool->len + 2 * pool->page_len);
	} else {
		sodium_free(pool->pages); // wipes
	}
	free(pool->free_slots);
	free(pool);
}

bool
secret_pool_is_memfd(const struct secret_pool *pool)
{
	return pool->is_memfd;
}

size_t
secret_pool_left(const struct secret_pool *pool)
{
	return pool->n_free;
}

uint8_t *
secret_take(struct secret_pool *pool)
{
	return pool->n_free == 0 ? NULL : pool->free_slots[--pool->n_free];
}

void
secret_release(struct secret_pool *pool, uint8_t *slot)
{
	if (slot == NULL)
		return;
	assert(slot >= pool->pages && slot < pool->pages + pool->len &&
	    (size_t)(slot - pool->pages) % SECRET_SLOT_LEN == 0);
	assert(pool->n_free < pool->len / SECRET_SLOT_LEN);
	sodium_memzero(slot, SECRET_SLOT_LEN);
	pool->free_slots[pool->n_free++] = slot;
}
