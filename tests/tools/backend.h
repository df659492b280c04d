// The demo backend: its state, its connections, its answers.
#ifndef TESTS_TOOLS_BACKEND_H
#define TESTS_TOOLS_BACKEND_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/cleanup.h"
#include "tests/tools/ask.h"
#include "tests/tools/tool.h"

#define MODELS_MAX 64
#define SCRATCH_SIZE ((size_t)256 * 1024)
#define SERVER_NAME "meshllm-demo-backend (not a language model)"

struct stats {
	uint64_t requests;
	uint64_t connections;
	uint64_t connections_now;
	uint64_t streams;
	uint64_t streams_now;
	uint64_t answers_now; // begun, not finished, streams included
	uint64_t aborted;     // the client left before the answer was complete
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t bad;
	uint64_t authorization_seen;
	uint64_t cookie_seen;
	uint64_t last_body_bytes;
	uint64_t last_body_sum;
};

struct backend {
	struct event_base *base; // owned
	struct event listener;
	struct stats stats;
	struct knobs defaults;
	const char *models[MODELS_MAX]; // static: argv
	size_t n_models;
	int listen_fd;
	int record_fd; // -1: do not record
	bool checksum;
	bool half_close; // a client that shut its side down is still there
	bool introduce;
	int64_t context_words; // 0: no limit
	int64_t started;
	struct buffer last_head; // of the last POST
	struct buffer work;
	char *scratch; // owned
};

enum phase {
	PHASE_HEAD,
	PHASE_BODY,
	PHASE_CHUNK_LINE,
	PHASE_CHUNK_DATA,
	PHASE_CHUNK_END,
	PHASE_TRAILER,
	PHASE_ANSWER,
	PHASE_DRAIN, // answered with an error; read on so that it arrives
};

enum reply_kind {
	REPLY_NONE,
	REPLY_WAIT,   // nothing sent yet; answer when due
	REPLY_STREAM, // a token is due
	REPLY_FILL,   // a large body, made as it is sent
	REPLY_DRIP,   // a head, byte by byte
	REPLY_NEVER,
};

enum api { API_CHAT, API_COMPLETION, API_EMBEDDING };

// What is being answered.
struct reply {
	enum reply_kind kind;
	enum api api;
	bool chunked;
	bool eof; // the body ends with the connection
	bool counted;
	uint64_t id;
	int64_t due;	// nanoseconds
	uint64_t sent;	// tokens
	uint64_t words; // tokens of the whole answer
	uint64_t prompt_words;
	size_t text_at;	    // echo position
	uint64_t fill;	    // filler bytes left
	struct buffer held; // what REPLY_DRIP has left
};

struct conn {
	struct backend *backend; // borrowed
	int fd;
	enum phase phase;
	bool keep_alive;
	bool close_after;
	bool reset; // close with RST
	bool http_1_0;
	bool saw_eof;
	bool writable_armed;
	char method[16];
	char path[256];
	bool expect_continue;
	bool has_length;
	bool chunked;
	uint64_t left; // of the body or the chunk
	uint64_t body_bytes;
	uint64_t body_sum;
	struct buffer in;
	struct buffer out;
	struct ask ask;
	struct scan scan;
	struct reply reply;
	struct event readable;
	struct event writable;
	struct event timer;
};

// backend_conn.c: a connection lives from conn_new until it frees itself.
void conn_new(struct backend *b, int fd);
// The answer is complete: the next request may be read.
void conn_answered(struct conn *c);
// Call reply_step at c->reply.due.
void conn_schedule(struct conn *c);

// backend_head.c: 0, or the status of the refusal.
MUST_CHECK int head_parse(struct conn *c, const char *head, size_t len);

// backend_answer.c: a request is complete; 0, or -errno to drop the
// connection.
MUST_CHECK int answer_start(struct conn *c);
MUST_CHECK int answer_now(struct conn *c);
void answer_error(struct conn *c, int status, const char *type,
    const char *code, const char *message);
void answer_head(struct conn *c, int status, const char *type, int64_t length);
void answer_body(struct conn *c, const char *bytes, size_t len);

// backend_stats.c
void stats_count_head(struct conn *c, const char *head, size_t len);
void stats_count_body(struct conn *c);
void stats_add(struct backend *b, struct buffer *out);

// backend_reply.c
void reply_choose_words(struct conn *c);
// Append the next token, or all of them, escaped for JSON.
void reply_add_token(struct conn *c, struct buffer *out);
void reply_add_all(struct conn *c, struct buffer *out);
const char *reply_finish_reason(const struct conn *c);
void reply_add_usage(struct conn *c, struct buffer *out);
void reply_stream_start(struct conn *c);
MUST_CHECK int reply_step(struct conn *c);

#endif
