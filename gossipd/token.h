// Invite token (docs/wire-v1, 1.4): base64url without padding of an endpoint
// address as JSON.  It is an address, not a credential.
#ifndef GOSSIPD_TOKEN_H
#define GOSSIPD_TOKEN_H

#include "common/cleanup.h"
#include "gossipd/addr_json.h"

enum { TOKEN_MAX = 4096 }; // text

// -EINVAL: damaged; the reason is static text.
MUST_CHECK int token_parse(
    const char *token, struct endpoint_addr *ret, const char **ret_reason);
// -ENOSPC.
MUST_CHECK int token_write(
    const struct endpoint_addr *, char ret[static TOKEN_MAX + 1]);

#endif
