# The benchmark; run it with tests/bench/run after make.
noinst_PROGRAMS += tests/bench/meshllm-load tests/bench/meshllm-floor
tests_bench_meshllm_load_SOURCES = \
	tests/bench/load.c tests/bench/load.h \
	tests/bench/load_answer.c tests/bench/load_client.c \
	tests/bench/load_report.c tests/bench/load_request.c \
	tests/tools/tool.c tests/tools/tool.h
tests_bench_meshllm_load_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS)
tests_bench_meshllm_load_LDADD = $(EVENT_LIBS)
tests_bench_meshllm_floor_SOURCES = tests/bench/floor.c \
	tests/tools/tool.c tests/tools/tool.h
tests_bench_meshllm_floor_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) \
	$(CRYPTO_CFLAGS)
tests_bench_meshllm_floor_LDADD = $(PROXYPARSE_LIBS) $(SODIUM_LIBS)
noinst_PROGRAMS += tests/bench/meshllm-chain
tests_bench_meshllm_chain_SOURCES = \
	tests/bench/chain.c tests/bench/chain.h \
	tests/bench/chain_crypto.c tests/bench/chain_gossip.c \
	tests/bench/chain_mail.c tests/bench/chain_proxy.c \
	tests/tools/tool.c tests/tools/tool.h
tests_bench_meshllm_chain_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) \
	$(EVENT_CFLAGS)
tests_bench_meshllm_chain_LDADD = $(SODIUM_LIBS)
noinst_PROGRAMS += tests/bench/meshllm-verdict
tests_bench_meshllm_verdict_SOURCES = tests/bench/verdict.c \
	tests/tools/tool.c tests/tools/tool.h
tests_bench_meshllm_verdict_CFLAGS = $(EVIDENCE_CFLAGS) \
	-DBENCH_DATA='"$(abs_top_srcdir)/tests"'
tests_bench_meshllm_verdict_LDADD = $(EVIDENCE_LIBS)
noinst_PROGRAMS += tests/bench/meshllm-handshakes
tests_bench_meshllm_handshakes_SOURCES = tests/bench/handshakes.c \
	tests/tools/tool.c tests/tools/tool.h
tests_bench_meshllm_handshakes_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) \
	$(EVENT_CFLAGS)
tests_bench_meshllm_handshakes_LDADD = $(QUIC_LIBS) common/libcommon.a \
	$(COMMON_LIBS)
EXTRA_DIST += tests/bench/run tests/bench/cost tests/bench/bare.h
dist_check_SCRIPTS += tests/bench/chain_test
TESTS += tests/bench/chain_test
