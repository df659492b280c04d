// The load client: what it measures and the connections it drives.
#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>

#include "common/cleanup.h"
#include "tests/tools/tool.h"

enum mode { MODE_RPS, MODE_STREAM, MODE_UPLOAD, MODE_IDLE, MODE_SOAK };

// Nanoseconds, kept one by one: percentiles are exact.
struct samples {
	int64_t *ns; // owned
	size_t n;
	size_t capacity;
};

#define ERROR_KINDS_MAX 16

struct results {
	struct samples latency;
	struct samples first_byte;
	struct samples added;
	uint64_t done;
	uint64_t started;
	uint64_t tokens;
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t reconnects;
	uint64_t aborted; // by us, on purpose
	uint64_t errors;
	struct {
		char what[48];
		uint64_t n;
	} kinds[ERROR_KINDS_MAX];
	int64_t begin_ns;
	int64_t end_ns; // of the last answer
};

struct load {
	struct event_base *base; // owned
	struct sockaddr_in address;
	enum mode mode;
	const char *model; // static: argv
	char authority[64];
	size_t concurrency;
	uint64_t requests; // 0: as many as fit in the time
	int64_t seconds;
	int64_t timeout_s;
	size_t prompt_bytes;
	int64_t tokens;
	int64_t delay_ms;
	uint64_t abort_every; // 0: never
	uint64_t seed;
	bool stopping;
	size_t live;
	size_t open;	       // idle streams that have their first token
	struct buffer request; // shared by all but soak
	struct buffer expected;
	struct event stop;
	struct results results;
	struct client *clients; // owned
};

enum client_state {
	CLIENT_DEAD,
	CLIENT_SENDING,
	CLIENT_HEAD,
	CLIENT_BODY, // length or end of connection
	CLIENT_CHUNK_LINE,
	CLIENT_CHUNK_DATA,
	CLIENT_CHUNK_END,
	CLIENT_TRAILER,
};

// One of `concurrency` users, each with one request at a time.
struct client {
	struct load *load; // borrowed
	int fd;		   // -1: not connected
	enum client_state state;
	bool reused;
	bool reading_stream;
	bool to_abort;
	bool keep_alive;
	bool by_eof;
	bool got_byte;
	bool got_first;
	bool finished;	     // a finish_reason arrived
	bool got_done;	     // [DONE] arrived
	const char *problem; // static; what was wrong with the answer
	int status;
	uint64_t left;
	uint64_t tokens;
	size_t matched; // bytes of the expected answer
	size_t sent;
	int64_t start_ns;
	struct buffer in;
	struct buffer body;
	struct buffer request;	// soak: this client's own
	struct buffer expected; // soak: this client's own
	struct event readable;
	struct event writable;
	struct event timeout;
};

// load_client.c
void client_start(struct client *c);
void client_stop(struct client *c);

// load_answer.c: what arrived; problems are noted in c->problem.
void answer_begin(struct client *c);
void answer_bytes(struct client *c, const char *p, size_t len);
void answer_end(struct client *c);

// load_request.c
void request_make(struct load *l);
void request_make_soak(struct client *c);

// load_report.c
void samples_add(struct samples *s, int64_t ns);
void results_error(struct results *r, const char *what);
void report_print(struct load *l);

#endif
