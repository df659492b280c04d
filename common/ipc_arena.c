// An allocator for protobuf-c that a hostile message cannot make take more than
// its arena: then decoding fails.  Nothing of a message may be left behind.
#include "common/ipc_arena.h"

#include <sodium.h>

static void *
take(void *data, size_t size)
{
	struct ipc_arena *arena = data;
	size_t aligned = (size + 15) & ~(size_t)15;
	void *p;

	if (aligned < size || aligned > sizeof(arena->bytes) - arena->used)
		return NULL;
	p = arena->bytes + arena->used;
	arena->used += aligned;
	return p;
}

static void
give_back(void *data, void *p)
{
	// All at once, by ipc_arena_wipe().
	(void)data;
	(void)p;
}

ProtobufCAllocator
ipc_arena_allocator(struct ipc_arena *arena)
{
	return (ProtobufCAllocator){ take, give_back, arena };
}

void
ipc_arena_wipe(struct ipc_arena *arena)
{
	sodium_memzero(arena->bytes, arena->used);
	arena->used = 0;
}
