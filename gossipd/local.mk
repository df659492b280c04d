# What this folder adds to the build.

# Stubs for those who ask gossipd something: proxyd.
noinst_LIBRARIES += gossipd/libgossipd_client.a
gossipd_libgossipd_client_a_SOURCES = gossipd/client.c gossipd/client.h
gossipd_libgossipd_client_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS)
