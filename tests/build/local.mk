# What is said where something is missing, and what the programs are built with.
TESTS += tests/build/build_test
dist_check_SCRIPTS += tests/build/build_test
