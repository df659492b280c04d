# Programs that the demo, the system tests and the benchmark need.
noinst_PROGRAMS += tests/tools/meshllm-demo-backend
tests_tools_meshllm_demo_backend_SOURCES = \
	tests/tools/ask.c tests/tools/ask.h \
	tests/tools/backend.c tests/tools/backend.h \
	tests/tools/backend_answer.c tests/tools/backend_conn.c \
	tests/tools/backend_head.c tests/tools/backend_reply.c \
	tests/tools/backend_stats.c \
	tests/tools/tool.c tests/tools/tool.h
tests_tools_meshllm_demo_backend_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS)
tests_tools_meshllm_demo_backend_LDADD = $(EVENT_LIBS)
EXTRA_DIST += tests/tools/README.md tests/tools/valgrind-daemons
dist_check_SCRIPTS += tests/tools/backend_test
TESTS += tests/tools/backend_test
# What the search for secrets needs.
noinst_PROGRAMS += tests/tools/meshllm-memory-search \
	tests/tools/without-memfd-secret tests/tools/without-vdso
tests_tools_without_vdso_SOURCES = tests/tools/without_vdso.c \
	tests/tools/vdso.c tests/tools/vdso.h
tests_tools_meshllm_memory_search_SOURCES = tests/tools/memory_search.c
tests_tools_meshllm_memory_search_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS)
tests_tools_meshllm_memory_search_LDADD = $(SODIUM_LIBS)
tests_tools_without_memfd_secret_SOURCES = \
	tests/tools/without_memfd_secret.c
tests_tools_without_memfd_secret_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS)
tests_tools_without_memfd_secret_LDADD = $(SECCOMP_LIBS)
