# Unit tests of attestd/, and the real program under its filters.

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/attestd_rules_test
TESTS += tests/unit/attestd_rules_test
tests_unit_attestd_rules_test_SOURCES = tests/unit/attestd_rules_test.c
tests_unit_attestd_rules_test_CFLAGS = $(ATTESTD_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_attestd_rules_test_LDADD = tests/unit/librulescheck.a \
	attestd/libattestd.a cryptod/libcryptod_client.a $(COMMON_LIBS) \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/sandbox/attestd_test
TESTS += tests/sandbox/attestd_test
tests_sandbox_attestd_test_SOURCES = tests/sandbox/attestd_test.c
tests_sandbox_attestd_test_CFLAGS = $(ATTESTD_CFLAGS) $(CMOCKA_CFLAGS) \
	-DBUILD_DIR='"$(abs_top_builddir)"'
tests_sandbox_attestd_test_LDADD = tests/sandbox/libdaemon.a \
	attestd/libattestd_client.a $(COMMON_LIBS) $(CMOCKA_LIBS)
endif
