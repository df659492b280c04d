# A peer of the mesh that is not ours, for the interop tests: needs node and,
# once, `npm install --no-save` in its folder.  Not `npm ci`: it refuses a lock
# file without iroh's packages for platforms other than these.
EXTRA_DIST += tests/foreign/package.json tests/foreign/package-lock.json \
	tests/foreign/.npmrc tests/foreign/peer.mjs \
	tests/foreign/self.test.mjs \
	tests/foreign/lib/host.mjs tests/foreign/lib/http.mjs \
	tests/foreign/lib/identity.mjs tests/foreign/lib/json.mjs \
	tests/foreign/lib/messages.mjs tests/foreign/lib/model.mjs \
	tests/foreign/lib/opener.mjs tests/foreign/lib/peer.mjs \
	tests/foreign/lib/proto.mjs tests/foreign/lib/sealed.mjs \
	tests/foreign/lib/stream.mjs tests/foreign/lib/table.mjs \
	tests/foreign/lib/token.mjs
