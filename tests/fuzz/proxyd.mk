# Fuzz targets of proxyd/.

FUZZ_TARGETS += tests/fuzz/usage_fuzz
tests_fuzz_usage_fuzz_LDADD = $(PROXYPARSE_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/usage

FUZZ_TARGETS += tests/fuzz/b64_fuzz
tests_fuzz_b64_fuzz_LDADD = $(PROXYPARSE_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/b64

FUZZ_TARGETS += tests/fuzz/http_request_fuzz
tests_fuzz_http_request_fuzz_SOURCES = tests/fuzz/http_request_fuzz.c \
	tests/unit/http_transcript.c tests/unit/http_transcript.h
tests_fuzz_http_request_fuzz_LDADD = $(PROXYPARSE_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/http_request

FUZZ_TARGETS += tests/fuzz/http_response_fuzz
tests_fuzz_http_response_fuzz_SOURCES = tests/fuzz/http_response_fuzz.c \
	tests/unit/http_transcript.c tests/unit/http_transcript.h
tests_fuzz_http_response_fuzz_LDADD = $(PROXYPARSE_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/http_response

FUZZ_TARGETS += tests/fuzz/json_scan_fuzz
tests_fuzz_json_scan_fuzz_LDADD = $(PROXYPARSE_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/json_scan

FUZZ_TARGETS += tests/fuzz/envelope_fuzz
tests_fuzz_envelope_fuzz_LDADD = $(PROXYPARSE_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/envelope

FUZZ_TARGETS += tests/fuzz/answer_fuzz
tests_fuzz_answer_fuzz_LDADD = $(PROXYPARSE_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/answer

FUZZ_TARGETS += tests/fuzz/sse_fuzz
tests_fuzz_sse_fuzz_LDADD = $(PROXYPARSE_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/sse

FUZZ_TARGETS += tests/fuzz/responses_fuzz
tests_fuzz_responses_fuzz_LDADD = $(PROXYPARSE_LIBS) $(FUZZ_LIBS) \
	$(JANSSON_LIBS)
EXTRA_DIST += tests/fuzz/corpus/responses

FUZZ_TARGETS += tests/fuzz/json_hints_fuzz
tests_fuzz_json_hints_fuzz_LDADD = $(PROXYPARSE_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/json_hints

FUZZ_TARGETS += tests/fuzz/multipart_fuzz
tests_fuzz_multipart_fuzz_LDADD = $(PROXYPARSE_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/multipart

FUZZ_TARGETS += tests/fuzz/backend_spec_fuzz
tests_fuzz_backend_spec_fuzz_LDADD = $(PROXYPARSE_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/backend_spec

FUZZ_TARGETS += tests/fuzz/gate_fuzz
tests_fuzz_gate_fuzz_CFLAGS = $(AM_CFLAGS) $(PROXYD_CFLAGS)
tests_fuzz_gate_fuzz_LDADD = $(PROXYD_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/gate
