# The daemons with other malloc settings: see tunables.c.
check_PROGRAMS += tests/malloc/meshllm-cryptod tests/malloc/meshllm-attestd \
	tests/malloc/meshllm-gossipd tests/malloc/meshllm-proxyd
tests_malloc_meshllm_cryptod_SOURCES = cryptod/main.c tests/malloc/tunables.c
tests_malloc_meshllm_cryptod_CFLAGS = $(meshllm_cryptod_CFLAGS)
tests_malloc_meshllm_cryptod_LDADD = $(meshllm_cryptod_LDADD)
tests_malloc_meshllm_attestd_SOURCES = attestd/main.c tests/malloc/tunables.c
tests_malloc_meshllm_attestd_CFLAGS = $(meshllm_attestd_CFLAGS)
tests_malloc_meshllm_attestd_LDADD = $(meshllm_attestd_LDADD)
tests_malloc_meshllm_gossipd_SOURCES = gossipd/main.c tests/malloc/tunables.c
tests_malloc_meshllm_gossipd_CFLAGS = $(meshllm_gossipd_CFLAGS)
tests_malloc_meshllm_gossipd_LDADD = $(meshllm_gossipd_LDADD)
tests_malloc_meshllm_proxyd_SOURCES = proxyd/main.c tests/malloc/tunables.c
tests_malloc_meshllm_proxyd_CFLAGS = $(meshllm_proxyd_CFLAGS)
tests_malloc_meshllm_proxyd_LDADD = $(meshllm_proxyd_LDADD)
