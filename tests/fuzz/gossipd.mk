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
