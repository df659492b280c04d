// Salsa20, as libsodium has it, and faster where the CPU allows.
#ifndef PROXYD_SALSA_H
#define PROXYD_SALSA_H

#include <stddef.h>
#include <stdint.h>

enum { SALSA_BLOCK_LEN = 64, SALSA_KEY_LEN = 32, SALSA_NONCE_LEN = 8 };

// XOR with the key stream, which begins with that block of it.
void salsa_xor(uint8_t *bytes, size_t n,
    const uint8_t nonce[static SALSA_NONCE_LEN], uint64_t block,
    const uint8_t key[static SALSA_KEY_LEN]);

#endif
