# Each fuzz target is a libFuzzer program with --enable-fuzzers; always, the
# same function is linked with replay.c and run over its corpus by make check.
include tests/fuzz/common.mk
include tests/fuzz/cryptod.mk
include tests/fuzz/gossipd.mk
include tests/fuzz/proxyd.mk
