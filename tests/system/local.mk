# Tests of real nodes: they need node and, once, `npm install --no-save` here
# and in tests/foreign.
EXTRA_DIST += tests/system/README.md tests/system/package.json \
	tests/system/package-lock.json tests/system/.npmrc \
	tests/system/lib.mjs tests/system/custody.test.mjs \
	tests/system/custody-memory.test.mjs \
	tests/system/foreign.mjs tests/system/http.mjs \
	tests/system/processes.mjs tests/system/capture.py tests/system/tpm_device.py \
	tests/system/swtpm.mjs tests/system/tpm.test.mjs \
	tests/system/evidence.test.mjs tests/system/attestation.test.mjs \
	tests/system/mesh.test.mjs tests/system/foreign.test.mjs \
	tests/system/leave.test.mjs tests/system/llama.test.mjs \
	tests/system/llama.mjs tests/system/backend.test.mjs \
	tests/system/raw.mjs tests/system/stream.test.mjs \
	tests/system/responses.test.mjs tests/system/routing.test.mjs \
	tests/system/shares.test.mjs tests/system/silence.test.mjs \
	tests/system/hosts.mjs \
	tests/system/connections.test.mjs \
	tests/system/chaos.test.mjs tests/system/clients.test.mjs \
	tests/system/secrecy.test.mjs tests/system/soak.test.mjs \
	tests/system/abuse.test.mjs \
	tests/system/doors.test.mjs tests/system/machine.mjs \
	tests/system/http_table.mjs \
	tests/system/http_table.test.mjs tests/system/listener.test.mjs \
	tests/system/management.test.mjs tests/system/prometheus.mjs \
	tests/system/config.test.mjs tests/system/container.test.mjs \
	tests/system/slow.test.mjs \
	tests/system/takeover.test.mjs
