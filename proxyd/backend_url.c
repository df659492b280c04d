// Where a backend is: the only destinations proxyd ever connects to.  They
// come from the configuration alone, are numeric, and never change.
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "proxyd/backend.h"

static int
parse_unix(const char *path, struct backend_url *ret)
{
	size_t n = strlen(path);

	if (path[0] != '/' || n >= sizeof(ret->un.sun_path))
		return -EINVAL;
	ret->un.sun_family = AF_UNIX;
	memcpy(ret->un.sun_path, path, n + 1);
	ret->len = sizeof(ret->un);
	ret->is_local = true;
	(void)snprintf(ret->host, sizeof(ret->host), "localhost");
	return 0;
}

// "/base/v1/" -> "/base": the paths that we add begin with /v1.
static int
parse_prefix(const char *text, struct backend_url *ret)
{
	static const char version[] = "/v1";
	size_t n = strlen(text), v = sizeof(version) - 1;

	for (size_t i = 0; i < n; i++)
		if (text[i] <= 0x20 || text[i] == 0x7f || text[i] == '?' ||
		    text[i] == '#' || (unsigned char)text[i] >= 0x80)
			return -EINVAL;
	while (n > 0 && text[n - 1] == '/')
		n--;
	if (n >= v && memcmp(text + n - v, version, v) == 0)
		n -= v;
	while (n > 0 && text[n - 1] == '/')
		n--;
	if (n >= sizeof(ret->prefix))
		return -EINVAL;
	memcpy(ret->prefix, text, n);
	ret->prefix[n] = '\0';
	return 0;
}

static int
parse_authority(const char *text, size_t n, struct backend_url *ret)
{
	static const char local[] = "localhost:";
	struct address address;
	char host[BACKEND_HOST_MAX];
	size_t skip = sizeof(local) - 1;
	int len, r;

	if (n > skip && strncasecmp(text, local, skip) == 0)
		len = snprintf(host, sizeof(host), "127.0.0.1:%.*s",
		    (int)(n - skip), text + skip);
	else
		len = snprintf(host, sizeof(host), "%.*s", (int)n, text);
	if (len < 0 || (size_t)len >= sizeof(host))
		return -EINVAL;
	if ((r = address_parse(host, &address)) < 0)
		return r;
	if (address_port(&address) == 0)
		return -EINVAL;
	if (address.sa.sa_family == AF_INET)
		ret->in = address.in;
	else
		ret->in6 = address.in6;
	ret->len = address.len;
	ret->is_local = address_is_loopback(&address);
	memcpy(ret->host, host, (size_t)len + 1);
	return 0;
}

int
backend_url_parse(const char *text, struct backend_url *ret)
{
	static const char unix_scheme[] = "unix:", scheme[] = "http://";
	const char *slash;
	size_t n;

	memset(ret, 0, sizeof(*ret));
	if (strncmp(text, unix_scheme, sizeof(unix_scheme) - 1) == 0)
		return parse_unix(text + sizeof(unix_scheme) - 1, ret);
	if (strncmp(text, scheme, sizeof(scheme) - 1) != 0)
		return -EINVAL;
	text += sizeof(scheme) - 1;
	slash = strchr(text, '/');
	n = slash == NULL ? strlen(text) : (size_t)(slash - text);
	if (n == 0 || n >= BACKEND_HOST_MAX ||
	    (slash != NULL && parse_prefix(slash, ret) < 0))
		return -EINVAL;
	return parse_authority(text, n, ret);
}
