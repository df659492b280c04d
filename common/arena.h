// The memory that one message of protobuf-c is decoded into: so much and no
// more, however hostile the message.  Given out in order, taken back at once.
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

enum { ARENA_ALIGN = 16 };

struct arena {
	uint8_t *bytes; // borrowed; aligned to ARENA_ALIGN
	size_t size;
	size_t used;
};

// Borrows the arena.  What it gives is there until the wipe or as long as the
// bytes are; NULL when there is no room, and then decoding fails.
ProtobufCAllocator arena_allocator(struct arena *);
// Nothing of a message is left behind.
void arena_wipe(struct arena *);

#endif
