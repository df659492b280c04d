# What this folder adds to the build.

# Stubs for those who tell proxyd something: gossipd and the parent.
noinst_LIBRARIES += proxyd/libproxydclient.a
proxyd_libproxydclient_a_SOURCES = proxyd/client.c proxyd/client.h
proxyd_libproxydclient_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS)
