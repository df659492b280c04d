# What this folder adds to the build.

# Stubs for those who ask gossipd something: proxyd.
noinst_LIBRARIES += gossipd/libgossipd_client.a
gossipd_libgossipd_client_a_SOURCES = gossipd/client.c gossipd/client.h
gossipd_libgossipd_client_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS)
# The gossip core and its codecs: no socket, no clock, no libquic.
noinst_LIBRARIES += gossipd/libgossip.a
gossipd_libgossip_a_SOURCES = \
	gossipd/addr_json.c gossipd/addr_json.h \
	gossipd/gossip.c gossipd/gossip.h gossipd/gossip_impl.h \
	gossipd/gossip_action.c gossipd/gossip_down.c \
	gossipd/gossip_fields.c gossipd/gossip_job.c gossipd/gossip_merge.c \
	gossipd/gossip_schedule.c gossipd/gossip_table.c \
	gossipd/gossip_view.c \
	gossipd/node_codec.c gossipd/node_codec.h gossipd/node_notice.c \
	gossipd/token.c gossipd/token.h
gossipd_libgossip_a_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS) $(JANSSON_CFLAGS)
GOSSIP_LIBS = gossipd/libgossip.a common/libcommon.a proto/libproto.a \
	$(SODIUM_LIBS) $(PROTOBUF_C_LIBS) $(JANSSON_LIBS)
