// Tries on this machine what the daemons will need, reads what the kernel
// says of itself, and tells a person what to do about the rest.  It changes
// nothing; it must never call a promise kept that it has not seen work.
#include "ctl/doctor.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/guard.h"
#include "common/landlock.h"
#include "common/posture.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "common/secret.h"
#include "ctl/privilege.h"

enum { EXIT_USAGE = 2 };

// ---- trials, each in a child

// Whether it came to _exit(0).
static bool
works(int (*trial)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		AUTO_FD null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		(void)dup2(null, STDERR_FILENO);
		_exit(trial() == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static int
try_secret_memory(void)
{
	struct secret_pool *pool;
	int r = secret_pool_new(&pool, 1, SECRET_MEMFD);

	if (r == 0)
		secret_pool_free(pool);
	return r;
}

static int
try_guard(void)
{
	pid_t guard;

	return guard_start(&guard);
}

static int
try_dumps(void)
{
	return process_harden();
}

static int
try_seccomp(void)
{
	static const struct sandbox_rule rules[] = {
		ALLOW(exit_group, "the end of the trial"),
		ALLOW(munmap, "free"),
		ALLOW(brk, "free"),
	};
	int r = process_confine();

	return r < 0 ? r : sandbox_enter(rules, N_ELEMENTS(rules));
}

static int
try_landlock(void)
{
	static const struct landlock_policy nothing = { 0 };
	int abi, r = process_confine();

	return r < 0 ? r : landlock_enter(&nothing, &abi);
}

static void
try_all(struct posture *p, const struct privilege *privilege)
{
	static const struct {
		enum posture_id id;
		int (*trial)(void);
	} trials[] = {
		{ POSTURE_SECRET_MEMORY, try_secret_memory },
		{ POSTURE_GUARD, try_guard },
		{ POSTURE_NO_DUMPS, try_dumps },
		{ POSTURE_SECCOMP, try_seccomp },
		{ POSTURE_LANDLOCK, try_landlock },
		{ POSTURE_LOCKED, process_lock_memory },
	};

	for (size_t i = 0; i < N_ELEMENTS(trials); i++) {
		bool did = works(trials[i].trial);

		posture_set(p, trials[i].id, did ? TRI_TRUE : TRI_FALSE,
		    "tried: %s", did ? "works" : "does not work");
	}
	if (p->items[POSTURE_LANDLOCK].value == TRI_TRUE)
		posture_set(p, POSTURE_LANDLOCK, TRI_TRUE,
		    "tried: works, version %d", landlock_kernel_abi());
	posture_set(p, POSTURE_USERS,
	    privilege->can_switch_users ? TRI_TRUE : TRI_FALSE,
	    privilege->can_switch_users ? "the users are there"
					: "no users, or not root");
	posture_set(p, POSTURE_NETWORK,
	    privilege->can_take_network ? TRI_TRUE : TRI_FALSE,
	    privilege->can_take_network ? "tried: works"
					: "not root, or not allowed");
}

// ---- the report

// What docs/architecture.md promises and this machine can spoil.
static const struct promise {
	const char *text;
	enum posture_id needs[3];
	size_t n;
} promises[] = {
	{ "P2 no debugger, dump or file of root shows the keys",
	    { POSTURE_SECRET_MEMORY, POSTURE_GUARD, POSTURE_NO_DUMPS }, 3 },
	{ "P7 daemons are confined, each to a user of its own",
	    { POSTURE_SECCOMP, POSTURE_USERS }, 2 },
};

static bool
has(const struct posture *p, enum posture_id id)
{
	// Where nobody may trace, no guard is needed.
	if (id == POSTURE_GUARD && p->items[POSTURE_PTRACE].value == TRI_TRUE)
		return true;
	return p->items[id].value == TRI_TRUE;
}

static bool
report_promise(const struct promise *promise, const struct posture *p)
{
	bool is_kept = true;

	for (size_t i = 0; i < promise->n; i++)
		if (!has(p, promise->needs[i]))
			is_kept = false;
	(void)printf("  %-8s %s\n", is_kept ? "kept" : "BROKEN", promise->text);
	for (size_t i = 0; i < promise->n; i++) {
		enum posture_id id = promise->needs[i];

		if (!has(p, id))
			(void)printf("  %-8s   %s: %s\n", "",
			    posture_items[id].name, p->items[id].source);
	}
	return is_kept;
}

static void
report_item(enum posture_id id, const struct posture *p)
{
	const struct posture_item *item = &posture_items[id];
	enum tri value = p->items[id].value;

	(void)printf(
	    "  %-8s %-22s %s\n", tri_text(value), item->name, item->protects);
	(void)printf("  %-8s %-22s   %s\n", "", "", p->items[id].source);
	if (value != TRI_TRUE)
		(void)printf(
		    "  %-8s %-22s   to get it: %s\n", "", "", item->how);
}

static void
report_announced(uint32_t bits)
{
	static const char *const names[] = { "sip_enabled", "rdma_disabled",
		"debugger_blocked", "core_dumps_disabled" };

	(void)printf("\nannounced to other nodes\n");
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		(void)printf("  %-8s %s\n",
		    (bits & 1u << i) != 0 ? "true" : "false", names[i]);
}

int
command_doctor(int argc, char *const argv[])
{
	AUTO_FD root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char missing[PRIVILEGE_MISSING_MAX];
	struct privilege privilege;
	struct posture p;
	bool all_kept = true;

	if (argc > 1) {
		bool is_help = strcmp(argv[1], "--help") == 0;

		(void)fprintf(is_help ? stdout : stderr,
		    "usage: meshllm doctor\n\nTries what protects a node on "
		    "this machine.  Run it as the user who\nwill run the node. "
		    "Exit status 1: a promise cannot be kept here.\n");
		return is_help ? EXIT_SUCCESS : EXIT_USAGE;
	}
	privilege_find(&privilege, missing);
	posture_read(&p, root);
	try_all(&p, &privilege);
	(void)printf("promises\n");
	for (size_t i = 0; i < N_ELEMENTS(promises); i++)
		all_kept = report_promise(&promises[i], &p) && all_kept;
	if (missing[0] != '\0')
		(void)printf("  %-8s   %s\n", "", missing);
	(void)printf("\nthis machine\n");
	for (enum posture_id id = 0; id < POSTURE_N; id++)
		report_item(id, &p);
	report_announced(posture_v1(&p));
	if (fflush(stdout) != 0)
		return EXIT_FAILURE;
	return all_kept ? EXIT_SUCCESS : EXIT_FAILURE;
}
