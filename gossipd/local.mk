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
	gossipd/ownership.c gossipd/ownership.h \
	gossipd/stall.c gossipd/stall.h \
	gossipd/token.c gossipd/token.h
gossipd_libgossip_a_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS) $(JANSSON_CFLAGS)
GOSSIP_LIBS = gossipd/libgossip.a common/libcommon.a proto/libproto.a \
	$(SODIUM_LIBS) $(PROTOBUF_C_LIBS) $(JANSSON_LIBS)

# The transport alone, so that programs can link it without the daemon.
noinst_LIBRARIES += gossipd/libquic.a
gossipd_libquic_a_SOURCES = \
	gossipd/quic.h gossipd/quic_internal.h \
	gossipd/quic_buffer.c \
	gossipd/quic_callbacks.c \
	gossipd/quic_conn.c \
	gossipd/quic_endpoint.c \
	gossipd/quic_link.c \
	gossipd/quic_pace.c \
	gossipd/quic_route.c \
	gossipd/quic_stream.c \
	gossipd/quic_tls.c \
	gossipd/quic_udp.c \
	gossipd/quic_write.c
gossipd_libquic_a_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) $(EVENT_CFLAGS) \
	$(GNUTLS_CFLAGS) $(NGTCP2_CFLAGS) $(NGTCP2_GNUTLS_CFLAGS)
QUIC_LIBS = gossipd/libquic.a $(NGTCP2_GNUTLS_LIBS) $(NGTCP2_LIBS) \
	$(GNUTLS_LIBS) $(EVENT_LIBS) $(SODIUM_LIBS)

sbin_PROGRAMS += meshllm-gossipd
noinst_LIBRARIES += gossipd/libgossipd.a
GOSSIPD_CFLAGS = $(JANSSON_CFLAGS) $(AM_CFLAGS) $(EVENT_CFLAGS) $(PROTOBUF_C_CFLAGS) \
	$(SODIUM_CFLAGS)
gossipd_libgossipd_a_SOURCES = gossipd/gossipd.h gossipd/channels.c \
	gossipd/gossipd.c \
	gossipd/control.c gossipd/evidence.c gossipd/handle_node.c \
	gossipd/mesh.c \
	gossipd/publish.c gossipd/rules.c gossipd/sandbox.c gossipd/state.c gossipd/tunnel.c
gossipd_libgossipd_a_CFLAGS = $(GOSSIPD_CFLAGS)
meshllm_gossipd_SOURCES = gossipd/main.c
meshllm_gossipd_CFLAGS = $(GOSSIPD_CFLAGS)
meshllm_gossipd_LDADD = $(GOSSIPD_LIBS)
GOSSIPD_LIBS = gossipd/libgossipd.a attestd/libattestd_client.a \
	gossipd/libgossip.a \
	gossipd/libquic.a cryptod/libcryptod_client.a proxyd/libproxydclient.a \
	$(COMMON_LIBS) $(NGTCP2_GNUTLS_LIBS) $(NGTCP2_LIBS) $(GNUTLS_LIBS) \
	$(JANSSON_LIBS)
