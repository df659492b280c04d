// One request to one far host, which is the test: for the tests of proxyd as
// the opener.
#ifndef TESTS_UNIT_PROXYD_TALK_H
#define TESTS_UNIT_PROXYD_TALK_H

#include "tests/unit/proxyd_rig.h"

#define BODY                                                   \
	"{\"model\":\"far\",\"messages\":[{\"role\":\"user\"," \
	"\"content\":\"a secret word\"}]}"
#define HEAD_SSE                                                   \
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"   \
	"Set-Cookie: a=b\r\nServer: x\r\nX-Meshllm-Host: liar\r\n" \
	"X-Meshllm-Load: 3/4 12\r\n"                               \
	"Transfer-Encoding: chunked\r\n\r\n"
#define HEAD_4 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"

// Start, tell of one host, ask it, and read what it got.
struct talk {
	struct rig rig;
	struct node host;
	int client, tunnel;
	struct buf request;
	uint8_t key[REQUEST_KEY_LEN];
};

void talk_start(struct talk *, const char *const *args, enum peer_form);
void talk_stop(struct talk *);

#endif
