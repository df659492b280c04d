// proxyd as a host with the demo backend, and one peer of it, which is the
// test.
#ifndef TESTS_UNIT_PROXYD_HOST_RIG_H
#define TESTS_UNIT_PROXYD_HOST_RIG_H

#include "tests/unit/proxyd_rig.h"

#define BODY(more)                                              \
	"{\"model\":\"near\",\"messages\":[{\"role\":\"user\"," \
	"\"content\":\"one two\"}]" more "}"

struct host {
	struct rig rig;
	pid_t backend;
	char backend_address[64];
	struct node peer;
};

// option: one more of proxyd's, or NULL.
void host_start(struct host *, const char *option);
void host_stop(struct host *);
void backend_stop(struct host *);
// One number of the backend's statistics.
long backend_count(struct host *, const char *name);

// Ask sealed and read the whole answer.  false: cut, or nothing.
bool ask(struct host *, const char *plain, struct buf *ret);
// A request with headers that the backend must not see; returns ret.
const char *post(char *ret, size_t size, const char *path, const char *body);
int status_of(const struct buf *plain);

#endif
