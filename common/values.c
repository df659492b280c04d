// Checks of texts, without any state.  What is not understood is refused.
#include "common/values.h"

#include <stddef.h>
#include <string.h>

#include "common/address.h"

static const char host_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-._"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char origin_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-._:[]";

const char *
value_check_host(const char *host)
{
	size_t n = strlen(host);

	if (n == 0 || n > VALUE_HOST_MAX)
		return "is longer than a name can be";
	return strspn(host, host_chars) == n
	    ? NULL
	    : "is not the name of a host (no port, no *)";
}

// As browsers write it (RFC 6454, section 6.2): lower case, no path.
const char *
value_check_origin(const char *origin)
{
	static const char scheme_chars[] =
	    "abcdefghijklmnopqrstuvwxyz0123456789"
	    "+-.";
	size_t n = strspn(origin, scheme_chars);
	const char *host = origin + n + 3;

	if (strlen(origin) > VALUE_ORIGIN_MAX)
		return "is longer than an origin can be";
	if (n == 0 || strncmp(origin + n, "://", 3) != 0 || *host == '\0' ||
	    strspn(host, origin_chars) != strlen(host))
		return "is not an origin: scheme://host[:port] in lower case";
	return NULL;
}

const char *
value_check_api(const char *text)
{
	static const char scheme[] = "unix:";
	struct address ignored;

	if (strncmp(text, scheme, sizeof(scheme) - 1) == 0)
		return text[sizeof(scheme) - 1] == '/' &&
			strlen(text) <= VALUE_API_MAX
		    ? NULL
		    : "is not unix: and an absolute path of at most 100 bytes";
	return address_parse(text, &ignored) == 0
	    ? NULL
	    : "is not ADDR:PORT (numbers only, IPv6 as [ADDR]:PORT) or "
	      "unix:/path";
}

const char *
value_check_level(const char *text)
{
	static const char *const levels[] = { "yes", "no", "self-signed",
		"tofu", "pinned", "hardware", NULL };

	for (const char *const *level = levels; *level != NULL; level++)
		if (strcmp(text, *level) == 0)
			return NULL;
	return "is not one of self-signed, tofu, pinned, hardware";
}

const char *
value_check_mode(const char *text)
{
	size_t n = strlen(text);

	return n >= 3 && n <= 4 && strspn(text, "01234567") == n &&
		value_mode(text) <= 0777
	    ? NULL
	    : "is not an octal mode such as 0660";
}

mode_t
value_mode(const char *text)
{
	mode_t mode = 0;

	for (; *text != '\0'; text++)
		mode = mode * 8 + (mode_t)(*text - '0');
	return mode;
}
