# What this folder adds to the build.

# Stubs for those who ask cryptod something: proxyd, gossipd, the signer.
noinst_LIBRARIES += cryptod/libcryptod_client.a
cryptod_libcryptod_client_a_SOURCES = cryptod/client.c cryptod/client.h
cryptod_libcryptod_client_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS)
