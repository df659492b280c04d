// Reads what the kernel says about itself.  It trusts the kernel and nothing
// above it; it must never make good news of a file that is not there, that it
// may not read, or that says something it does not know.
#include "common/posture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

enum { TEXT_MAX = 16 * 1024 };

const char *
tri_text(enum tri t)
{
	return t == TRI_TRUE ? "true" : t == TRI_FALSE ? "false" : "unknown";
}

void
posture_set(struct posture *p, enum posture_id id, enum tri value,
    const char *source, ...)
{
	struct posture_reading *r = &p->items[id];
	va_list args;

	r->value = value;
	va_start(args, source);
	(void)vsnprintf(r->source, sizeof(r->source), source, args);
	va_end(args);
}

static enum tri
tri_of(bool b)
{
	return b ? TRI_TRUE : TRI_FALSE;
}

// ---- files

struct reader {
	struct posture *p;
	int root;
	char text[TEXT_MAX]; // of the file that was read last
	size_t len;
};

// -errno, or 0 with the content in r->text.
static int
read_file(struct reader *r, const char *path)
{
	AUTO_FD fd = openat(r->root, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;

	r->len = 0;
	r->text[0] = '\0';
	if (fd == -1)
		return -errno;
	while ((n = read(fd, r->text + r->len, TEXT_MAX - 1 - r->len)) > 0)
		r->len += (size_t)n;
	if (n == -1)
		return -errno;
	r->text[r->len] = '\0';
	return 0;
}

static void
unreadable(struct reader *r, enum posture_id id, const char *path, int error)
{
	posture_set(
	    r->p, id, TRI_UNKNOWN, "/%s: %s", path, strerrordesc_np(-error));
}

// The first line, as a number; false: there is none.
static bool
read_number(struct reader *r, const char *path, long *ret, int *ret_error)
{
	char *end;

	*ret_error = read_file(r, path);
	if (*ret_error < 0)
		return false;
	errno = 0;
	*ret = strtol(r->text, &end, 10);
	*ret_error = -EINVAL;
	return errno == 0 && end != r->text && (*end == '\n' || *end == '\0');
}

static bool
has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)) != NULL; at += len)
		if ((at == text || strchr(" ,\t\n", at[-1]) != NULL) &&
		    (at[len] == '\0' || strchr(" ,\t\n", at[len]) != NULL))
			return true;
	return false;
}

