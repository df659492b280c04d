# Unit tests of attestd/, and the real program under its filters.

EXTRA_DIST += tests/data/c_attestation.json tests/data/d_challenge.json \
	tests/data/swtpm

if HAVE_CMOCKA
EVIDENCE_TESTS = tests/unit/attester_test tests/unit/blob_test \
	tests/unit/chain_file_test tests/unit/credential_test \
	tests/unit/ctl_trust_test tests/unit/ek_chain_test \
	tests/unit/evidence_test tests/unit/examine_test \
	tests/unit/held_test tests/unit/p256_test \
	tests/unit/tpm_test tests/unit/tpm_vendors_test \
	tests/unit/trust_test
check_PROGRAMS += $(EVIDENCE_TESTS)
TESTS += $(EVIDENCE_TESTS)
EVIDENCE_TEST_CFLAGS = $(EVIDENCE_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS) \
	-DTEST_DATA='"$(abs_top_srcdir)/tests/data"' \
	-DTEST_SHARED='"$(abs_top_srcdir)/../shared"'
EVIDENCE_TEST_LIBS = $(EVIDENCE_LIBS) $(CMOCKA_LIBS) $(JANSSON_LIBS)

SWTPM = tests/unit/swtpm.c tests/unit/swtpm.h \
	tests/unit/folder.c tests/unit/folder.h
tests_unit_attester_test_SOURCES = tests/unit/attester_test.c $(SWTPM)
tests_unit_attester_test_CFLAGS = $(EVIDENCE_TEST_CFLAGS) $(TSS2_CFLAGS) \
	$(EVENT_CFLAGS) $(PROTOBUF_C_CFLAGS)
tests_unit_attester_test_LDADD = $(ATTESTER_LIBS) $(CMOCKA_LIBS)
tests_unit_blob_test_SOURCES = tests/unit/blob_test.c
tests_unit_blob_test_CFLAGS = $(EVIDENCE_TEST_CFLAGS)
tests_unit_blob_test_LDADD = $(EVIDENCE_TEST_LIBS)
tests_unit_chain_file_test_SOURCES = tests/unit/chain_file_test.c
tests_unit_chain_file_test_CFLAGS = $(EVIDENCE_TEST_CFLAGS)
tests_unit_chain_file_test_LDADD = $(EVIDENCE_TEST_LIBS)
TPM_HOST = tests/unit/tpm_host.c tests/unit/tpm_host.h $(SWTPM)
tests_unit_examine_test_SOURCES = tests/unit/examine_test.c $(TPM_HOST)
tests_unit_examine_test_CFLAGS = $(EVIDENCE_TEST_CFLAGS) $(TSS2_CFLAGS) \
	$(EVENT_CFLAGS) $(PROTOBUF_C_CFLAGS)
tests_unit_examine_test_LDADD = $(ATTESTER_LIBS) $(CMOCKA_LIBS) \
	$(JANSSON_LIBS)
tests_unit_held_test_SOURCES = tests/unit/held_test.c $(TPM_HOST)
tests_unit_held_test_CFLAGS = $(EVIDENCE_TEST_CFLAGS) $(TSS2_CFLAGS) \
	$(EVENT_CFLAGS) $(PROTOBUF_C_CFLAGS)
tests_unit_held_test_LDADD = $(ATTESTER_LIBS) $(CMOCKA_LIBS)
tests_unit_evidence_test_SOURCES = tests/unit/evidence_test.c $(TPM_HOST)
tests_unit_evidence_test_CFLAGS = $(EVIDENCE_TEST_CFLAGS) $(TSS2_CFLAGS) \
	$(EVENT_CFLAGS) $(PROTOBUF_C_CFLAGS)
