# Unit tests of cryptod/, and the real program under its filter.

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/cryptod_test
TESTS += tests/unit/cryptod_test
tests_unit_cryptod_test_SOURCES = tests/unit/cryptod_test.c
tests_unit_cryptod_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_cryptod_test_LDADD = cryptod/libcryptod.a \
	cryptod/libcryptod_client.a $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/replay_test
TESTS += tests/unit/replay_test
tests_unit_replay_test_SOURCES = tests/unit/replay_test.c
tests_unit_replay_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_replay_test_LDADD = cryptod/libcryptod.a $(COMMON_LIBS) \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/inference_test
TESTS += tests/unit/inference_test
tests_unit_inference_test_SOURCES = tests/unit/inference_test.c
tests_unit_inference_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_inference_test_LDADD = cryptod/libcryptod.a $(COMMON_LIBS) \
	$(CMOCKA_LIBS) $(CRYPTO_LIBS)

IDENTITY_TESTS = tests/unit/identity_test tests/unit/identity_files_test
check_PROGRAMS += $(IDENTITY_TESTS)
TESTS += $(IDENTITY_TESTS)
IDENTITY_RIG = tests/unit/identity_rig.c tests/unit/identity_rig.h
tests_unit_identity_files_test_SOURCES = tests/unit/identity_files_test.c \
	$(IDENTITY_RIG)
tests_unit_identity_files_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_identity_files_test_LDADD = cryptod/libcryptod.a $(COMMON_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_identity_test_SOURCES = tests/unit/identity_test.c $(IDENTITY_RIG)
tests_unit_identity_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_identity_test_LDADD = cryptod/libcryptod.a $(COMMON_LIBS) \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/wycheproof_test
TESTS += tests/unit/wycheproof_test
tests_unit_wycheproof_test_SOURCES = tests/unit/wycheproof_test.c
tests_unit_wycheproof_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS) \
	-DDEFAULT_SHARED='"$(abs_top_srcdir)/../shared"'
tests_unit_wycheproof_test_LDADD = cryptod/libcryptod.a $(COMMON_LIBS) \
	$(CMOCKA_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/cryptod_rules_test
TESTS += tests/unit/cryptod_rules_test
tests_unit_cryptod_rules_test_SOURCES = tests/unit/cryptod_rules_test.c
tests_unit_cryptod_rules_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_cryptod_rules_test_LDADD = tests/unit/librulescheck.a \
	cryptod/libcryptod.a $(COMMON_LIBS) $(CMOCKA_LIBS)

# Starts a real daemon for a test; tries a sandbox list.
check_LIBRARIES += tests/sandbox/libdaemon.a
tests_sandbox_libdaemon_a_SOURCES = \
	tests/sandbox/daemon.c tests/sandbox/daemon.h \
	tests/sandbox/sandbox_check.c tests/sandbox/sandbox_check.h
tests_sandbox_libdaemon_a_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS) \
	-DSANDBOX_DATA='"$(abs_top_srcdir)/tests/sandbox"'

check_PROGRAMS += tests/sandbox/sandbox_test
TESTS += tests/sandbox/sandbox_test
tests_sandbox_sandbox_test_SOURCES = tests/sandbox/sandbox_test.c
tests_sandbox_sandbox_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS)
tests_sandbox_sandbox_test_LDADD = tests/sandbox/libdaemon.a \
	cryptod/libcryptod.a attestd/libattestd.a \
	cryptod/libcryptod_client.a proxyd/libproxydclient.a \
	$(ATTESTER_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/sandbox/cryptod_test
TESTS += tests/sandbox/cryptod_test
tests_sandbox_cryptod_test_SOURCES = tests/sandbox/cryptod_test.c
tests_sandbox_cryptod_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS) \
	-DBUILD_DIR='"$(abs_top_builddir)"'
tests_sandbox_cryptod_test_LDADD = tests/sandbox/libdaemon.a \
	cryptod/libcryptod_client.a $(COMMON_LIBS) $(CMOCKA_LIBS)
endif
EXTRA_DIST += tests/sandbox/cryptod.pfc tests/sandbox/attestd-signer.pfc \
	tests/sandbox/attestd-verifier.pfc tests/sandbox/attestd-examiner.pfc
