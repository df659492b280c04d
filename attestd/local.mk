# What this folder adds to the build.

# Stubs for those who ask attestd something: proxyd and gossipd.
noinst_LIBRARIES += attestd/libattestd_client.a
attestd_libattestd_client_a_SOURCES = attestd/client.c attestd/client.h
attestd_libattestd_client_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) \
	$(PROTOBUF_C_CFLAGS)

ATTESTD_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS) $(EVENT_CFLAGS) $(PROTOBUF_C_CFLAGS) \
	$(SECCOMP_CFLAGS)
noinst_LIBRARIES += attestd/libattestd.a
attestd_libattestd_a_SOURCES = \
	attestd/answers.c attestd/answers.h \
	attestd/attestd.c attestd/attestd.h \
	attestd/examiner.c attestd/examiner.h \
	attestd/handle_control.c attestd/handle_copy.c \
	attestd/handle_evidence.c \
	attestd/handle_verdict.c \
	attestd/roles.c attestd/rules.c attestd/sandbox.c \
	attestd/session.c attestd/session.h attestd/signer.c \
	attestd/trust_watch.c
attestd_libattestd_a_CFLAGS = $(ATTESTD_CFLAGS)

sbin_PROGRAMS += meshllm-attestd
meshllm_attestd_SOURCES = attestd/main.c
meshllm_attestd_CFLAGS = $(ATTESTD_CFLAGS)
ATTESTD_LIBS = attestd/libattestd.a cryptod/libcryptod_client.a \
	proxyd/libproxydclient.a $(ATTESTER_LIBS)
meshllm_attestd_LDADD = $(ATTESTD_LIBS)

# What the verifier makes of evidence: pure functions, no IPC, no logging.
EVIDENCE_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS) $(SODIUM_CFLAGS)
noinst_LIBRARIES += attestd/libevidence.a
attestd_libevidence_a_SOURCES = \
	attestd/blob.c attestd/blob.h \
	attestd/blob_cache.c attestd/blob_cache.h \
	attestd/chain_file.c attestd/chain_file.h \
	attestd/ek_chain.c attestd/ek_chain.h attestd/vendor_roots.c \
	attestd/evidence.c attestd/evidence.h \
	attestd/evidence_file.c attestd/evidence_file.h \
	attestd/evidence_verify.c attestd/examine.c attestd/examine.h \
	attestd/held.c attestd/held.h \
	attestd/json_in.c attestd/json_in.h \
	attestd/level.c attestd/level.h attestd/level_held.c \
	attestd/p256.c attestd/p256.h \
	attestd/tpm_alg.h attestd/tpm_reader.h \
	attestd/tpm_attest.c attestd/tpm_attest.h \
	attestd/tpm_credential.c attestd/tpm_credential.h \
	attestd/tpm_public.c attestd/tpm_public.h \
	attestd/trust.c attestd/trust.h attestd/trust_store.c
attestd_libevidence_a_CFLAGS = $(EVIDENCE_CFLAGS)
EVIDENCE_LIBS = attestd/libevidence.a $(COMMON_LIBS) $(CRYPTO_LIBS)

# What the signer vouches with.  It reads nothing of peers.
noinst_LIBRARIES += attestd/libattester.a
attestd_libattester_a_SOURCES = \
	attestd/attester.c attestd/attester.h attestd/attester_impl.h \
	attestd/blob_make.c attestd/blob_make.h \
	attestd/evidence_make.c attestd/evidence_make.h \
	attestd/machine.c attestd/machine.h \
	attestd/tcti_fd.c attestd/tcti_fd.h \
	attestd/tpm.c attestd/tpm.h attestd/tpm_ek.c
attestd_libattester_a_CFLAGS = $(EVIDENCE_CFLAGS) $(TSS2_CFLAGS) \
	$(EVENT_CFLAGS) $(PROTOBUF_C_CFLAGS)
ATTESTER_LIBS = attestd/libattester.a $(EVIDENCE_LIBS) $(TSS2_LIBS)
