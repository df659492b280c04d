// Secret pages.  What the kernel does with them is tried from outside too:
// through /proc/self/mem, and in a child.
#include "common/secret.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>

enum { SLOTS = 64, EX_SURVIVED = 33, EX_DENIED = 34 };

static const enum secret_kind kinds[] = { SECRET_MEMFD, SECRET_LOCKED };

// NULL: this kernel has no memfd_secret(2).
static struct secret_pool *
make(enum secret_kind kind)
{
	struct secret_pool *pool = NULL;
	int r = secret_pool_new(&pool, SLOTS, kind);

	if (kind == SECRET_MEMFD && r == -ENOSYS)
		return NULL;
	assert_int_equal(r, 0);
	assert_int_equal(secret_pool_is_memfd(pool), kind == SECRET_MEMFD);
	return pool;
}

static void
gives_each_slot_once_and_zeroed(void **state)
{
	uint8_t *slots[SLOTS], zero[SECRET_SLOT_LEN] = { 0 };

	(void)state;
	for (size_t k = 0; k < N_ELEMENTS(kinds); k++) {
		struct secret_pool *pool = make(kinds[k]);

		if (pool == NULL)
			continue;
		assert_int_equal(secret_pool_left(pool), SLOTS);
		for (size_t i = 0; i < SLOTS; i++) {
			slots[i] = secret_take(pool);
			assert_non_null(slots[i]);
			assert_memory_equal(slots[i], zero, sizeof(zero));
			memset(slots[i], (int)i + 1, SECRET_SLOT_LEN);
		}
		assert_null(secret_take(pool));
		for (size_t i = 0; i < SLOTS; i++)
			for (size_t b = 0; b < SECRET_SLOT_LEN; b++)
				assert_int_equal(slots[i][b], i + 1);
		secret_pool_free(pool);
	}
}

static void
wipes_a_slot_that_is_given_back(void **state)
{
	uint8_t zero[SECRET_SLOT_LEN] = { 0 };

	(void)state;
	for (size_t k = 0; k < N_ELEMENTS(kinds); k++) {
		struct secret_pool *pool = make(kinds[k]);
		uint8_t *slot;

		if (pool == NULL)
			continue;
		slot = secret_take(pool);
		assert_non_null(slot);
		memset(slot, 7, SECRET_SLOT_LEN);
		secret_release(pool, slot);
		assert_memory_equal(slot, zero, sizeof(zero));
		assert_int_equal(secret_pool_left(pool), SLOTS);
		secret_release(pool, NULL);
		assert_int_equal(secret_pool_left(pool), SLOTS);
		secret_pool_free(pool);
	}
}

static void
takes_the_best_there_is(void **state)
{
	struct secret_pool *memfd = make(SECRET_MEMFD), *best;

	(void)state;
	assert_int_equal(secret_pool_new(&best, SLOTS, SECRET_BEST), 0);
	assert_int_equal(secret_pool_is_memfd(best), memfd != NULL);
	secret_pool_free(best);
	secret_pool_free(memfd);
}

static void
is_not_read_through_proc(void **state)
{
	struct secret_pool *pool = make(SECRET_MEMFD);
	AUTO_FD fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	uint8_t *slot, out[SECRET_SLOT_LEN];

	(void)state;
	if (pool == NULL)
		skip();
	assert_true(fd >= 0);
	slot = secret_take(pool);
	assert_non_null(slot);
	memset(slot, 7, SECRET_SLOT_LEN);
	assert_int_equal(
	    pread(fd, out, sizeof(out), (off_t)(uintptr_t)slot), -1);
	secret_pool_free(pool);
}

static int
in_child(void (*f)(void *), void *arg)
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		// A death that is wanted needs no core, nor a report.
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGSEGV, SIG_DFL);
		(void)signal(SIGBUS, SIG_DFL);
		f(arg);
		_exit(EX_SURVIVED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
read_byte(void *arg)
{
	_exit(*(volatile uint8_t *)arg == 7 ? EX_SURVIVED : 0);
}

static void
is_not_inherited_by_a_child(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_ELEMENTS(kinds); k++) {
		struct secret_pool *pool = make(kinds[k]);
		uint8_t *slot;
		int status;

		if (pool == NULL)
			continue;
		slot = secret_take(pool);
		assert_non_null(slot);
		memset(slot, 7, SECRET_SLOT_LEN);
		status = in_child(read_byte, slot);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		secret_pool_free(pool);
	}
}

static void
read_beyond(void *arg)
{
	struct secret_pool *pool = make(*(const enum secret_kind *)arg);
	uint8_t *low = secret_take(pool);

	// The first slot is the lowest; the pool is one page here.
	_exit(low[SLOTS * SECRET_SLOT_LEN] == 0 ? EX_SURVIVED : EX_DENIED);
}

static void
faults_beyond_its_last_page(void **state)
{
	(void)state;
	if (sysconf(_SC_PAGESIZE) != SLOTS * SECRET_SLOT_LEN)
		skip();
	for (size_t k = 0; k < N_ELEMENTS(kinds); k++) {
		struct secret_pool *pool = make(kinds[k]);
		enum secret_kind kind = kinds[k];
		int status;

		if (pool == NULL)
			continue;
		secret_pool_free(pool);
		status = in_child(read_beyond, &kind);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	}
}

static void
lock_without_permission(void *arg)
{
	struct rlimit none = { 0, 0 };
	struct secret_pool *pool;

	(void)arg;
	if (setrlimit(RLIMIT_MEMLOCK, &none) == -1)
		_exit(1);
	// Root may lock whatever the limit says.
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) == -1)
		_exit(1);
	_exit(secret_pool_new(&pool, SLOTS, SECRET_BEST) < 0 ? EX_DENIED : 0);
}

static void
is_refused_when_it_cannot_be_locked(void **state)
{
	int status;

	(void)state;
#ifdef SANITIZERS
	print_message("skipped: AddressSanitizer makes mlock(2) do nothing\n");
	skip();
#endif
	status = in_child(lock_without_permission, NULL);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_DENIED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_each_slot_once_and_zeroed),
		cmocka_unit_test(wipes_a_slot_that_is_given_back),
		cmocka_unit_test(takes_the_best_there_is),
		cmocka_unit_test(is_not_read_through_proc),
		cmocka_unit_test(is_not_inherited_by_a_child),
		cmocka_unit_test(faults_beyond_its_last_page),
		cmocka_unit_test(is_refused_when_it_cannot_be_locked),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