tests_unit_evidence_test_LDADD = $(ATTESTER_LIBS) $(CMOCKA_LIBS)
EVIDENCE_FILES = tests/unit/evidence_files.c tests/unit/evidence_files.h
tests_unit_ctl_trust_test_SOURCES = tests/unit/ctl_trust_test.c
tests_unit_ctl_trust_test_CFLAGS = $(EVIDENCE_TEST_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS)
tests_unit_ctl_trust_test_LDADD = $(CTL_LIBS) $(CMOCKA_LIBS)
tests_unit_ek_chain_test_SOURCES = tests/unit/ek_chain_test.c $(EVIDENCE_FILES)
tests_unit_ek_chain_test_CFLAGS = $(EVIDENCE_TEST_CFLAGS)
tests_unit_ek_chain_test_LDADD = $(EVIDENCE_TEST_LIBS)
tests_unit_p256_test_SOURCES = tests/unit/p256_test.c $(EVIDENCE_FILES)
tests_unit_p256_test_CFLAGS = $(EVIDENCE_TEST_CFLAGS)
tests_unit_p256_test_LDADD = $(EVIDENCE_TEST_LIBS)
tests_unit_credential_test_SOURCES = tests/unit/credential_test.c $(EVIDENCE_FILES)
tests_unit_credential_test_CFLAGS = $(EVIDENCE_TEST_CFLAGS)
tests_unit_credential_test_LDADD = $(EVIDENCE_TEST_LIBS)
TPM_QUOTE = tests/unit/tpm_quote.c tests/unit/tpm_quote.h $(EVIDENCE_FILES)
tests_unit_tpm_test_SOURCES = tests/unit/tpm_test.c $(TPM_QUOTE)
tests_unit_tpm_test_CFLAGS = $(EVIDENCE_TEST_CFLAGS)
tests_unit_tpm_test_LDADD = $(EVIDENCE_TEST_LIBS)
tests_unit_tpm_vendors_test_SOURCES = tests/unit/tpm_vendors_test.c $(TPM_QUOTE)
tests_unit_tpm_vendors_test_CFLAGS = $(EVIDENCE_TEST_CFLAGS)
tests_unit_tpm_vendors_test_LDADD = $(EVIDENCE_TEST_LIBS)
tests_unit_trust_test_SOURCES = tests/unit/trust_test.c
tests_unit_trust_test_CFLAGS = $(EVIDENCE_TEST_CFLAGS)
tests_unit_trust_test_LDADD = $(EVIDENCE_TEST_LIBS)

check_PROGRAMS += tests/unit/session_test
TESTS += tests/unit/session_test
tests_unit_session_test_SOURCES = tests/unit/session_test.c \
	$(TPM_HOST)
tests_unit_session_test_CFLAGS = $(ATTESTD_CFLAGS) $(TSS2_CFLAGS) \
	$(CMOCKA_CFLAGS)
tests_unit_session_test_LDADD = $(ATTESTD_LIBS) attestd/libattestd_client.a \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/attestd_rules_test
TESTS += tests/unit/attestd_rules_test
tests_unit_attestd_rules_test_SOURCES = tests/unit/attestd_rules_test.c
tests_unit_attestd_rules_test_CFLAGS = $(ATTESTD_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_attestd_rules_test_LDADD = tests/unit/librulescheck.a \
	$(ATTESTD_LIBS) \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/sandbox/attestd_test
TESTS += tests/sandbox/attestd_test
tests_sandbox_attestd_test_SOURCES = tests/sandbox/attestd_test.c $(SWTPM)
tests_sandbox_attestd_test_CFLAGS = $(ATTESTD_CFLAGS) $(CMOCKA_CFLAGS) \
	$(JANSSON_CFLAGS) -DTEST_DATA='"$(abs_top_srcdir)/tests/data"' \
	-DBUILD_DIR='"$(abs_top_builddir)"'
tests_sandbox_attestd_test_LDADD = tests/sandbox/libdaemon.a \
	attestd/libattestd_client.a $(COMMON_LIBS) $(CMOCKA_LIBS) $(JANSSON_LIBS)
endif
