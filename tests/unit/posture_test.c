// Readings of machines that are made of files: every item true, false and
// unknown, and nothing true because a file is absent.
#include "common/posture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "gossipd/node_codec.h"
#include "tests/unit/folder.h"

static char dir[] = "/tmp/posture_test.XXXXXX";
static struct posture posture;

static void
put(const char *path, const char *content, size_t len)
{
	char full[512];
	AUTO_FD fd = -1;

	(void)snprintf(full, sizeof(full), "%s/%s", dir, path);
	for (char *c = full + sizeof(dir); *c != '\0'; c++)
		if (*c == '/') {
			*c = '\0';
			(void)mkdir(full, 0700);
			*c = '/';
		}
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, len), (ssize_t)len);
}

static void
put_text(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

static void
measure(void)
{
	AUTO_FD root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_true(root >= 0);
	posture_read(&posture, root);
	for (enum posture_id id = 0; id < POSTURE_N; id++)
		assert_true(posture.items[id].source[0] != '\0');
}

static void
expect(enum posture_id id, enum tri value)
{
	if (posture.items[id].value != value)
		fail_msg("%s is %s (%s), not %s", posture_items[id].name,
		    tri_text(posture.items[id].value), posture.items[id].source,
		    tri_text(value));
}

static void
every_item_is_explained(void **state)
{
	(void)state;
	for (enum posture_id id = 0; id < POSTURE_N; id++) {
		assert_non_null(posture_items[id].name);
		assert_true(strlen(posture_items[id].protects) > 10);
		assert_true(strlen(posture_items[id].how) > 5);
		for (enum posture_id k = 0; k < id; k++)
			assert_string_not_equal(
			    posture_items[k].name, posture_items[id].name);
	}
}

static void
nothing_is_true_where_nothing_can_be_read(void **state)
{
	(void)state;
	measure();
	for (enum posture_id id = 0; id < POSTURE_N; id++)
		// Here the absence of the file is what is asked for.
		expect(id, id == POSTURE_PRELOAD ? TRI_TRUE : TRI_UNKNOWN);
	assert_int_equal(posture_v1(&posture), 0);
}

#define EFI "sys/firmware/efi/efivars/"
#define GUID "-8be4df61-93ca-11d2-aa0d-00e098032b8c"

static void
a_machine_that_is_closed(void **state)
{
	(void)state;
	put(EFI "SecureBoot" GUID, "\6\0\0\0\1", 5);
	put(EFI "SetupMode" GUID, "\6\0\0\0\0", 5);
	put_text("sys/kernel/security/lockdown",
	    "none integrity [confidentiality]\n");
	put_text("proc/sys/kernel/tainted", "512\n");
	put_text("sys/kernel/kexec_crash_loaded", "0\n");
	put_text("proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
	put_text("proc/sys/kernel/perf_event_paranoid", "3\n");
	put_text("proc/sys/kernel/yama/ptrace_scope", "3\n");
	put_text("proc/sys/fs/suid_dumpable", "0\n");
	put_text("proc/swaps",
	    "Filename\tType\tSize\tUsed\tPriority\n"
	    "/dev/dm-1 partition 1 0 -2\n/dev/zram0 partition 1 0 5\n");
	put_text("sys/block/dm-1/dm/uuid", "CRYPT-PLAIN-swap\n");
	put_text("sys/power/state", "freeze mem disk\n");
	put_text("sys/power/disk", "[disabled]\n");
	put_text(
	    "sys/kernel/security/ima/policy", "appraise func=BPRM_CHECK\n");
	put_text("sys/kernel/iommu_groups/0/type", "DMA\n");
	put_text(
	    "sys/bus/thunderbolt/devices/domain0/iommu_dma_protection", "1\n");
	put_text("proc/sys/kernel/modules_disabled", "1\n");
	put_text("proc/cpuinfo", "flags\t\t: fpu vme sme\n");
	put_text(
	    "sys/kernel/security/lsm", "lockdown,capability,landlock,yama");
	put_text("proc/sys/kernel/sysrq", "0\n");
	put_text("proc/sys/kernel/panic_on_oops", "1\n");
	measure();
	for (enum posture_id id = 0; id < POSTURE_SECRET_MEMORY; id++)
		expect(id,
		    id == POSTURE_MEMORY_ENCRYPTION || id == POSTURE_BARE_METAL
			? TRI_UNKNOWN
			: TRI_TRUE);
	assert_int_equal(posture_v1(&posture),
	    NODE_POSTURE_SIP_ENABLED | NODE_POSTURE_RDMA_DISABLED |
		NODE_POSTURE_DEBUGGER_BLOCKED);
	// Core dumps are about the daemons, debuggers about the kernel alone.
	posture_set(&posture, POSTURE_NO_DUMPS, TRI_TRUE, "test");
	posture_set(&posture, POSTURE_PTRACE, TRI_FALSE, "test");
	posture_set(&posture, POSTURE_GUARD, TRI_TRUE, "test");
	assert_int_equal(posture_v1(&posture),
	    NODE_POSTURE_SIP_ENABLED | NODE_POSTURE_RDMA_DISABLED |
		NODE_POSTURE_CORE_DUMPS_DISABLED);
}

static void
each_part_of_sip_is_needed(void **state)
{
	static const enum posture_id parts[] = { POSTURE_SECURE_BOOT,
		POSTURE_LOCKDOWN, POSTURE_SIGNED_MODULES, POSTURE_KEXEC };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(parts); i++)
		for (enum tri t = TRI_UNKNOWN; t <= TRI_TRUE; t++) {
			struct posture p = { 0 };

			for (size_t k = 0; k < N_ELEMENTS(parts); k++)
				posture_set(&p, parts[k], TRI_TRUE, "test");
			posture_set(&p, parts[i], t, "test");
			assert_int_equal(posture_v1(&p),
			    t == TRI_TRUE ? NODE_POSTURE_SIP_ENABLED : 0);
		}
}

static void
a_machine_that_is_open(void **state)
{
	(void)state;
	put(EFI "SecureBoot" GUID, "\6\0\0\0\1", 5);
	put(EFI "SetupMode" GUID, "\6\0\0\0\1", 5); // keys can be replaced
	put_text("sys/kernel/security/lockdown",
	    "[none] integrity confidentiality\n");
	put_text("sys/module/module/parameters/sig_enforce", "N\n");
	put_text("proc/sys/kernel/modules_disabled", "0\n");
	put_text("proc/sys/kernel/tainted", "12288\n");
	put_text("proc/sys/kernel/kexec_load_disabled", "0\n");
	put_text("sys/kernel/kexec_crash_loaded", "1\n");
	put_text("proc/kcore", "");
	put_text("proc/sys/kernel/unprivileged_bpf_disabled", "0\n");
	put_text("proc/sys/kernel/perf_event_paranoid", "-1\n");
	put_text("proc/sys/kernel/yama/ptrace_scope", "2\n");
	put_text("proc/sys/fs/suid_dumpable", "2\n");
	put_text("proc/swaps",
	    "Filename\tType\tSize\tUsed\tPriority\n"
	    "/dev/zram0 partition 1 0 5\n/dev/sda2\tpartition 1 0 -2\n");
	put_text("sys/power/state", "freeze mem disk\n");
	put_text("sys/power/disk", "[platform] shutdown\n");
	put_text("sys/kernel/security/ima/policy", "measure func=BPRM_CHECK\n");
	put_text(
	    "sys/bus/thunderbolt/devices/domain0/iommu_dma_protection", "0\n");
	put_text("sys/class/infiniband/mlx5_0", "");
	put_text("proc/cpuinfo", "flags\t\t: fpu hypervisor sse\n");
	put_text("sys/kernel/security/lsm", "capability,apparmor");
	put_text("etc/ld.so.preload", "/tmp/x.so\n");
	put_text("proc/sys/kernel/sysrq", "438\n");
	put_text("proc/sys/kernel/panic_on_oops", "0\n");
	measure();
	for (enum posture_id id = 0; id < POSTURE_SECRET_MEMORY; id++)
		if (id != POSTURE_MEMORY_ENCRYPTION && id != POSTURE_IOMMU)
			expect(id, TRI_FALSE);
	assert_int_equal(posture_v1(&posture), 0);
}

static void
what_says_something_unheard_of_is_unknown(void **state)
{
	(void)state;
	put_text("sys/kernel/security/lockdown", "[perhaps]\n");
	put_text("proc/sys/kernel/yama/ptrace_scope", "three\n");
	put_text("proc/swaps", "");
	put_text("proc/sys/kernel/unprivileged_bpf_disabled", "");
	put_text("proc/sys/kernel/tainted", "99999999999999999999999\n");
	measure();
	expect(POSTURE_LOCKDOWN, TRI_UNKNOWN);
	expect(POSTURE_PTRACE, TRI_UNKNOWN);
	expect(POSTURE_SWAP, TRI_UNKNOWN);
	expect(POSTURE_BPF, TRI_UNKNOWN);
	expect(POSTURE_UNTAINTED, TRI_UNKNOWN);
	put(EFI "SecureBoot" GUID, "\6\0\0\0", 4);
	put_text("proc/sys/kernel/yama/ptrace_scope", "4\n");
	measure();
	expect(POSTURE_SECURE_BOOT, TRI_FALSE);
	expect(POSTURE_PTRACE, TRI_FALSE);
}

static int
make_machine(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/posture_test.XXXXXX");
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
remove_machine(void **state)
{
	(void)state;
	return folder_remove(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_machine, remove_machine)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_item_is_explained),
		TEST(nothing_is_true_where_nothing_can_be_read),
		TEST(a_machine_that_is_closed),
		TEST(each_part_of_sip_is_needed),
		TEST(a_machine_that_is_open),
		TEST(what_says_something_unheard_of_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
