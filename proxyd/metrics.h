// GET /metrics of the management listener, and the counts behind it.
//
// Counting costs an addition; per token one more, with the time that the loop
// knows already.
#ifndef PROXYD_METRICS_H
#define PROXYD_METRICS_H

#include <stdint.h>

enum metrics_route {
	METRICS_LOCAL,	      // a client's, answered by our backend
	METRICS_SEALED,	      // a client's, answered by a host
	METRICS_PLAIN,	      // the same, not encrypted
	METRICS_SERVED,	      // a peer's, sealed
	METRICS_SERVED_PLAIN, // a peer's, not sealed
	METRICS_NONE,	      // refused before there was a way
	METRICS_ROUTES,
};

enum metrics_outcome {
	METRICS_ANSWERED,
	METRICS_FAILED,
	METRICS_ABORTED, // the client left
	METRICS_REFUSED, // before anything was asked
	METRICS_OUTCOMES,
};

enum { METRICS_BUCKETS = 16, METRICS_REASONS_MAX = 64 };

struct metrics_histogram {
	uint64_t count[METRICS_BUCKETS + 1]; // the last one: beyond all
	uint64_t sum_us;
};

struct metrics_reason {
	const char *name; // static
	uint64_t n;
};

struct metrics {
	uint64_t ended[METRICS_ROUTES][METRICS_OUTCOMES];
	uint64_t prompt_tokens[METRICS_ROUTES];
	uint64_t completion_tokens[METRICS_ROUTES];
	struct metrics_histogram first_byte, gap;
	struct metrics_reason errors[METRICS_REASONS_MAX];
	struct metrics_reason dropped[METRICS_REASONS_MAX]; // without a word
	struct metrics_reason limited[METRICS_REASONS_MAX];
};

struct proxyd;
struct request;

// A request has ended: outcome as request_log_end() has it.
void metrics_count_end(const struct request *, const char *outcome);
// What a peer sent was dropped; reason: static.
void metrics_count_dropped(struct proxyd *, const char *reason);
// Something was refused for the sake of others; limit: static.
void metrics_count_limited(struct proxyd *, const char *limit);
// Part of an answer has left, after the source said something.
void metrics_count_sent(struct request *);

void metrics_answer(struct request *);

#endif
