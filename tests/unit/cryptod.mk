# Unit tests of cryptod/, and the real program under its filter.

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/cryptod_rules_test
TESTS += tests/unit/cryptod_rules_test
tests_unit_cryptod_rules_test_SOURCES = tests/unit/cryptod_rules_test.c
tests_unit_cryptod_rules_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_cryptod_rules_test_LDADD = tests/unit/librulescheck.a \
	cryptod/libcryptod.a $(COMMON_LIBS) $(CMOCKA_LIBS)

# Starts a real daemon for a test.
check_LIBRARIES += tests/sandbox/libdaemon.a
tests_sandbox_libdaemon_a_SOURCES = \
	tests/sandbox/daemon.c tests/sandbox/daemon.h
tests_sandbox_libdaemon_a_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS)

check_PROGRAMS += tests/sandbox/cryptod_test
TESTS += tests/sandbox/cryptod_test
tests_sandbox_cryptod_test_SOURCES = tests/sandbox/cryptod_test.c
tests_sandbox_cryptod_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS) \
	-DBUILD_DIR='"$(abs_top_builddir)"'
tests_sandbox_cryptod_test_LDADD = tests/sandbox/libdaemon.a \
	cryptod/libcryptod_client.a $(COMMON_LIBS) $(CMOCKA_LIBS)
endif
