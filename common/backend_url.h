// Where a backend is and how it wants to be asked: one value of --backend.
#ifndef COMMON_BACKEND_URL_H
#define COMMON_BACKEND_URL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/cleanup.h"

enum {
	BACKEND_PREFIX_MAX = 128,
	BACKEND_HOST_MAX = 128,
	BACKEND_TEXT_MAX = 256,
	BACKEND_KEY_MAX = 256,
	BACKEND_KEY_FILE_MAX = BACKEND_KEY_MAX + 2, // with an end of line
	BACKEND_PATH_MAX = 512,
	BACKEND_REQUESTS_MAX = 4096,
	BACKEND_PORT_RANGES_MAX = 16, // values of --backend-port
	BACKEND_PORT_RANGE_MAX = 256, // ports of one of them
};

struct backend_url {
	socklen_t len;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	};
	char host[BACKEND_HOST_MAX];	 // value of Host
	char prefix[BACKEND_PREFIX_MAX]; // before "/v1/..."
	bool is_local;
};

// The first word: http://ADDR:PORT[/prefix], ADDR numeric or localhost, or
// unix:/path.  A "/v1" at the end of the prefix is taken off.  -EINVAL.
MUST_CHECK int backend_url_parse(const char *text, struct backend_url *ret);

// All of it: behind the URL may stand key-file=FILE, requests=N, and of
// unix:/path prefix=/base.
struct backend_spec {
	struct backend_url url;
	char text[BACKEND_TEXT_MAX];	 // the URL, for people
	char key_file[BACKEND_PATH_MAX]; // "": none
	unsigned requests;		 // at a time; 0: not told
};

// NULL, or what is wrong.
const char *backend_spec_check(const char *text);
MUST_CHECK int backend_spec_parse(const char *text, struct backend_spec *ret);

// One value of --backend-port: a port, or FIRST-LAST.
struct backend_ports {
	uint16_t first, last;
};

// NULL, or what is wrong.
const char *backend_ports_check(const char *text);
MUST_CHECK int backend_ports_parse(const char *text, struct backend_ports *ret);

// The key in the bytes of a file: one word of printable ASCII.  -EINVAL.
MUST_CHECK int backend_key_parse(
    const char *bytes, size_t n, char ret[static BACKEND_KEY_MAX + 1]);

#endif
