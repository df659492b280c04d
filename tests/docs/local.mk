# The manual against the sources.
TESTS += tests/docs/docs_test
dist_check_SCRIPTS += tests/docs/docs_test
