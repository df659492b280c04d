# Fuzz targets of attestd/: everything that reads evidence.

FUZZ_TARGETS += tests/fuzz/blob_fuzz tests/fuzz/ek_chain_fuzz \
	tests/fuzz/evidence_fuzz tests/fuzz/examine_fuzz tests/fuzz/tpm_fuzz \
	tests/fuzz/trust_fuzz
tests_fuzz_blob_fuzz_LDADD = attestd/libevidence.a $(FUZZ_LIBS) $(CRYPTO_LIBS)
tests_fuzz_ek_chain_fuzz_LDADD = attestd/libevidence.a $(FUZZ_LIBS) \
	$(CRYPTO_LIBS)
tests_fuzz_tpm_fuzz_LDADD = attestd/libevidence.a $(FUZZ_LIBS) $(CRYPTO_LIBS)
tests_fuzz_evidence_fuzz_LDADD = attestd/libevidence.a $(FUZZ_LIBS) \
	$(CRYPTO_LIBS)
tests_fuzz_examine_fuzz_LDADD = attestd/libevidence.a $(FUZZ_LIBS) \
	$(CRYPTO_LIBS)
EXTRA_DIST += tests/fuzz/corpus/blob tests/fuzz/corpus/ek_chain \
	tests/fuzz/corpus/evidence tests/fuzz/corpus/examine \
	tests/fuzz/corpus/tpm tests/fuzz/corpus/trust
tests_fuzz_trust_fuzz_LDADD = attestd/libevidence.a $(FUZZ_LIBS) \
	$(CRYPTO_LIBS)
