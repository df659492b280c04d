# Unit tests of gossipd/.

if HAVE_CMOCKA
GOSSIP_TESTS = tests/unit/node_codec_test tests/unit/token_test \
	tests/unit/gossip_test tests/unit/gossip_news_test \
	tests/unit/gossip_life_test tests/unit/gossip_bounds_test \
	tests/unit/gossip_sim_test tests/unit/ownership_test \
	tests/unit/stall_test
check_PROGRAMS += $(GOSSIP_TESTS)
TESTS += $(GOSSIP_TESTS)
GOSSIP_TEST_CFLAGS = $(AM_CFLAGS) $(SODIUM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS) $(JANSSON_CFLAGS) $(CMOCKA_CFLAGS) \
	-DTEST_DATA='"$(abs_top_srcdir)/tests/data"'
GOSSIP_TEST_SUPPORT = tests/unit/gossip_support.c tests/unit/gossip_support.h
tests_unit_node_codec_test_SOURCES = tests/unit/node_codec_test.c \
	$(GOSSIP_TEST_SUPPORT)
tests_unit_node_codec_test_CFLAGS = $(GOSSIP_TEST_CFLAGS)
tests_unit_node_codec_test_LDADD = $(GOSSIP_LIBS) $(CMOCKA_LIBS)
tests_unit_ownership_test_SOURCES = tests/unit/ownership_test.c \
	$(GOSSIP_TEST_SUPPORT)
tests_unit_ownership_test_CFLAGS = $(GOSSIP_TEST_CFLAGS)
tests_unit_ownership_test_LDADD = $(GOSSIP_LIBS) $(CMOCKA_LIBS)
tests_unit_gossip_sim_test_SOURCES = tests/unit/gossip_sim_test.c \
	tests/unit/gossip_sim.c tests/unit/gossip_sim.h \
	$(GOSSIP_TEST_SUPPORT)
tests_unit_gossip_sim_test_CFLAGS = $(GOSSIP_TEST_CFLAGS)
tests_unit_gossip_sim_test_LDADD = $(GOSSIP_LIBS) $(CMOCKA_LIBS)
GOSSIP_PEERS = tests/unit/gossip_peers.c tests/unit/gossip_peers.h \
	$(GOSSIP_TEST_SUPPORT)
tests_unit_gossip_test_SOURCES = tests/unit/gossip_test.c \
	$(GOSSIP_PEERS)
tests_unit_gossip_test_CFLAGS = $(GOSSIP_TEST_CFLAGS)
tests_unit_gossip_test_LDADD = $(GOSSIP_LIBS) $(CMOCKA_LIBS)
tests_unit_gossip_news_test_SOURCES = tests/unit/gossip_news_test.c \
	$(GOSSIP_PEERS)
tests_unit_gossip_news_test_CFLAGS = $(GOSSIP_TEST_CFLAGS)
tests_unit_gossip_news_test_LDADD = $(GOSSIP_LIBS) $(CMOCKA_LIBS)
tests_unit_gossip_life_test_SOURCES = tests/unit/gossip_life_test.c \
	$(GOSSIP_PEERS)
tests_unit_gossip_life_test_CFLAGS = $(GOSSIP_TEST_CFLAGS)
tests_unit_gossip_life_test_LDADD = $(GOSSIP_LIBS) $(CMOCKA_LIBS)
tests_unit_gossip_bounds_test_SOURCES = tests/unit/gossip_bounds_test.c \
	$(GOSSIP_PEERS)
tests_unit_gossip_bounds_test_CFLAGS = $(GOSSIP_TEST_CFLAGS)
tests_unit_gossip_bounds_test_LDADD = $(GOSSIP_LIBS) $(CMOCKA_LIBS)
tests_unit_stall_test_SOURCES = tests/unit/stall_test.c
tests_unit_stall_test_CFLAGS = $(GOSSIP_TEST_CFLAGS)
tests_unit_stall_test_LDADD = $(GOSSIP_LIBS) $(CMOCKA_LIBS)
tests_unit_token_test_SOURCES = tests/unit/token_test.c \
	$(GOSSIP_TEST_SUPPORT)
tests_unit_token_test_CFLAGS = $(GOSSIP_TEST_CFLAGS)
tests_unit_token_test_LDADD = $(GOSSIP_LIBS) $(CMOCKA_LIBS)
endif
EXTRA_DIST += tests/data/e_gossip_frame.json tests/data/f_invite_token.json \
	tests/data/g_control_frames.json

# The QUIC transport.
if HAVE_CMOCKA
QUIC_TESTS = tests/unit/quic_handshake_test tests/unit/quic_path_test \
	tests/unit/quic_stream_test
check_PROGRAMS += $(QUIC_TESTS)
TESTS += $(QUIC_TESTS)
quic_test_cflags = $(AM_CFLAGS) $(gossipd_libquic_a_CFLAGS) $(CMOCKA_CFLAGS)
quic_test_libs = $(QUIC_LIBS) $(CMOCKA_LIBS)
tests_unit_quic_handshake_test_SOURCES = tests/unit/quic_handshake_test.c \
	tests/unit/quic_harness.c tests/unit/quic_harness.h
tests_unit_quic_handshake_test_CFLAGS = $(quic_test_cflags)
tests_unit_quic_handshake_test_LDADD = $(quic_test_libs)
tests_unit_quic_path_test_SOURCES = tests/unit/quic_path_test.c \
	tests/unit/quic_harness.c tests/unit/quic_harness.h
tests_unit_quic_path_test_CFLAGS = $(quic_test_cflags)
tests_unit_quic_path_test_LDADD = $(quic_test_libs)
tests_unit_quic_stream_test_SOURCES = tests/unit/quic_stream_test.c \
	tests/unit/quic_harness.c tests/unit/quic_harness.h
tests_unit_quic_stream_test_CFLAGS = $(quic_test_cflags)
tests_unit_quic_stream_test_LDADD = $(quic_test_libs)
endif

# The daemon around them.
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/gossipd_rules_test
TESTS += tests/unit/gossipd_rules_test
tests_unit_gossipd_rules_test_SOURCES = tests/unit/gossipd_rules_test.c
tests_unit_gossipd_rules_test_CFLAGS = $(GOSSIPD_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_gossipd_rules_test_LDADD = tests/unit/librulescheck.a \
	$(GOSSIPD_LIBS) $(CMOCKA_LIBS)
endif
