# Fuzz targets of ctl/.
FUZZ_TARGETS += tests/fuzz/status_fuzz
tests_fuzz_status_fuzz_CFLAGS = $(ctl_libctl_a_CFLAGS)
tests_fuzz_status_fuzz_LDADD = ctl/libctl.a $(FUZZ_LIBS) $(JANSSON_LIBS)
EXTRA_DIST += tests/fuzz/corpus/status
