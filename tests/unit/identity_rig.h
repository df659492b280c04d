// An identity in a state directory of its own, for the tests of what it signs
// and of the files that it is kept in.
#ifndef TESTS_UNIT_IDENTITY_RIG_H
#define TESTS_UNIT_IDENTITY_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cryptod/identity.h"

// What fixture_open() says is the time.
enum { UNIX_S_NOW = 1700000000 };

static const uint64_t now_ms = (uint64_t)UNIX_S_NOW * 1000;

struct fixture {
	char dir[64], state[80], identity[96], sequence[96], other[96];
	struct secret_pool *pool;
	struct state files;
	struct identity *id;
	const char *credentials; // NULL: systemd gave none
};

// Fails as what refuses does; the reason is in files.error.
int fixture_open(struct fixture *);
void fixture_close(struct fixture *);
int fixture_setup(void **state);
// Once opened and closed: its files are there.
int fixture_setup_started(void **state);
// Fails when a secret was not given back.
int fixture_teardown(void **state);

#define FIRST(f) \
	cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
#define STARTED(f)                       \
	cmocka_unit_test_setup_teardown( \
	    f, fixture_setup_started, fixture_teardown)

#endif
