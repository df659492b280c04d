# Which lines of the filters the tests reach: see run.
EXTRA_DIST += tests/reach/run tests/reach/on tests/reach/elsewhere tests/reach/doors.py \
	tests/sandbox/README.md
if HAVE_CMOCKA
# The tests of a daemon's own calls go on as they are: only what a daemon
# does at its start is another.
REACH_SOURCES = tests/reach/sandbox.c tests/reach/reach.h \
	tests/malloc/tunables.c
REACH_WRAP = $(AM_LDFLAGS) -Wl,--wrap=sandbox_enter_or_die \
	-Wl,--wrap=sandbox_give_all_up -Wl,--wrap=guard_start_or_die
check_PROGRAMS += tests/reach/trace tests/reach/report \
	tests/reach/meshllm-cryptod tests/reach/meshllm-attestd \
	tests/reach/meshllm-gossipd tests/reach/meshllm-proxyd \
	tests/reach/porter_test tests/reach/guard_test
tests_reach_trace_SOURCES = tests/reach/trace.c tests/reach/reach.h \
	tests/tools/vdso.c tests/tools/vdso.h
tests_reach_trace_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS)
tests_reach_report_SOURCES = tests/reach/report.c tests/reach/reach.h
tests_reach_report_CFLAGS = $(GOSSIPD_CFLAGS) $(CRYPTOD_CFLAGS)
tests_reach_report_LDADD = cryptod/libcryptod.a attestd/libattestd.a \
	$(ATTESTER_LIBS) $(GOSSIPD_LIBS) $(PROXYD_LIBS)
tests_reach_meshllm_cryptod_SOURCES = cryptod/main.c $(REACH_SOURCES)
tests_reach_meshllm_cryptod_CFLAGS = $(meshllm_cryptod_CFLAGS)
tests_reach_meshllm_cryptod_LDFLAGS = $(REACH_WRAP)
tests_reach_meshllm_cryptod_LDADD = $(meshllm_cryptod_LDADD)
tests_reach_meshllm_attestd_SOURCES = attestd/main.c $(REACH_SOURCES)
tests_reach_meshllm_attestd_CFLAGS = $(meshllm_attestd_CFLAGS)
tests_reach_meshllm_attestd_LDFLAGS = $(REACH_WRAP)
tests_reach_meshllm_attestd_LDADD = $(meshllm_attestd_LDADD)
tests_reach_meshllm_gossipd_SOURCES = gossipd/main.c $(REACH_SOURCES)
tests_reach_meshllm_gossipd_CFLAGS = $(meshllm_gossipd_CFLAGS) \
	$(SECCOMP_CFLAGS)
tests_reach_meshllm_gossipd_LDFLAGS = $(REACH_WRAP)
tests_reach_meshllm_gossipd_LDADD = $(meshllm_gossipd_LDADD)
tests_reach_meshllm_proxyd_SOURCES = proxyd/main.c $(REACH_SOURCES)
tests_reach_meshllm_proxyd_CFLAGS = $(meshllm_proxyd_CFLAGS)
tests_reach_meshllm_proxyd_LDFLAGS = $(REACH_WRAP)
tests_reach_meshllm_proxyd_LDADD = $(meshllm_proxyd_LDADD)
tests_reach_porter_test_SOURCES = tests/sandbox/porter_test.c $(REACH_SOURCES)
tests_reach_porter_test_CFLAGS = $(tests_sandbox_porter_test_CFLAGS)
tests_reach_porter_test_LDFLAGS = $(REACH_WRAP)
tests_reach_porter_test_LDADD = $(tests_sandbox_porter_test_LDADD)
tests_reach_guard_test_SOURCES = tests/sandbox/guard_test.c \
	tests/reach/one_less.c
tests_reach_guard_test_CFLAGS = $(tests_sandbox_guard_test_CFLAGS)
tests_reach_guard_test_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=sandbox_enter
tests_reach_guard_test_LDADD = $(tests_sandbox_guard_test_LDADD)
endif
# All that run needs, and no more.
tests/reach/programs: $(BUILT_SOURCES)
	$(MAKE) $(sbin_PROGRAMS) ctl/meshllm tests/tools/meshllm-demo-backend \
		tests/tools/without-vdso tests/sandbox/attestd_test \
		tests/sandbox/cryptod_test tests/reach/trace \
		tests/reach/report tests/reach/meshllm-cryptod \
		tests/reach/meshllm-attestd tests/reach/meshllm-gossipd \
		tests/reach/meshllm-proxyd tests/reach/porter_test \
		tests/reach/guard_test
.PHONY: tests/reach/programs
