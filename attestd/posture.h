// What this machine says about itself, read from the kernel at the start.
// Every answer is three-valued: a file that is not there means unknown, and
// unknown never counts as good.
#ifndef ATTESTD_POSTURE_H
#define ATTESTD_POSTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"

enum fact { FACT_UNKNOWN, FACT_NO, FACT_YES };

enum { POSTURE_TEXT_MAX = 64, POSTURE_HASH_HEX_LEN = 64 };

struct posture {
	enum fact secure_boot;	  // UEFI, and not in setup mode
	enum fact lockdown;	  // integrity or confidentiality
	enum fact signed_modules; // only, or none can be loaded
	enum fact kexec_limited;
	enum fact rdma_absent;
	uint64_t memory_bytes;
	char model[POSTURE_TEXT_MAX];
	char image[POSTURE_HASH_HEX_LEN + 1]; // SHA-256 of this program
};

// root: "" in a daemon, a folder in tests.  image stays empty where the
// program cannot be read.
void posture_read(const char *root, struct posture *ret);
// The old blob's sip_enabled: lockdown, signed modules, limited kexec and
// Secure Boot, all of them.
bool posture_is_locked_down(const struct posture *);

#endif
