# What this folder adds to the build.

# Stubs for those who ask attestd something: proxyd and gossipd.
noinst_LIBRARIES += attestd/libattestd_client.a
attestd_libattestd_client_a_SOURCES = attestd/client.c attestd/client.h
attestd_libattestd_client_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS)
