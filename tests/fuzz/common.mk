# Fuzz targets of common/.
FUZZ_TARGETS += tests/fuzz/api_keys_fuzz
tests_fuzz_api_keys_fuzz_CFLAGS = $(AM_CFLAGS)
tests_fuzz_api_keys_fuzz_LDADD = $(FUZZ_LIBS)
EXTRA_DIST += tests/fuzz/corpus/api_keys
