# Unit tests of common/.

if HAVE_CMOCKA
# rules_check(): for the rules test of every daemon.
check_LIBRARIES += tests/unit/librulescheck.a
tests_unit_librulescheck_a_SOURCES = \
	tests/unit/rules_check.c tests/unit/rules_check.h
tests_unit_librulescheck_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS) $(CMOCKA_CFLAGS)

check_PROGRAMS += tests/unit/announcement_test
TESTS += tests/unit/announcement_test
tests_unit_announcement_test_SOURCES = tests/unit/announcement_test.c
tests_unit_announcement_test_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) \
	$(CMOCKA_CFLAGS)
tests_unit_announcement_test_LDADD = common/libcommon.a $(SODIUM_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/api_keys_test
TESTS += tests/unit/api_keys_test
tests_unit_api_keys_test_SOURCES = tests/unit/api_keys_test.c
tests_unit_api_keys_test_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_api_keys_test_LDADD = common/libcommon.a $(SODIUM_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/base64_test
TESTS += tests/unit/base64_test
tests_unit_base64_test_SOURCES = tests/unit/base64_test.c
tests_unit_base64_test_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_base64_test_LDADD = common/libcommon.a $(SODIUM_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/log_test
TESTS += tests/unit/log_test
tests_unit_log_test_SOURCES = tests/unit/log_test.c
tests_unit_log_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_log_test_LDADD = common/libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/log_pipe_test
TESTS += tests/unit/log_pipe_test
tests_unit_log_pipe_test_SOURCES = tests/unit/log_pipe_test.c
tests_unit_log_pipe_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_log_pipe_test_LDADD = common/libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/log_journal_test
TESTS += tests/unit/log_journal_test
CLEANFILES += log_journal_test.socket
tests_unit_log_journal_test_SOURCES = tests/unit/log_journal_test.c
tests_unit_log_journal_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_log_journal_test_LDADD = common/libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/options_test
TESTS += tests/unit/options_test
tests_unit_options_test_SOURCES = tests/unit/options_test.c
tests_unit_options_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_options_test_LDADD = common/libcommon.a $(SODIUM_LIBS) \
	$(CMOCKA_LIBS)

IPC_TEST_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(PROTOBUF_C_CFLAGS) \
	$(CMOCKA_CFLAGS)
check_PROGRAMS += tests/unit/ipc_test
TESTS += tests/unit/ipc_test
tests_unit_ipc_test_SOURCES = tests/unit/ipc_test.c \
	tests/unit/ipc_end.c tests/unit/ipc_end.h
tests_unit_ipc_test_CFLAGS = $(IPC_TEST_CFLAGS)
tests_unit_ipc_test_LDADD = tests/unit/librulescheck.a $(COMMON_LIBS) \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/ipc_call_test
TESTS += tests/unit/ipc_call_test
tests_unit_ipc_call_test_SOURCES = tests/unit/ipc_call_test.c \
	tests/unit/ipc_end.c tests/unit/ipc_end.h
tests_unit_ipc_call_test_CFLAGS = $(IPC_TEST_CFLAGS)
tests_unit_ipc_call_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/secret_test
TESTS += tests/unit/secret_test
tests_unit_secret_test_SOURCES = tests/unit/secret_test.c
tests_unit_secret_test_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) \
	$(CMOCKA_CFLAGS)
tests_unit_secret_test_LDADD = common/libcommon.a $(SODIUM_LIBS) \
	$(CMOCKA_LIBS)
endif
