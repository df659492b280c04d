// Addresses as people write them: `ADDR:PORT` and `[v6]:PORT`.  Numbers only:
// no daemon of ours asks a name server.
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/cleanup.h"

// "[" IPv6 "]:65535" and the zero.
enum { ADDRESS_TEXT_MAX = INET6_ADDRSTRLEN + 8 };

struct address {
	socklen_t len;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
};

// -EINVAL.  Port 0 is allowed: the kernel chooses.
MUST_CHECK int address_parse(const char *text, struct address *ret);
// -EAFNOSUPPORT for what is neither IPv4 nor IPv6.
MUST_CHECK int address_format(
    const struct sockaddr *, socklen_t len, char ret[static ADDRESS_TEXT_MAX]);
uint16_t address_port(const struct address *);
// 0.0.0.0 or ::, that is all addresses of this machine.
bool address_is_any(const struct address *);
// 127.0.0.0/8, ::1, and the former mapped into IPv6.
bool address_is_loopback(const struct address *);

#endif
