// The certificates of whoever certified this machine's TPM, from the file of
// --ek-chain: PEM, one behind the other.
#ifndef ATTESTD_CHAIN_FILE_H
#define ATTESTD_CHAIN_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

enum {
	CHAIN_FILE_CERTS_MAX = 6, // beside the TPM's own
	CHAIN_FILE_BYTES_MAX = 64 * 1024,
};

struct chain_file {
	uint8_t *der[CHAIN_FILE_CERTS_MAX]; // owned
	size_t len[CHAIN_FILE_CERTS_MAX];
	size_t n;
};

// All of them or none.  *ret_why: what is wrong, static.
MUST_CHECK int chain_file_read(
    const char *path, struct chain_file *ret, const char **ret_why);
void chain_file_done(struct chain_file *);

#endif
