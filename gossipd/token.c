// Invite tokens.  The text is typed or pasted by a person and made by a
// stranger: every kind of damage has its own reason, and none is repaired.
#include "gossipd/token.h"

#include <sodium.h>
#include <string.h>

#include "common/base64.h"

int
token_parse(
    const char *token, struct endpoint_addr *ret, const char **ret_reason)
{
	char json[ADDR_JSON_MAX];
	size_t len = strnlen(token, TOKEN_MAX + 1), n;

	*ret_reason = "token is empty";
	if (len == 0)
		return -EINVAL;
	*ret_reason = "token is too long";
	if (len > TOKEN_MAX)
		return -EINVAL;
	*ret_reason = "token is padded, has whitespace or is not base64url";
	if (base64_decode(token, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING,
		(uint8_t *)json, sizeof(json), &n) < 0)
		return -EINVAL;
	if (addr_json_parse(json, n, ret, ret_reason) < 0)
		return -EINVAL;
	*ret_reason = "endpoint id is not a key";
	if (!crypto_core_ed25519_is_valid_point(ret->id))
		return -EINVAL;
	*ret_reason = NULL;
	return 0;
}

int
token_write(const struct endpoint_addr *addr, char ret[static TOKEN_MAX + 1])
{
	// Four characters hold three bytes.
	char json[TOKEN_MAX / 4 * 3];
	size_t len;
	int r;

	if ((r = addr_json_write(addr, json, sizeof(json), &len)) < 0)
		return r;
	(void)sodium_bin2base64(ret, TOKEN_MAX + 1, (unsigned char *)json, len,
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return 0;
}
