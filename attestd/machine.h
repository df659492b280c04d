// What this machine says about itself, read from the kernel at the start.
// Every answer is three-valued: a file that is not there means unknown, and
// unknown never counts as good.
#ifndef ATTESTD_MACHINE_H
#define ATTESTD_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"

enum fact { FACT_UNKNOWN, FACT_NO, FACT_YES };

enum { MACHINE_TEXT_MAX = 64, MACHINE_HASH_HEX_LEN = 64 };

struct machine {
	enum fact secure_boot;	  // UEFI, and not in setup mode
	enum fact lockdown;	  // integrity or confidentiality
	enum fact signed_modules; // only, or none can be loaded
	enum fact kexec_limited;
	enum fact rdma_absent;
	uint64_t memory_bytes;
	char model[MACHINE_TEXT_MAX];
	char image[MACHINE_HASH_HEX_LEN + 1]; // SHA-256 of this program
};

// root: "" in a daemon, a folder in tests.  image stays empty where the
// program cannot be read.
void machine_read(const char *root, struct machine *ret);
// The old blob's sip_enabled: lockdown, signed modules, limited kexec and
// Secure Boot, all of them.
bool machine_is_locked_down(const struct machine *);

#endif
