// EndpointAddr of the existing network as JSON (docs/wire-v1, 1.3): in field
// 22 of announcements and inside the invite token.
#ifndef GOSSIPD_ADDR_JSON_H
#define GOSSIPD_ADDR_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/cleanup.h"
#include "common/sizes.h"

enum {
	ADDR_JSON_MAX = 4096,	  // bytes of text, read and written
	ADDR_JSON_ADDRS_MAX = 16, // socket addresses kept
	ADDR_JSON_RELAYS_MAX = 2, // relay URLs kept, for passing on
	ADDR_JSON_RELAY_MAX = 200,
};

struct endpoint_addr {
	uint8_t id[ENDPOINT_ID_LEN];
	struct address addrs[ADDR_JSON_ADDRS_MAX];
	size_t n_addrs;
	char relays[ADDR_JSON_RELAYS_MAX][ADDR_JSON_RELAY_MAX + 1];
	size_t n_relays;
};

// -EBADMSG: damaged, -E2BIG: text too long.  More entries than are kept are
// checked and forgotten.  Whether the id is a point of the curve is left to
// the caller: it is dear.  The reason is static text.
MUST_CHECK int addr_json_parse(const char *text, size_t len,
    struct endpoint_addr *ret, const char **ret_reason);
// Compact, in the order of the reference.  -ENOSPC.
MUST_CHECK int addr_json_write(
    const struct endpoint_addr *, char *ret, size_t size, size_t *ret_len);

// "192.0.2.1:1" or "[2001:db8::1%3]:1".  -EINVAL.
MUST_CHECK int addr_parse(const char *text, struct address *ret);
enum { ADDR_TEXT_MAX = 80 };
void addr_format(const struct address *, char ret[static ADDR_TEXT_MAX]);
bool addr_equal(const struct address *, const struct address *);
// Could this be one node's socket: a port, not multicast, not "any".
bool addr_is_dialable(const struct address *);

#endif
