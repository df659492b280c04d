# Fuzz targets of cryptod/ and attestd/: their rule tables and handlers.

FUZZ_TARGETS += tests/fuzz/cryptod_ipc_fuzz
tests_fuzz_cryptod_ipc_fuzz_SOURCES = tests/fuzz/cryptod_ipc_fuzz.c \
	tests/fuzz/fuzz_peer.c tests/fuzz/fuzz_peer.h
tests_fuzz_cryptod_ipc_fuzz_CFLAGS = $(CRYPTOD_CFLAGS)
tests_fuzz_cryptod_ipc_fuzz_LDADD = cryptod/libcryptod.a $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/cryptod_ipc

FUZZ_TARGETS += tests/fuzz/attestd_ipc_fuzz
tests_fuzz_attestd_ipc_fuzz_SOURCES = tests/fuzz/attestd_ipc_fuzz.c \
	tests/fuzz/fuzz_peer.c tests/fuzz/fuzz_peer.h
tests_fuzz_attestd_ipc_fuzz_CFLAGS = $(ATTESTD_CFLAGS)
tests_fuzz_attestd_ipc_fuzz_LDADD = $(ATTESTD_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/attestd_ipc

FUZZ_TARGETS += tests/fuzz/session_fuzz
tests_fuzz_session_fuzz_SOURCES = tests/fuzz/session_fuzz.c \
	tests/fuzz/fuzz_peer.c tests/fuzz/fuzz_peer.h
tests_fuzz_session_fuzz_CFLAGS = $(ATTESTD_CFLAGS)
tests_fuzz_session_fuzz_LDADD = $(ATTESTD_LIBS) $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/session
