# Each fuzz target is a libFuzzer program with --enable-fuzzers; otherwise the
# same function is linked with replay.c and run over its corpus by make check.
#
# To add one, in the component's fragment (NAME.c is found by its name, the
# corpus is every file in tests/fuzz/corpus/NAME):
#
#	FUZZ_TARGETS += tests/fuzz/NAME_fuzz
#	tests_fuzz_NAME_fuzz_LDADD = its/library.a $(FUZZ_LIBS)
#	EXTRA_DIST += tests/fuzz/corpus/NAME
#
# With --enable-fuzzers: make fuzz FUZZ_SECONDS=60 runs all, one by one.
FUZZ_TARGETS =
check_PROGRAMS += $(FUZZ_TARGETS)
EXTRA_DIST += tests/fuzz/fuzz.h
FUZZ_SECONDS = 60

if FUZZERS
AM_CFLAGS += -fsanitize=fuzzer-no-link
FUZZ_LIBS = @FUZZ_ENGINE@ $(COMMON_LIBS)
EXTRA_DIST += tests/fuzz/replay.c
else
TESTS += $(FUZZ_TARGETS)
check_LIBRARIES += tests/fuzz/libreplay.a
tests_fuzz_libreplay_a_SOURCES = tests/fuzz/replay.c
FUZZ_LIBS = tests/fuzz/libreplay.a $(COMMON_LIBS)
endif

# As `all` does it: first what others include.
fuzz: $(BUILT_SOURCES)
	@$(MAKE) $(AM_MAKEFLAGS) $(FUZZ_TARGETS)
	@set -e; for t in $(FUZZ_TARGETS); do \
	name=$$(basename $$t _fuzz); mkdir -p fuzz-found/$$name; \
	echo "$$name: $(FUZZ_SECONDS) s"; \
	./$$t -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
	-artifact_prefix=fuzz-found/$$name- -print_final_stats=1 \
	fuzz-found/$$name $(srcdir)/tests/fuzz/corpus/$$name \
	>fuzz-found/$$name.log 2>&1 || { tail -30 fuzz-found/$$name.log; \
	exit 1; }; tail -5 fuzz-found/$$name.log; done
.PHONY: fuzz

include tests/fuzz/common.mk
include tests/fuzz/attestd.mk
include tests/fuzz/cryptod.mk
include tests/fuzz/gossipd.mk
include tests/fuzz/proxyd.mk
include tests/fuzz/ctl.mk
