# Unit tests of proxyd/.
EXTRA_DIST += tests/data/a_request_envelope.json \
	tests/data/b_response_stream.json

if HAVE_CMOCKA
PROXYPARSE_TESTS = tests/unit/box_test \
	tests/unit/usage_test tests/unit/http_body_test tests/unit/http_head_test \
	tests/unit/json_scan_test tests/unit/proxyparse_test \
	tests/unit/multipart_test tests/unit/responses_test \
	tests/unit/sealed_answer_test tests/unit/sealed_early_test \
	tests/unit/sealed_request_test
check_PROGRAMS += $(PROXYPARSE_TESTS)
TESTS += $(PROXYPARSE_TESTS)
PROXYPARSE_TEST_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS) \
	$(SODIUM_CFLAGS) -DTEST_DATA='"$(abs_top_srcdir)/tests/data"'
PROXYPARSE_TEST_LIBS = $(PROXYPARSE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS) \
	$(JANSSON_LIBS)

tests_unit_box_test_SOURCES = tests/unit/box_test.c
tests_unit_box_test_CFLAGS = $(PROXYPARSE_TEST_CFLAGS)
tests_unit_box_test_LDADD = $(PROXYPARSE_TEST_LIBS)
tests_unit_usage_test_SOURCES = tests/unit/usage_test.c
tests_unit_usage_test_CFLAGS = $(PROXYPARSE_TEST_CFLAGS)
tests_unit_usage_test_LDADD = $(PROXYPARSE_TEST_LIBS)
tests_unit_http_body_test_SOURCES = tests/unit/http_body_test.c
tests_unit_http_body_test_CFLAGS = $(PROXYPARSE_TEST_CFLAGS)
tests_unit_http_body_test_LDADD = $(PROXYPARSE_TEST_LIBS)
tests_unit_http_head_test_SOURCES = tests/unit/http_head_test.c \
	tests/unit/http_transcript.c tests/unit/http_transcript.h
tests_unit_http_head_test_CFLAGS = $(PROXYPARSE_TEST_CFLAGS)
tests_unit_http_head_test_LDADD = $(PROXYPARSE_TEST_LIBS)
tests_unit_json_scan_test_SOURCES = tests/unit/json_scan_test.c
tests_unit_json_scan_test_CFLAGS = $(PROXYPARSE_TEST_CFLAGS)
tests_unit_json_scan_test_LDADD = $(PROXYPARSE_TEST_LIBS)
tests_unit_proxyparse_test_SOURCES = tests/unit/proxyparse_test.c
tests_unit_proxyparse_test_CFLAGS = $(PROXYPARSE_TEST_CFLAGS)
tests_unit_proxyparse_test_LDADD = $(PROXYPARSE_TEST_LIBS)
tests_unit_multipart_test_SOURCES = tests/unit/multipart_test.c
tests_unit_multipart_test_CFLAGS = $(PROXYPARSE_TEST_CFLAGS)
tests_unit_multipart_test_LDADD = $(PROXYPARSE_TEST_LIBS)
tests_unit_responses_test_SOURCES = tests/unit/responses_test.c
tests_unit_responses_test_CFLAGS = $(PROXYPARSE_TEST_CFLAGS)
tests_unit_responses_test_LDADD = $(PROXYPARSE_TEST_LIBS)
tests_unit_sealed_answer_test_SOURCES = tests/unit/sealed_answer_test.c \
	tests/unit/sealed_vectors.c tests/unit/sealed_vectors.h
tests_unit_sealed_answer_test_CFLAGS = $(PROXYPARSE_TEST_CFLAGS)
tests_unit_sealed_answer_test_LDADD = $(PROXYPARSE_TEST_LIBS)
tests_unit_sealed_early_test_SOURCES = tests/unit/sealed_early_test.c \
	tests/unit/sealed_vectors.c tests/unit/sealed_vectors.h
tests_unit_sealed_early_test_CFLAGS = $(PROXYPARSE_TEST_CFLAGS)
tests_unit_sealed_early_test_LDADD = $(PROXYPARSE_TEST_LIBS)
tests_unit_sealed_request_test_SOURCES = tests/unit/sealed_request_test.c \
	tests/unit/sealed_vectors.c tests/unit/sealed_vectors.h
tests_unit_sealed_request_test_CFLAGS = $(PROXYPARSE_TEST_CFLAGS)
tests_unit_sealed_request_test_LDADD = $(PROXYPARSE_TEST_LIBS)

# The daemon's own parts.
PROXYD_TESTS = tests/unit/proxyd_choice_test tests/unit/proxyd_access_test tests/unit/proxyd_peers_test tests/unit/proxyd_route_test \
	tests/unit/proxyd_load_test tests/unit/proxyd_rules_test \
	tests/unit/proxyd_seats_test
check_PROGRAMS += $(PROXYD_TESTS)
TESTS += $(PROXYD_TESTS)
PROXYD_TEST_CFLAGS = $(AM_CFLAGS) $(PROXYD_CFLAGS) $(CMOCKA_CFLAGS)
PROXYD_TEST_LIBS = $(PROXYD_LIBS) $(CMOCKA_LIBS)

