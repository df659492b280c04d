#include "common/arena.h"

#include <sodium.h>

static void *
take(void *data, size_t size)
{
	struct arena *arena = data;
	size_t aligned = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	void *p;

	if (aligned < size || aligned > arena->size - arena->used)
		return NULL;
	p = arena->bytes + arena->used;
	arena->used += aligned;
	return p;
}

static void
give_back(void *data, void *p)
{
	// All at once, by arena_wipe().
	(void)data;
	(void)p;
}

ProtobufCAllocator
arena_allocator(struct arena *arena)
{
	return (ProtobufCAllocator){ take, give_back, arena };
}

void
arena_wipe(struct arena *arena)
{
	sodium_memzero(arena->bytes, arena->used);
	arena->used = 0;
}
