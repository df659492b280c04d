# What this folder adds to the build.
EXTRA_DIST += tests/system/lib.mjs tests/system/custody.test.mjs