tests_unit_proxyd_access_test_SOURCES = tests/unit/proxyd_access_test.c
tests_unit_proxyd_access_test_CFLAGS = $(PROXYD_TEST_CFLAGS)
tests_unit_proxyd_access_test_LDADD = $(PROXYD_TEST_LIBS)
tests_unit_proxyd_choice_test_SOURCES = tests/unit/proxyd_choice_test.c
tests_unit_proxyd_choice_test_CFLAGS = $(PROXYD_TEST_CFLAGS)
tests_unit_proxyd_choice_test_LDADD = $(PROXYD_TEST_LIBS)
tests_unit_proxyd_load_test_SOURCES = tests/unit/proxyd_load_test.c
tests_unit_proxyd_load_test_CFLAGS = $(PROXYD_TEST_CFLAGS)
tests_unit_proxyd_load_test_LDADD = $(PROXYD_TEST_LIBS)
tests_unit_proxyd_peers_test_SOURCES = tests/unit/proxyd_peers_test.c
tests_unit_proxyd_peers_test_CFLAGS = $(PROXYD_TEST_CFLAGS)
tests_unit_proxyd_peers_test_LDADD = $(PROXYD_TEST_LIBS)
tests_unit_proxyd_route_test_SOURCES = tests/unit/proxyd_route_test.c
tests_unit_proxyd_route_test_CFLAGS = $(PROXYD_TEST_CFLAGS)
tests_unit_proxyd_route_test_LDADD = $(PROXYD_TEST_LIBS)
tests_unit_proxyd_seats_test_SOURCES = tests/unit/proxyd_seats_test.c
tests_unit_proxyd_seats_test_CFLAGS = $(PROXYD_TEST_CFLAGS)
tests_unit_proxyd_seats_test_LDADD = $(PROXYD_TEST_LIBS)
tests_unit_proxyd_rules_test_SOURCES = tests/unit/proxyd_rules_test.c
tests_unit_proxyd_rules_test_CFLAGS = $(PROXYD_TEST_CFLAGS)
tests_unit_proxyd_rules_test_LDADD = tests/unit/librulescheck.a \
	$(PROXYD_TEST_LIBS)

# The real daemon, its siblings played by the test.
PROXYD_RIG = tests/unit/proxyd_rig.c tests/unit/proxyd_rig.h \
	tests/unit/proxyd_rig_talk.c
PROXYD_RIG_TESTS = tests/unit/proxyd_opener_test tests/unit/proxyd_hosts_test \
	tests/unit/proxyd_host_test tests/unit/proxyd_host_gone_test \
	tests/unit/proxyd_evidence_test
check_PROGRAMS += $(PROXYD_RIG_TESTS)
TESTS += $(PROXYD_RIG_TESTS)
PROXYD_RIG_CFLAGS = $(PROXYD_TEST_CFLAGS) \
	-DPROXYD_PROGRAM='"$(abs_builddir)/meshllm-proxyd"' \
	-DBACKEND_PROGRAM='"$(abs_builddir)/tests/tools/meshllm-demo-backend"'
PROXYD_RIG_LIBS = proxyd/libproxydclient.a $(PROXYD_TEST_LIBS)

PROXYD_TALK = tests/unit/proxyd_talk.c tests/unit/proxyd_talk.h $(PROXYD_RIG)
tests_unit_proxyd_hosts_test_SOURCES = tests/unit/proxyd_hosts_test.c \
	$(PROXYD_TALK)
tests_unit_proxyd_hosts_test_CFLAGS = $(PROXYD_RIG_CFLAGS)
tests_unit_proxyd_hosts_test_LDADD = $(PROXYD_RIG_LIBS)
tests_unit_proxyd_opener_test_SOURCES = tests/unit/proxyd_opener_test.c \
	$(PROXYD_TALK)
tests_unit_proxyd_opener_test_CFLAGS = $(PROXYD_RIG_CFLAGS)
tests_unit_proxyd_opener_test_LDADD = $(PROXYD_RIG_LIBS)
tests_unit_proxyd_evidence_test_SOURCES = tests/unit/proxyd_evidence_test.c \
	$(PROXYD_RIG)
tests_unit_proxyd_evidence_test_CFLAGS = $(PROXYD_RIG_CFLAGS)
tests_unit_proxyd_evidence_test_LDADD = $(PROXYD_RIG_LIBS)
PROXYD_HOST_RIG = tests/unit/proxyd_host_rig.c tests/unit/proxyd_host_rig.h \
	$(PROXYD_RIG)
tests_unit_proxyd_host_gone_test_SOURCES = tests/unit/proxyd_host_gone_test.c \
	$(PROXYD_HOST_RIG)
tests_unit_proxyd_host_gone_test_CFLAGS = $(PROXYD_RIG_CFLAGS)
tests_unit_proxyd_host_gone_test_LDADD = $(PROXYD_RIG_LIBS)
tests_unit_proxyd_host_test_SOURCES = tests/unit/proxyd_host_test.c \
	$(PROXYD_HOST_RIG)
tests_unit_proxyd_host_test_CFLAGS = $(PROXYD_RIG_CFLAGS)
tests_unit_proxyd_host_test_LDADD = $(PROXYD_RIG_LIBS)

check_PROGRAMS += tests/takeover/gossipd_test
TESTS += tests/takeover/gossipd_test
tests_takeover_gossipd_test_SOURCES = tests/takeover/gossipd_test.c \
	$(PROXYD_RIG)
tests_takeover_gossipd_test_CFLAGS = $(PROXYD_RIG_CFLAGS)
tests_takeover_gossipd_test_LDADD = $(PROXYD_RIG_LIBS)
endif
