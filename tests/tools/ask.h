// What a request body asks of the demo backend, read as the body arrives.
#ifndef TESTS_TOOLS_ASK_H
#define TESTS_TOOLS_ASK_H

#include "tests/tools/tool.h"

#define SCAN_DEPTH_MAX 32
#define SCAN_PATH_MAX 96
#define SCAN_VALUE_MAX 256

// Load and faults; the command line gives defaults, a body its own.
struct knobs {
	int64_t tokens;	     // length of the answer; 0: echo once
	int64_t token_bytes; // pad every token to this many bytes
	int64_t delay_ms;    // between tokens
	int64_t first_ms;    // before the first token or the whole answer
	int64_t bytes;	     // non-stream: a filler of this size
	int64_t fault_after; // tokens (or bytes of a head) before the fault
	bool stamp;	     // tokens are "@nanoseconds@ "
	char fault[32];
	char framing[16]; // "length", "chunked", "eof"
};

struct ask {
	struct knobs knobs;
	char model[128];
	char encoding_format[16];
	bool stream;
	bool include_usage;
	int64_t max_tokens; // 0: no limit
	int64_t dimensions;
	struct buffer text;   // last user message, prompt or input
	struct buffer inputs; // one uint64_t hash per embedding input
};

// An incremental reader of one JSON object; it checks nesting and strings,
// which is enough to notice a damaged body, but is no validator.
struct scan {
	int state;
	bool expect_key;
	bool bad;
	bool done;
	size_t depth;
	char kind[SCAN_DEPTH_MAX];
	uint8_t path_len[SCAN_DEPTH_MAX + 1];
	char path[SCAN_PATH_MAX];
	size_t value_len;
	char value[SCAN_VALUE_MAX];
	int hex_left;
	unsigned hex;
	unsigned high_surrogate;
	bool to_text;
	bool user;
	struct buffer pending; // content of the message being read
};

void ask_start(struct ask *ask, struct scan *scan, const struct knobs *knobs);
void ask_feed(struct ask *ask, struct scan *scan, const char *p, size_t len);
// True when exactly one complete object was read.
bool ask_is_complete(const struct scan *scan);
void ask_done(struct ask *ask, struct scan *scan);

#endif
