// A growable byte buffer for plaintext: [consumed][data][room].
//
// Everything that was ever in it is wiped before the memory is given back,
// and growth leaves no copy behind.  From 64 KiB on it is an anonymous
// mapping of its own (not dumped), which grows by mremap(2) without a copy.
// The last large one that was released is kept, wiped, for the next: fresh
// pages can cost more than all that is done with the bytes in them.
// System calls: mmap, mremap, munmap, madvise.
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

struct buf {
	uint8_t *base; // owned; NULL while nothing is held
	size_t size;   // bytes at base
	size_t start;  // first byte not consumed
	size_t end;    // behind the last byte
	size_t high;   // bytes behind this were never written
	size_t max;    // most data it may hold
	bool mapped;
};

// An empty buffer that holds no memory yet; max bytes of data at most.
void buf_init(struct buf *, size_t max);
// Wipe and give back; the buffer is empty and usable again, max is kept.
void buf_release(struct buf *);
// Give back what is kept of released buffers; some time after the last.
void buf_drop_spare(void);
enum { BUF_SPARE_FROM = 4 * 1024 * 1024 }; // smaller ones are not kept

// Make n writable bytes behind the data.  Pointers into the buffer end.
// -EMSGSIZE: data and n together exceed the maximum.  -ENOMEM.
MUST_CHECK int buf_reserve(struct buf *, size_t n, uint8_t **ret);
// n of the reserved bytes are data now.
void buf_commit(struct buf *, size_t n);
MUST_CHECK int buf_append(struct buf *, const void *bytes, size_t n);
// Forget the first n bytes of the data.
void buf_consume(struct buf *, size_t n);
// Keep only the first n bytes of the data.
void buf_truncate(struct buf *, size_t n);
// Wipe what is held and forget it, but keep the memory.
void buf_clear(struct buf *);

static inline uint8_t *
buf_data(const struct buf *b)
{
	return b->base == NULL ? NULL : b->base + b->start;
}

static inline size_t
buf_len(const struct buf *b)
{
	return b->end - b->start;
}

// Bytes that can be written behind the data without growing.
static inline size_t
buf_room(const struct buf *b)
{
	return b->size - b->end;
}

#endif
