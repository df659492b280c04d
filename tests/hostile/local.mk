# A signer that lies: see hostile.c.
check_PROGRAMS += tests/hostile/meshllm-attestd
tests_hostile_meshllm_attestd_SOURCES = attestd/main.c tests/hostile/hostile.c
tests_hostile_meshllm_attestd_CFLAGS = $(meshllm_attestd_CFLAGS) $(TSS2_CFLAGS)
tests_hostile_meshllm_attestd_LDADD = $(meshllm_attestd_LDADD)
tests_hostile_meshllm_attestd_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=evidence_make -Wl,--wrap=evidence_waiter_hash \
	-Wl,--wrap=cryptod_liveness_send
