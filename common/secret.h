// Guarded memory for key material: one pool of pages made at the start, slots
// of one size taken from it.  The pages come from memfd_secret(2) where the
// kernel offers it: then not even root reads them through /proc/PID/mem,
// ptrace or process_vm_readv.  Else they are sodium_malloc's: locked, between
// guard pages, not dumped.  Never inherited by a child.
#ifndef COMMON_SECRET_H
#define COMMON_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

struct secret_pool;

enum {
	SECRET_SLOT_LEN = 64, // bytes of a slot; an Ed25519 key is the largest
};

enum secret_kind {
	SECRET_BEST,   // SECRET_MEMFD, else SECRET_LOCKED
	SECRET_MEMFD,  // memfd_secret(2)
	SECRET_LOCKED, // mlock(2)
};

// At least n_slots, rounded up to full pages.  -errno of the kernel when the
// pages cannot be locked: RLIMIT_MEMLOCK is too low.
MUST_CHECK int secret_pool_new(
    struct secret_pool **ret, size_t n_slots, enum secret_kind);
// Wipes every slot.
void secret_pool_free(struct secret_pool *);
bool secret_pool_is_memfd(const struct secret_pool *);
size_t secret_pool_left(const struct secret_pool *); // free slots

// SECRET_SLOT_LEN zero bytes, NULL when all slots are taken.
uint8_t *secret_take(struct secret_pool *);
// Wipes the slot and gives it back; NULL is fine.
void secret_release(struct secret_pool *, uint8_t *slot);

#endif
