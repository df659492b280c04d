// Signs of life in streams whose source is silent: a model may read a long
// prompt for minutes, and clients give up on a silent connection.
//
// Between two events a comment is sent.  Before the head of an answer nothing
// is, for a while, since an error should have its status; then, to a client
// that asked for a stream, a head of our own.  What is sent costs nothing per
// token: one timer looks at all requests from time to time.
#ifndef PROXYD_KEEP_ALIVE_H
#define PROXYD_KEEP_ALIVE_H

#include <stdbool.h>

enum {
	KEEP_ALIVE_S = 15, // of silence; default
	KEEP_ALIVE_S_MAX = 3600,
	KEEP_ALIVE_EARLY = 4, // intervals without a head
	KEEP_ALIVE_LOOKS = 4, // in each interval
};

struct proxyd;
struct request;

void keep_alive_init(struct proxyd *);
// There is a request to look at.
void keep_alive_wake(struct proxyd *);
void keep_alive_done(struct proxyd *);

#endif
