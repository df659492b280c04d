# Fuzz targets of gossipd/.

# The QUIC transport.
FUZZ_TARGETS += tests/fuzz/quic_packet_fuzz
tests_fuzz_quic_packet_fuzz_CFLAGS = $(AM_CFLAGS) $(gossipd_libquic_a_CFLAGS)
tests_fuzz_quic_packet_fuzz_LDADD = $(QUIC_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/quic_packet

# The gossip core and its codecs.
FUZZ_TARGETS += tests/fuzz/gossip_frame_fuzz
tests_fuzz_gossip_frame_fuzz_CFLAGS = $(AM_CFLAGS) $(gossipd_libgossip_a_CFLAGS)
tests_fuzz_gossip_frame_fuzz_LDADD = $(GOSSIP_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/gossip_frame

FUZZ_TARGETS += tests/fuzz/token_fuzz
tests_fuzz_token_fuzz_CFLAGS = $(AM_CFLAGS) $(gossipd_libgossip_a_CFLAGS)
tests_fuzz_token_fuzz_LDADD = $(GOSSIP_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/token

FUZZ_TARGETS += tests/fuzz/addr_json_fuzz
tests_fuzz_addr_json_fuzz_CFLAGS = $(AM_CFLAGS) $(gossipd_libgossip_a_CFLAGS)
tests_fuzz_addr_json_fuzz_LDADD = $(GOSSIP_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/addr_json

# The daemon: its rule table, and its streams over a stub of the transport.
FUZZ_GOSSIPD = tests/fuzz/fuzz_gossipd.c tests/fuzz/fuzz_gossipd.h
FUZZ_TARGETS += tests/fuzz/gossipd_ipc_fuzz
tests_fuzz_gossipd_ipc_fuzz_SOURCES = tests/fuzz/gossipd_ipc_fuzz.c \
	$(FUZZ_GOSSIPD) tests/fuzz/fuzz_peer.c tests/fuzz/fuzz_peer.h
tests_fuzz_gossipd_ipc_fuzz_CFLAGS = $(GOSSIPD_CFLAGS)
tests_fuzz_gossipd_ipc_fuzz_LDADD = $(GOSSIPD_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/gossipd_ipc

FUZZ_TARGETS += tests/fuzz/control_fuzz
tests_fuzz_control_fuzz_SOURCES = tests/fuzz/control_fuzz.c \
	$(FUZZ_GOSSIPD) tests/fuzz/quic_stub.c tests/fuzz/quic_stub.h
tests_fuzz_control_fuzz_CFLAGS = $(GOSSIPD_CFLAGS)
tests_fuzz_control_fuzz_LDADD = gossipd/libgossipd.a \
	attestd/libattestd_client.a gossipd/libgossip.a \
	cryptod/libcryptod_client.a proxyd/libproxydclient.a $(FUZZ_LIBS) \
	$(JANSSON_LIBS)
EXTRA_DIST += tests/fuzz/corpus/control

FUZZ_TARGETS += tests/fuzz/evidence_stream_fuzz
tests_fuzz_evidence_stream_fuzz_SOURCES = tests/fuzz/evidence_stream_fuzz.c \
	$(FUZZ_GOSSIPD) tests/fuzz/fuzz_peer.c tests/fuzz/fuzz_peer.h \
	tests/fuzz/quic_stub.c tests/fuzz/quic_stub.h
tests_fuzz_evidence_stream_fuzz_CFLAGS = $(GOSSIPD_CFLAGS)
tests_fuzz_evidence_stream_fuzz_LDADD = $(tests_fuzz_control_fuzz_LDADD)
EXTRA_DIST += tests/fuzz/corpus/evidence_stream
