# One fragment per component, so that each stays one page.
include tests/unit/common.mk
include tests/unit/custody.mk
include tests/unit/cryptod.mk
include tests/unit/attestd.mk
include tests/unit/gossipd.mk
include tests/unit/proxyd.mk
include tests/unit/ctl.mk
