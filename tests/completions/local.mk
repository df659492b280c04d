# Completion against --help.
TESTS += tests/completions/completions_test
dist_check_SCRIPTS += tests/completions/completions_test
