# Fuzz targets of gossipd/.

# The QUIC transport.
FUZZ_TARGETS += tests/fuzz/quic_packet_fuzz
tests_fuzz_quic_packet_fuzz_CFLAGS = $(AM_CFLAGS) $(gossipd_libquic_a_CFLAGS)
tests_fuzz_quic_packet_fuzz_LDADD = $(QUIC_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/quic_packet
