# Tests of what keeps keys: Landlock, environment, guard, limits, posture.

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/landlock_test
TESTS += tests/unit/landlock_test
tests_unit_landlock_test_SOURCES = tests/unit/landlock_test.c
tests_unit_landlock_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(SECCOMP_CFLAGS)
tests_unit_landlock_test_LDADD = common/libcommon.a $(CAP_LIBS) $(SECCOMP_LIBS) \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/sandbox/start_test
TESTS += tests/sandbox/start_test
tests_sandbox_start_test_SOURCES = tests/sandbox/start_test.c \
	tests/unit/folder.c tests/unit/folder.h
tests_sandbox_start_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS) \
	-DBUILD_DIR='"$(abs_top_builddir)"'
tests_sandbox_start_test_LDADD = tests/sandbox/libdaemon.a $(COMMON_LIBS) \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/sandbox/guard_test
TESTS += tests/sandbox/guard_test
tests_sandbox_guard_test_SOURCES = tests/sandbox/guard_test.c
tests_sandbox_guard_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS)
tests_sandbox_guard_test_LDADD = tests/sandbox/libdaemon.a $(COMMON_LIBS) \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/sandbox/porter_test
TESTS += tests/sandbox/porter_test
tests_sandbox_porter_test_SOURCES = tests/sandbox/porter_test.c
tests_sandbox_porter_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS)
tests_sandbox_porter_test_LDADD = tests/sandbox/libdaemon.a $(COMMON_LIBS) \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/service_test
TESTS += tests/unit/service_test
tests_unit_service_test_SOURCES = tests/unit/service_test.c
tests_unit_service_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_service_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/measured_test
TESTS += tests/unit/measured_test
tests_unit_measured_test_SOURCES = tests/unit/measured_test.c
tests_unit_measured_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_measured_test_LDADD = $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/posture_test
TESTS += tests/unit/posture_test
tests_unit_posture_test_SOURCES = tests/unit/posture_test.c \
	tests/unit/folder.c tests/unit/folder.h
tests_unit_posture_test_CFLAGS = $(AM_CFLAGS) $(PROTOBUF_C_CFLAGS) \
	$(CMOCKA_CFLAGS)
tests_unit_posture_test_LDADD = common/libcommon.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/sandbox/network_test
TESTS += tests/sandbox/network_test
tests_sandbox_network_test_SOURCES = tests/sandbox/network_test.c
tests_sandbox_network_test_CFLAGS = $(GOSSIPD_CFLAGS) $(SECCOMP_CFLAGS) \
	$(CMOCKA_CFLAGS)
tests_sandbox_network_test_LDADD = tests/sandbox/libdaemon.a \
	gossipd/libgossipd.a proxyd/libproxyd.a $(COMMON_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/takeover/keepers_test
TESTS += tests/takeover/keepers_test
tests_takeover_keepers_test_SOURCES = tests/takeover/keepers_test.c \
	tests/takeover/attack.c tests/takeover/attack.h
tests_takeover_keepers_test_CFLAGS = $(CRYPTOD_CFLAGS) $(CMOCKA_CFLAGS) \
	$(SSL_CFLAGS) -DBUILD_DIR='"$(abs_top_builddir)"'
tests_takeover_keepers_test_LDADD = tests/sandbox/libdaemon.a \
	$(COMMON_LIBS) $(CMOCKA_LIBS)

# Daemons that were taken over, for tests/system/takeover.test.mjs; the suite
# finds them by the names of the real ones.
HOSTILE_SOURCES = tests/takeover/hostile.c tests/takeover/hostile.h \
	tests/takeover/attack.c tests/takeover/attack.h \
	tests/takeover/liar.c tests/takeover/liar.h
HOSTILE_CPPFLAGS = -include $(top_srcdir)/tests/takeover/hostile.h
check_PROGRAMS += tests/takeover/hostile-gossipd
tests_takeover_hostile_gossipd_SOURCES = gossipd/main.c $(HOSTILE_SOURCES)
tests_takeover_hostile_gossipd_CPPFLAGS = $(AM_CPPFLAGS) $(HOSTILE_CPPFLAGS) \
	-DHOSTILE_GOSSIPD
tests_takeover_hostile_gossipd_CFLAGS = $(GOSSIPD_CFLAGS) $(SSL_CFLAGS)
tests_takeover_hostile_gossipd_LDADD = $(GOSSIPD_LIBS)
check_PROGRAMS += tests/takeover/hostile-proxyd
tests_takeover_hostile_proxyd_SOURCES = proxyd/main.c $(HOSTILE_SOURCES)
tests_takeover_hostile_proxyd_CPPFLAGS = $(AM_CPPFLAGS) $(HOSTILE_CPPFLAGS)
tests_takeover_hostile_proxyd_CFLAGS = $(AM_CFLAGS) $(PROXYD_CFLAGS) $(SSL_CFLAGS)
tests_takeover_hostile_proxyd_LDADD = $(meshllm_proxyd_LDADD)
endif
EXTRA_DIST += tests/sandbox/guard.pfc tests/sandbox/porter.pfc tests/sandbox/gossipd.pfc \
	tests/sandbox/proxyd.pfc
