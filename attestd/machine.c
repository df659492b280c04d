// Reads sysfs and securityfs before the sandbox closes.  Trusts the kernel;
// root of this machine can lie about all of it, which is why the old blob's
// claims are never more than self-signed.
#include "attestd/machine.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/hex.h"

#define EFI_GLOBAL "-8be4df61-93ca-11d2-aa0d-00e098032b8c"

static int
open_file(const char *root, const char *path)
{
	char full[512];

	(void)snprintf(full, sizeof(full), "%s%s", root, path);
	return open(full, O_RDONLY | O_CLOEXEC);
}

// The file's first bytes; 0: it is not there or empty.
static size_t
read_file(const char *root, const char *path, char *ret, size_t size)
{
	AUTO_FD fd = open_file(root, path);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);

	ret[n < 0 ? 0 : n] = '\0';
	return n < 0 ? 0 : (size_t)n;
}

// Four bytes of attributes, one of value.
static enum fact
efi_flag(const char *root, const char *path)
{
	char bytes[16];

	if (read_file(root, path, bytes, sizeof(bytes)) != 5)
		return FACT_UNKNOWN;
	return bytes[4] == 1 ? FACT_YES : FACT_NO;
}

static enum fact
read_secure_boot(const char *root)
{
	enum fact on =
	    efi_flag(root, "/sys/firmware/efi/efivars/SecureBoot" EFI_GLOBAL);
	enum fact setup =
	    efi_flag(root, "/sys/firmware/efi/efivars/SetupMode" EFI_GLOBAL);

	if (on == FACT_YES && setup != FACT_NO)
		return setup == FACT_YES ? FACT_NO : FACT_UNKNOWN;
	return on;
}

static enum fact
read_lockdown(const char *root)
{
	char text[128];

	if (read_file(
		root, "/sys/kernel/security/lockdown", text, sizeof(text)) == 0)
		return FACT_UNKNOWN;
	return strstr(text, "[integrity]") != NULL ||
		strstr(text, "[confidentiality]") != NULL
	    ? FACT_YES
	    : FACT_NO;
}

// One character: the value that means yes.
static enum fact
read_switch(const char *root, const char *path, char yes)
{
	char text[16];

	if (read_file(root, path, text, sizeof(text)) == 0)
		return FACT_UNKNOWN;
	return text[0] == yes ? FACT_YES : FACT_NO;
}

static enum fact
either(enum fact a, enum fact b)
{
	if (a == FACT_YES || b == FACT_YES)
		return FACT_YES;
	return a == FACT_UNKNOWN || b == FACT_UNKNOWN ? FACT_UNKNOWN : FACT_NO;
}

static enum fact
read_rdma(const char *root)
{
	char full[512];
	struct stat st;

	(void)snprintf(full, sizeof(full), "%s/sys/class", root);
	if (stat(full, &st) == -1)
		return FACT_UNKNOWN;
	// The class is there as soon as the module is, also without a device.
	(void)snprintf(full, sizeof(full), "%s/sys/class/infiniband", root);
	if (stat(full, &st) == -1)
		return errno == ENOENT ? FACT_YES : FACT_UNKNOWN;
	return FACT_NO;
}

// Printable ASCII that needs no escape anywhere.
static void
read_model(const char *root, char ret[static MACHINE_TEXT_MAX])
{
	size_t n = 0;

	if (read_file(root, "/sys/class/dmi/id/product_name", ret,
		MACHINE_TEXT_MAX) == 0)
		(void)snprintf(ret, MACHINE_TEXT_MAX, "Linux");
	for (size_t i = 0; ret[i] != '\0'; i++)
		if (ret[i] >= ' ' && ret[i] <= '~' && ret[i] != '"' &&
		    ret[i] != '\\')
			ret[n++] = ret[i];
	ret[n] = '\0';
}

static void
read_image(char ret[static MACHINE_HASH_HEX_LEN + 1])
{
	AUTO_FD fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t bytes[16384], digest[EVP_MAX_MD_SIZE];
	ssize_t n = -1;
	bool ok;

	ret[0] = '\0';
	ok = fd >= 0 && ctx != NULL &&
	    EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
	while (ok && (n = read(fd, bytes, sizeof(bytes))) > 0)
		ok = EVP_DigestUpdate(ctx, bytes, (size_t)n) == 1;
	if (ok && n == 0 && EVP_DigestFinal_ex(ctx, digest, NULL) == 1)
		hex_encode(ret, digest, MACHINE_HASH_HEX_LEN / 2);
	EVP_MD_CTX_free(ctx);
}

void
machine_read(const char *root, struct machine *ret)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	memset(ret, 0, sizeof(*ret));
	ret->secure_boot = read_secure_boot(root);
	ret->lockdown = read_lockdown(root);
	ret->signed_modules = either(
	    read_switch(root, "/sys/module/module/parameters/sig_enforce", 'Y'),
	    either(read_switch(root, "/proc/sys/kernel/modules_disabled", '1'),
		ret->lockdown));
	ret->kexec_limited = either(
	    read_switch(root, "/proc/sys/kernel/kexec_load_disabled", '1'),
	    ret->lockdown);
	ret->rdma_absent = read_rdma(root);
	if (pages > 0 && size > 0)
		ret->memory_bytes = (uint64_t)pages * (uint64_t)size;
	read_model(root, ret->model);
	read_image(ret->image);
}

bool
machine_is_locked_down(const struct machine *p)
{
	return p->lockdown == FACT_YES && p->signed_modules == FACT_YES &&
	    p->kexec_limited == FACT_YES && p->secure_boot == FACT_YES;
}
