// Text to socket address and back, pure.  Trusts nothing of the text; it must
// never resolve a name.
#include "common/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static int
parse_port(const char *text, in_port_t *ret)
{
	unsigned port = 0;

	// At most five digits: no overflow.
	if (*text == '\0' || strlen(text) > 5)
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		port = port * 10 + (unsigned)(*text - '0');
	}
	if (port > UINT16_MAX)
		return -EINVAL;
	*ret = htons((uint16_t)port);
	return 0;
}

int
address_parse(const char *text, struct address *ret)
{
	struct address a = { .len = 0 };
	char host[INET6_ADDRSTRLEN];
	const char *end = strrchr(text, ':');
	bool is_v6 = *text == '[';
	in_port_t port;
	size_t len;

	if (end == NULL || parse_port(end + 1, &port) < 0)
		return -EINVAL;
	if (is_v6) {
		text++;
		if (end == text || *--end != ']')
			return -EINVAL;
	}
	len = (size_t)(end - text);
	if (len == 0 || len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	if (is_v6) {
		a.len = sizeof(a.in6);
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = port;
		if (inet_pton(AF_INET6, host, &a.in6.sin6_addr) != 1)
			return -EINVAL;
	} else {
		a.len = sizeof(a.in);
		a.in.sin_family = AF_INET;
		a.in.sin_port = port;
		if (inet_pton(AF_INET, host, &a.in.sin_addr) != 1)
			return -EINVAL;
	}
	*ret = a;
	return 0;
}

int
address_format(
    const struct sockaddr *sa, socklen_t len, char ret[static ADDRESS_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN];
	struct address a;

	if (len > sizeof(a.in6))
		return -EAFNOSUPPORT;
	memset(&a, 0, sizeof(a));
	memcpy(&a.in6, sa, len);
	if (a.sa.sa_family == AF_INET && len >= sizeof(a.in)) {
		(void)inet_ntop(AF_INET, &a.in.sin_addr, host, sizeof(host));
		(void)snprintf(ret, ADDRESS_TEXT_MAX, "%s:%u", host,
		    (unsigned)ntohs(a.in.sin_port));
		return 0;
	}
	if (a.sa.sa_family == AF_INET6 && len >= sizeof(a.in6)) {
		(void)inet_ntop(AF_INET6, &a.in6.sin6_addr, host, sizeof(host));
		(void)snprintf(ret, ADDRESS_TEXT_MAX, "[%s]:%u", host,
		    (unsigned)ntohs(a.in6.sin6_port));
		return 0;
	}
	return -EAFNOSUPPORT;
}

uint16_t
address_port(const struct address *a)
{
	// The port is at the same place in both.
	return ntohs(a->in.sin_port);
}

bool
address_is_loopback(const struct address *a)
{
	const struct in6_addr *v6 = &a->in6.sin6_addr;

	if (a->sa.sa_family == AF_INET)
		return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	if (a->sa.sa_family != AF_INET6)
		return false;
	return IN6_IS_ADDR_LOOPBACK(v6) ||
	    (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

bool
address_is_any(const struct address *a)
{
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}
