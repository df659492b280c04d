# Unit tests of ctl/.

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/ctl_fake_daemon
tests_unit_ctl_fake_daemon_SOURCES = tests/unit/ctl_fake_daemon.c
tests_unit_ctl_fake_daemon_CFLAGS = $(ctl_libctl_a_CFLAGS)
tests_unit_ctl_fake_daemon_LDADD = $(COMMON_LIBS)

check_PROGRAMS += tests/unit/ctl_run_test
TESTS += tests/unit/ctl_run_test
tests_unit_ctl_run_test_SOURCES = tests/unit/ctl_run_test.c \
	tests/unit/folder.c tests/unit/folder.h
tests_unit_ctl_run_test_CFLAGS = $(ctl_libctl_a_CFLAGS) $(CMOCKA_CFLAGS) \
	-DBUILD_DIR='"$(abs_top_builddir)"'
tests_unit_ctl_run_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/ctl_key_test
TESTS += tests/unit/ctl_key_test
tests_unit_ctl_key_test_SOURCES = tests/unit/ctl_key_test.c
tests_unit_ctl_key_test_CFLAGS = $(ctl_libctl_a_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_ctl_key_test_LDADD = $(CTL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/ctl_test
TESTS += tests/unit/ctl_test
tests_unit_ctl_test_SOURCES = tests/unit/ctl_test.c
tests_unit_ctl_test_CFLAGS = $(ctl_libctl_a_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_ctl_test_LDADD = $(CTL_LIBS) $(CMOCKA_LIBS)
endif
