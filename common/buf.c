// A growable byte buffer for plaintext.
//
// It trusts its callers with sizes below the maximum they named, and nothing
// else.  It must never give memory back, to malloc or to the kernel, that
// still holds a byte of its content, and never grow beyond its maximum.
#include "common/buf.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <sodium.h>

enum {
	BUF_FIRST_SIZE = 4096,
	BUF_MAPPED_FROM = 64 * 1024, // below, malloc is faster than mmap
	BUF_PAGE = 4096,
	BUF_HUGE_FROM = BUF_SPARE_FROM,
};

// A mapping without an owner; all zeros.
static struct {
	uint8_t *base;
	size_t size;
} spare;

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void
buf_drop_spare(void)
{
	if (spare.base != NULL)
		(void)munmap(spare.base, spare.size); // cannot fail: ours
	spare.base = NULL;
	spare.size = 0;
}

// Wiped.
static void
give_back(uint8_t *base, size_t size)
{
	if (size >= BUF_SPARE_FROM && size > spare.size) {
		buf_drop_spare();
		spare.base = base;
		spare.size = size;
	} else {
		(void)munmap(base, size); // cannot fail: ours
	}
}

void
buf_release(struct buf *b)
{
	if (b->base != NULL) {
		sodium_memzero(b->base, b->high);
		if (b->mapped)
			give_back(b->base, b->size);
		else
			free(b->base);
	}
	buf_init(b, b->max);
}

static size_t
round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

// Twice the size, enough for `needed`, not more than the maximum asks for.
static size_t
next_size(const struct buf *b, size_t needed)
{
	size_t size = b->size < BUF_FIRST_SIZE ? BUF_FIRST_SIZE : b->size;
	size_t most = round_up(b->max, BUF_PAGE);

	while (size < needed)
		size *= 2;
	return size < most ? size : most;
}

// One fault for 2 MiB instead of 512, which otherwise cost more than the
// copying.  Where the kernel has no such pages it is as it was.
static void
ask_for_huge_pages(void *base, size_t size)
{
	if (size >= BUF_HUGE_FROM)
		(void)madvise(base, size, MADV_HUGEPAGE);
}

static void *
map_pages(size_t size)
{
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	// Cores are off anyway; a kernel without it is no reason to fail.
	(void)madvise(base, size, MADV_DONTDUMP);
	ask_for_huge_pages(base, size);
	return base;
}

// The pages move, their content is not copied; the flag goes with them.
static int
grow_mapped(struct buf *b, size_t size)
{
	void *base = mremap(b->base, b->size, size, MREMAP_MAYMOVE);

	if (base == MAP_FAILED)
		return -ENOMEM;
	b->base = base;
	b->size = size;
	ask_for_huge_pages(base, size);
	return 0;
}

// Unless more would have to be copied than is spared.
static bool
use_spare(struct buf *b, size_t size)
{
	if (size < BUF_SPARE_FROM || size > spare.size ||
	    buf_len(b) > BUF_SPARE_FROM)
		return false;
	b->base = spare.base;
	b->size = spare.size;
	spare.base = NULL;
	spare.size = 0;
	return true;
}

static int
grow(struct buf *b, size_t size)
{
	bool mapped = size >= BUF_MAPPED_FROM, is_spare;
	struct buf next = *b;

	if (mapped)
		size = round_up(size, BUF_PAGE);
	is_spare = use_spare(&next, size);
	if (b->mapped && !is_spare)
		return grow_mapped(b, size);
	if (!is_spare) {
		next.base = mapped ? map_pages(size) : calloc(1, size);
		next.size = size;
	}
	if (next.base == NULL)
		return -ENOMEM;
	if (b->base != NULL)
		memcpy(next.base, b->base + b->start, buf_len(b));
	next.start = 0;
	next.end = buf_len(b);
	next.high = next.end;
	next.mapped = mapped;
	buf_release(b);
	*b = next;
	return 0;
}

static void
move_to_front(struct buf *b)
{
	size_t len = buf_len(b);

	if (b->base != NULL && len != 0)
		memmove(b->base, b->base + b->start, len);
	b->start = 0;
	b->end = len;
}

int
buf_reserve(struct buf *b, size_t n, uint8_t **ret)
{
	size_t len = buf_len(b), size;
	int r;

	if (n > b->max || len > b->max - n)
		return -EMSGSIZE;
	// Moving pays only when it moves less than was consumed before it.
	if (n > buf_room(b) && b->start >= len)
		move_to_front(b);
	if (n > buf_room(b) || b->base == NULL) {
		size = next_size(b, b->end + n);
		if (size < b->end + n) {
			move_to_front(b);
			size = next_size(b, b->end + n);
		}
		if (size > b->size && (r = grow(b, size)) < 0)
			return r;
	}
	// What may be written counts as written.
	if (b->high < b->end + n)
		b->high = b->end + n;
	*ret = b->base + b->end;
	return 0;
}

void
buf_commit(struct buf *b, size_t n)
{
	assert(n <= buf_room(b));
	b->end += n;
	assert(b->end <= b->high);
}

int
buf_append(struct buf *b, const void *bytes, size_t n)
{
	uint8_t *at;
	int r;

	if (n == 0)
		return 0;
	if ((r = buf_reserve(b, n, &at)) < 0)
		return r;
	memcpy(at, bytes, n);
	buf_commit(b, n);
	return 0;
}

void
buf_consume(struct buf *b, size_t n)
{
	assert(n <= buf_len(b));
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}

void
buf_truncate(struct buf *b, size_t n)
{
	assert(n <= buf_len(b));
	b->end = b->start + n;
}

void
buf_clear(struct buf *b)
{
	if (b->base != NULL)
		sodium_memzero(b->base, b->high);
	b->start = b->end = b->high = 0;
}
