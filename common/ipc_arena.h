// The memory that one message is decoded into: so much and no more, and wiped
// when it was handled.
#ifndef COMMON_IPC_ARENA_H
#define COMMON_IPC_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipc.h"

struct ipc_arena {
	size_t used;
	_Alignas(16) uint8_t bytes[IPC_ARENA_BYTES];
};

// Borrows the arena.  What it gives lasts until the wipe.
ProtobufCAllocator ipc_arena_allocator(struct ipc_arena *);
void ipc_arena_wipe(struct ipc_arena *);

#endif
