// What this machine does to keep others out, as it was measured: true, false
// or unknown, with the source of each reading.  A file that is missing is
// never good news by itself.  Root of this machine can forge all of it.
#ifndef COMMON_POSTURE_H
#define COMMON_POSTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tri {
	TRI_UNKNOWN,
	TRI_FALSE,
	TRI_TRUE,
};

enum posture_id {
	POSTURE_SECURE_BOOT,
	POSTURE_LOCKDOWN,
	POSTURE_SIGNED_MODULES,
	POSTURE_UNTAINTED,
	POSTURE_KEXEC,
	POSTURE_CRASH_KERNEL,
	POSTURE_RAW_MEMORY,
	POSTURE_BPF,
	POSTURE_PERF,
	POSTURE_PTRACE,
	POSTURE_SUID_DUMP,
	POSTURE_SWAP,
	POSTURE_HIBERNATION,
	POSTURE_IMA,
	POSTURE_IOMMU,
	POSTURE_THUNDERBOLT,
	POSTURE_RDMA,
	POSTURE_MEMORY_ENCRYPTION,
	POSTURE_BARE_METAL,
	POSTURE_LSM,
	POSTURE_PRELOAD,
	POSTURE_SYSRQ,
	POSTURE_PANIC,
	// These are about the daemons; posture_read leaves them unknown.
	POSTURE_SECRET_MEMORY,
	POSTURE_GUARD,
	POSTURE_NO_DUMPS,
	POSTURE_SECCOMP,
	POSTURE_LANDLOCK,
	POSTURE_USERS,
	POSTURE_NETWORK,
	POSTURE_LOCKED,
	POSTURE_N,
};

enum { POSTURE_SOURCE_MAX = 96 };

struct posture_reading {
	enum tri value;
	char source[POSTURE_SOURCE_MAX];
};

struct posture {
	struct posture_reading items[POSTURE_N];
};

struct posture_item {
	const char *name;
	const char *protects; // what is better when it is true
	const char *how;      // to turn it on
};

extern const struct posture_item posture_items[POSTURE_N];

// root: descriptor of the folder that stands for /.
void posture_read(struct posture *ret, int root);
__attribute__((format(printf, 4, 5))) void posture_set(
    struct posture *, enum posture_id, enum tri value, const char *source, ...);
const char *tri_text(enum tri); // true, false, unknown

struct posture_daemon {
	const char *name;
	bool keeps_keys; // of whatever kind, or decides about trust
	bool is_cryptod, is_proxyd;
	bool is_known;	     // it said something of itself
	uint32_t protection; // bits: measure.h
};
// The items about the daemons, by their own word; true only if none of those
// concerned lacks it.  Not USERS.
void posture_set_daemons(
    struct posture *, const struct posture_daemon *, size_t n);

// The four booleans that the mesh knows (field 37; bits: see node_codec.h).
// Each is claimed only if everything that it stands for was measured.
enum {
	POSTURE_V1_SIP_ENABLED = 1,
	POSTURE_V1_RDMA_DISABLED = 2,
	POSTURE_V1_DEBUGGER_BLOCKED = 4,
	POSTURE_V1_CORE_DUMPS_DISABLED = 8,
};
uint32_t posture_v1(const struct posture *);

#endif
