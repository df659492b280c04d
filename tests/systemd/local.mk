# The units, by systemd's own judgement.
TESTS += tests/systemd/units_test
dist_check_SCRIPTS += tests/systemd/units_test