// Entries of a folder; -errno.
static int
count_entries(struct reader *r, const char *path)
{
	int fd = openat(r->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *e;
	int n = 0;

	if (d == NULL) {
		n = -errno;
		close_fd(&fd);
		return n;
	}
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return n;
}

// A number that must be at least min, and at most max.
static void
check_number(
    struct reader *r, enum posture_id id, const char *path, long min, long max)
{
	long n;
	int error;

	if (!read_number(r, path, &n, &error)) {
		unreadable(r, id, path, error);
		return;
	}
	posture_set(
	    r->p, id, tri_of(n >= min && n <= max), "/%s is %ld", path, n);
}

// ---- the kernel

static void
read_secure_boot(struct reader *r)
{
	static const char efi[] = "sys/firmware/efi/efivars/",
			  guid[] = "-8be4df61-93ca-11d2-aa0d-00e098032b8c";
	char path[128];
	int error;
	bool on, setup;

	(void)snprintf(path, sizeof(path), "%sSecureBoot%s", efi, guid);
	if ((error = read_file(r, path)) < 0) {
		posture_set(r->p, POSTURE_SECURE_BOOT, TRI_UNKNOWN,
		    "efivars SecureBoot: %s", strerrordesc_np(-error));
		return;
	}
	// Four bytes of attributes, then the value.
	on = r->len == 5 && r->text[4] == 1;
	(void)snprintf(path, sizeof(path), "%sSetupMode%s", efi, guid);
	error = read_file(r, path);
	setup = error < 0 || r->len != 5 || r->text[4] != 0;
	posture_set(r->p, POSTURE_SECURE_BOOT, tri_of(on && !setup),
	    "efivars SecureBoot is %d, SetupMode %s", on,
	    error < 0	? "unreadable"
		: setup ? "on"
			: "off");
}

static void
read_lockdown(struct reader *r)
{
	static const char path[] = "sys/kernel/security/lockdown";
	int error = read_file(r, path);
	bool on;

	if (error < 0) {
		unreadable(r, POSTURE_LOCKDOWN, path, error);
		return;
	}
	on = strstr(r->text, "[integrity]") != NULL ||
	    strstr(r->text, "[confidentiality]") != NULL;
	r->text[strcspn(r->text, "\n")] = '\0';
	posture_set(r->p, POSTURE_LOCKDOWN,
	    on || strstr(r->text, "[none]") != NULL ? tri_of(on) : TRI_UNKNOWN,
	    "/%s: %.48s", path, r->text);
}

static bool
is_true(const struct reader *r, enum posture_id id)
{
	return r->p->items[id].value == TRI_TRUE;
}

// After lockdown.
static void
read_modules(struct reader *r)
{
	static const char enforce[] =
	    "sys/module/module/parameters/sig_enforce",
			  off[] = "proc/sys/kernel/modules_disabled";
	long disabled;
	int error;

	if (is_true(r, POSTURE_LOCKDOWN)) {
		posture_set(r->p, POSTURE_SIGNED_MODULES, TRI_TRUE,
		    "lockdown asks for signatures");
		return;
	}
	if (read_number(r, off, &disabled, &error) && disabled == 1) {
		posture_set(
		    r->p, POSTURE_SIGNED_MODULES, TRI_TRUE, "/%s is 1", off);
		return;
	}
	if ((error = read_file(r, enforce)) < 0) {
		unreadable(r, POSTURE_SIGNED_MODULES, enforce, error);
		return;
	}
	posture_set(r->p, POSTURE_SIGNED_MODULES, tri_of(r->text[0] == 'Y'),
	    "/%s is %c", enforce, r->text[0] == 'Y' ? 'Y' : 'N');
}

static void
read_taint(struct reader *r)
{
	enum { OUT_OF_TREE = 1 << 12, UNSIGNED = 1 << 13 };
	static const char path[] = "proc/sys/kernel/tainted";
	long bits;
	int error;

	if (!read_number(r, path, &bits, &error)) {
		unreadable(r, POSTURE_UNTAINTED, path, error);
		return;
	}
	posture_set(r->p, POSTURE_UNTAINTED,
	    tri_of((bits & (OUT_OF_TREE | UNSIGNED)) == 0), "/%s is %ld", path,
	    bits);
}

static void
read_kexec(struct reader *r)
{
	static const char path[] = "proc/sys/kernel/kexec_load_disabled";

	if (is_true(r, POSTURE_LOCKDOWN))
		posture_set(r->p, POSTURE_KEXEC, TRI_TRUE,
		    "lockdown asks for a signed kernel");
	else
		check_number(r, POSTURE_KEXEC, path, 1, 1);
	check_number(
	    r, POSTURE_CRASH_KERNEL, "sys/kernel/kexec_crash_loaded", 0, 0);
}

static void
read_raw_memory(struct reader *r)
{
	static const char *const doors[] = { "dev/mem", "proc/kcore" };

	if (is_true(r, POSTURE_LOCKDOWN) &&
	    strstr(r->p->items[POSTURE_LOCKDOWN].source, "[confidentiality]") !=
		NULL) {
		posture_set(r->p, POSTURE_RAW_MEMORY, TRI_TRUE,
		    "lockdown is confidentiality");
		return;
	}
	for (size_t i = 0; i < N_ELEMENTS(doors); i++)
		if (faccessat(r->root, doors[i], F_OK, 0) == 0) {
			posture_set(r->p, POSTURE_RAW_MEMORY, TRI_FALSE,
			    "/%s is there", doors[i]);
			return;
		}
	posture_set(r->p, POSTURE_RAW_MEMORY, TRI_UNKNOWN,
	    "no /dev/mem or /proc/kcore here, no lockdown either");
}

// ---- memory that leaves the machine's memory

// sys/block/NAME/dm/uuid begins with CRYPT-, or the name with zram.
static bool
is_swap_safe(struct reader *r, const char *device)
{
	const char *slash = strrchr(device, '/');
	const char *name = slash == NULL ? device : slash + 1;
	struct reader other = { .root = r->root };
	char path[128];

	if (strncmp(name, "zram", 4) == 0)
		return true;
	(void)snprintf(path, sizeof(path), "sys/block/%.32s/dm/uuid", name);
	return read_file(&other, path) == 0 &&
	    strncmp(other.text, "CRYPT-", 6) == 0;
}

static void
read_swap(struct reader *r)
{
	static const char path[] = "proc/swaps";
	int error = read_file(r, path), n = 0;
	char *save = NULL;

	if (error < 0 || strncmp(r->text, "Filename", 8) != 0) {
		unreadable(r, POSTURE_SWAP, path, error < 0 ? error : -EINVAL);
		return;
	}
	(void)strtok_r(r->text, "\n", &save);
	for (char *line; (line = strtok_r(NULL, "\n", &save)) != NULL; n++) {
		line[strcspn(line, " \t")] = '\0';
		if (is_swap_safe(r, line))
			continue;
		posture_set(r->p, POSTURE_SWAP, TRI_FALSE,
		    "/%s: %.48s is not encrypted", path, line);
		return;
	}
	posture_set(r->p, POSTURE_SWAP, TRI_TRUE, "/%s: %s", path,
	    n == 0 ? "none" : "only dm-crypt and zram");
}

static void
read_hibernation(struct reader *r)
{
	static const char path[] = "sys/power/state";
	int error = read_file(r, path);

	if (error < 0) {
		unreadable(r, POSTURE_HIBERNATION, path, error);
		return;
	}
	if (!has_word(r->text, "disk")) {
		posture_set(r->p, POSTURE_HIBERNATION, TRI_TRUE,
		    "/%s has no disk", path);
		return;
	}
	error = read_file(r, "sys/power/disk");
	posture_set(r->p, POSTURE_HIBERNATION,
	    tri_of(error == 0 && strstr(r->text, "[disabled]") != NULL),
	    "/sys/power/disk: %s",
	    error == 0 && strstr(r->text, "[disabled]") != NULL ? "disabled"
								: "possible");
}

// ---- devices

static void
read_iommu(struct reader *r)
{
	static const char path[] = "sys/kernel/iommu_groups";
	int n = count_entries(r, path);

	if (n < 0)
		unreadable(r, POSTURE_IOMMU, path, n);
	else
		posture_set(r->p, POSTURE_IOMMU, tri_of(n > 0),
		    "/%s has %d groups", path, n);
}

static void
read_thunderbolt(struct reader *r)
{
	static const char dir[] = "sys/bus/thunderbolt/devices";
	char path[128];
	long on;
	int error, seen = 0;

	for (int i = 0; i < 8; i++) {
		(void)snprintf(path, sizeof(path),
		    "%s/domain%d/iommu_dma_protection", dir, i);
		if (!read_number(r, path, &on, &error))
			continue;
		seen++;
		if (on != 1) {
			posture_set(r->p, POSTURE_THUNDERBOLT, TRI_FALSE,
			    "/%s is %ld", path, on);
			return;
		}
	}
	posture_set(r->p, POSTURE_THUNDERBOLT,
	    seen > 0 ? TRI_TRUE : TRI_UNKNOWN, "%d domains in /%s", seen, dir);
}

// Not there now says nothing about later, unless no module can come.
static void
read_rdma(struct reader *r)
{
	static const char path[] = "sys/class/infiniband";
	int n = count_entries(r, path), error;
	long disabled = 0;

	if (n > 0) {
		posture_set(r->p, POSTURE_RDMA, TRI_FALSE, "/%s has %d devices",
		    path, n);
		return;
	}
	if (!read_number(
		r, "proc/sys/kernel/modules_disabled", &disabled, &error))
		disabled = 0;
	posture_set(r->p, POSTURE_RDMA, disabled == 1 ? TRI_TRUE : TRI_UNKNOWN,
	    "no device in /%s; modules %s", path,
	    disabled == 1 ? "cannot be loaded" : "can be loaded");
}

// ---- the rest

static void
read_ima(struct reader *r)
{
	static const char path[] = "sys/kernel/security/ima/policy";
	int error = read_file(r, path);

	if (error < 0)
		unreadable(r, POSTURE_IMA, path, error);
	else
		posture_set(r->p, POSTURE_IMA,
		    tri_of(has_word(r->text, "appraise")), "/%s: %s appraise",
		    path, has_word(r->text, "appraise") ? "has" : "no");
}

static void
read_cpu(struct reader *r)
{
	bool is_guest = read_file(r, "proc/cpuinfo") == 0 &&
	    has_word(r->text, "hypervisor");
	bool has_hint = has_word(r->text, "sev_snp") ||
	    has_word(r->text, "sme") || has_word(r->text, "tdx_guest");

	// A host can hide itself, and a flag says what could be, not what is.
	posture_set(r->p, POSTURE_BARE_METAL,
	    is_guest ? TRI_FALSE : TRI_UNKNOWN, "/proc/cpuinfo: %s",
	    is_guest ? "a hypervisor" : "no flag of a hypervisor");
	posture_set(r->p, POSTURE_MEMORY_ENCRYPTION, TRI_UNKNOWN,
	    "no evidence%s", has_hint ? "; the processor could" : "");
}

static void
read_lsm(struct reader *r)
{
	static const char path[] = "sys/kernel/security/lsm";
	static const char *const wanted[] = { "landlock", "yama", "lockdown" };
	int error = read_file(r, path);

	if (error < 0) {
		unreadable(r, POSTURE_LSM, path, error);
		return;
	}
	for (size_t i = 0; i < N_ELEMENTS(wanted); i++)
		if (!has_word(r->text, wanted[i])) {
			posture_set(r->p, POSTURE_LSM, TRI_FALSE, "/%s: no %s",
			    path, wanted[i]);
			return;
		}
	posture_set(r->p, POSTURE_LSM, TRI_TRUE, "/%s: %.48s", path, r->text);
}

static void
read_preload(struct reader *r)
{
	static const char path[] = "etc/ld.so.preload";
	int error = read_file(r, path);

	// Here absence is the reading: the loader looks for this file only.
	if (error == -ENOENT || (error == 0 && r->len == 0))
		posture_set(r->p, POSTURE_PRELOAD, TRI_TRUE, "no /%s", path);
	else if (error < 0)
		unreadable(r, POSTURE_PRELOAD, path, error);
	else
		posture_set(r->p, POSTURE_PRELOAD, TRI_FALSE,
		    "/%s names a "
		    "library",
		    path);
}

void
posture_read(struct posture *ret, int root)
{
	struct reader *r = calloc(1, sizeof(*r));

	memset(ret, 0, sizeof(*ret));
	for (enum posture_id id = 0; id < POSTURE_N; id++)
		posture_set(ret, id, TRI_UNKNOWN, "not measured");
	if (r == NULL)
		return;
	r->p = ret;
	r->root = root;
	read_secure_boot(r);
	read_lockdown(r);
	read_modules(r);
	read_taint(r);
	read_kexec(r);
	read_raw_memory(r);
	check_number(
	    r, POSTURE_BPF, "proc/sys/kernel/unprivileged_bpf_disabled", 1, 2);
	check_number(
	    r, POSTURE_PERF, "proc/sys/kernel/perf_event_paranoid", 2, 4);
	check_number(
	    r, POSTURE_PTRACE, "proc/sys/kernel/yama/ptrace_scope", 3, 3);
	check_number(r, POSTURE_SUID_DUMP, "proc/sys/fs/suid_dumpable", 0, 0);
	read_swap(r);
	read_hibernation(r);
	read_ima(r);
	read_iommu(r);
	read_thunderbolt(r);
	read_rdma(r);
	read_cpu(r);
	read_lsm(r);
	read_preload(r);
	check_number(r, POSTURE_SYSRQ, "proc/sys/kernel/sysrq", 0, 0);
	check_number(r, POSTURE_PANIC, "proc/sys/kernel/panic_on_oops", 1, 1);
	free(r);
}

uint32_t
posture_v1(const struct posture *p)
{
	static const enum posture_id sip[] = { POSTURE_SECURE_BOOT,
		POSTURE_LOCKDOWN, POSTURE_SIGNED_MODULES, POSTURE_KEXEC };
	uint32_t bits = POSTURE_V1_SIP_ENABLED;

	for (size_t i = 0; i < N_ELEMENTS(sip); i++)
		if (p->items[sip[i]].value != TRI_TRUE)
			bits = 0;
	if (p->items[POSTURE_RDMA].value == TRI_TRUE)
		bits |= POSTURE_V1_RDMA_DISABLED;
	// Our own guard does not count: root can still read memory.
	if (p->items[POSTURE_PTRACE].value == TRI_TRUE)
		bits |= POSTURE_V1_DEBUGGER_BLOCKED;
	if (p->items[POSTURE_NO_DUMPS].value == TRI_TRUE)
		bits |= POSTURE_V1_CORE_DUMPS_DISABLED;
	return bits;
}
