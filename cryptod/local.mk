# What this folder adds to the build.

# Stubs for those who ask cryptod something: proxyd, gossipd, the signer.
noinst_LIBRARIES += cryptod/libcryptod_client.a
cryptod_libcryptod_client_a_SOURCES = cryptod/client.c cryptod/client.h
cryptod_libcryptod_client_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS)

CRYPTOD_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS) $(SECCOMP_CFLAGS)
noinst_LIBRARIES += cryptod/libcryptod.a
cryptod_libcryptod_a_SOURCES = \
	cryptod/cryptod.c cryptod/cryptod.h \
	cryptod/derive.c cryptod/derive.h \
	cryptod/ephemeral.c cryptod/ephemeral.h \
	cryptod/handle_control.c cryptod/handle_identity.c \
	cryptod/handle_liveness.c cryptod/handle_request.c \
	cryptod/identity.c cryptod/identity.h \
	cryptod/inference.c cryptod/inference.h \
	cryptod/replay.c cryptod/replay.h \
	cryptod/rules.c cryptod/sandbox.c \
	cryptod/state.c cryptod/state.h
cryptod_libcryptod_a_CFLAGS = $(CRYPTOD_CFLAGS)

sbin_PROGRAMS += meshllm-cryptod
meshllm_cryptod_SOURCES = cryptod/main.c
meshllm_cryptod_CFLAGS = $(CRYPTOD_CFLAGS)
meshllm_cryptod_LDADD = cryptod/libcryptod.a $(COMMON_LIBS)
