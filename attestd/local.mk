# What this folder adds to the build.

# Stubs for those who ask attestd something: proxyd and gossipd.
noinst_LIBRARIES += attestd/libattestd_client.a
attestd_libattestd_client_a_SOURCES = attestd/client.c attestd/client.h
attestd_libattestd_client_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS)

ATTESTD_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(PROTOBUF_C_CFLAGS) \
	$(SECCOMP_CFLAGS)
noinst_LIBRARIES += attestd/libattestd.a
attestd_libattestd_a_SOURCES = \
	attestd/attestd.c attestd/attestd.h \
	attestd/handle_control.c attestd/handle_evidence.c \
	attestd/handle_verdict.c \
	attestd/roles.c attestd/rules.c attestd/sandbox.c
attestd_libattestd_a_CFLAGS = $(ATTESTD_CFLAGS)

sbin_PROGRAMS += meshllm-attestd
meshllm_attestd_SOURCES = attestd/main.c
meshllm_attestd_CFLAGS = $(ATTESTD_CFLAGS)
meshllm_attestd_LDADD = attestd/libattestd.a cryptod/libcryptod_client.a \
	$(COMMON_LIBS)
