# A real browser against real nodes: needs node and chromium.
EXTRA_DIST += tests/browser/chromium.mjs tests/browser/browser.test.mjs
