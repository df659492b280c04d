// An allocator for jansson that wipes what it takes back.  jansson grows its
// buffers by allocate, copy and free, so no copy is left.  What it gives to
// callers (json_dumps) can still be freed with free(3).
#include "proxyd/json_memory.h"

#include <jansson.h>
#include <malloc.h>
#include <sodium.h>
#include <stdlib.h>

static void
wipe_and_free(void *at)
{
	if (at == NULL)
		return;
	sodium_memzero(at, malloc_usable_size(at));
	free(at);
}

void
json_memory_wipe(void)
{
	json_set_alloc_funcs(malloc, wipe_and_free);
}
