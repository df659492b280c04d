# Tests on machines with a systemd of their own, and of the packages.
EXTRA_DIST += tests/machines/prepare tests/machines/run \
	tests/machines/lib.sh tests/machines/package_test \
	tests/machines/machine.mjs tests/machines/ask.mjs \
	tests/machines/machines.test.mjs tests/machines/README.md \
	debian/changelog debian/control debian/copyright debian/rules \
	debian/meshllm.docs debian/meshllm.examples \
	debian/source/format debian/meshllm.postinst debian/meshllm.postrm \
	debian/meshllm.prerm
