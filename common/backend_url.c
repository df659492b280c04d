// Where a backend is: the only destinations proxyd ever connects to.  They
// come from the configuration alone, are numeric, and never change.
#include "common/backend_url.h"

#include <stdio.h>
#include <string.h>

#include "common/address.h"
#include "common/words.h"

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

static const char *
check_requests(const char *text, unsigned *ret)
{
	unsigned n = 0;

	for (const char *c = text; *c != '\0'; c++) {
		if (*c < '0' || *c > '9')
			return "has requests= without a number";
		n = n * 10 + (unsigned)(*c - '0');
		if (n > BACKEND_REQUESTS_MAX)
			return "has requests= over 4096";
	}
	*ret = n;
	return n == 0 ? "has requests=0" : NULL;
}

static const char *
read_words(const struct words *w, struct backend_spec *ret)
{
	static const char *const names[] = { "key-file", "requests", "prefix",
		NULL };
	const char *file = words_find(w, "key-file");
	const char *requests = words_find(w, "requests");
	const char *prefix = words_find(w, "prefix");

	if (!words_are(w, names))
		return "has a part that is not key-file=, requests= or prefix=";
	if (strlen(w->first) >= sizeof(ret->text) ||
	    backend_url_parse(w->first, &ret->url) < 0)
		return "is not http://ADDR:PORT[/prefix] with a numeric "
		       "address or localhost, nor unix:/path";
	memcpy(ret->text, w->first, strlen(w->first) + 1);
	if (prefix != NULL &&
	    (ret->url.sa.sa_family != AF_UNIX || *prefix != '/' ||
		parse_prefix(prefix, &ret->url) < 0))
		return "has a prefix= that is no path, or is no unix:/path";
	if (file != NULL &&
	    (*file != '/' || strlen(file) >= sizeof(ret->key_file)))
		return "has a key-file= that is no absolute path";
	if (file != NULL)
		memcpy(ret->key_file, file, strlen(file) + 1);
	return requests == NULL ? NULL
				: check_requests(requests, &ret->requests);
}

static const char *
parse_spec(const char *text, struct backend_spec *ret)
{
	struct words w;
	const char *wrong;

	memset(ret, 0, sizeof(*ret));
	if (words_parse(text, &w) < 0)
		return "is not a URL and name=value behind it";
	wrong = read_words(&w, ret);
	words_done(&w);
	return wrong;
}

const char *
backend_spec_check(const char *text)
{
	struct backend_spec ignored;

	return parse_spec(text, &ignored);
}

int
backend_spec_parse(const char *text, struct backend_spec *ret)
{
	return parse_spec(text, ret) == NULL ? 0 : -EINVAL;
}

// Digits up to an end that the caller looks at.  -EINVAL: no port.
static int
parse_port(const char **text, uint16_t *ret)
{
	unsigned n = 0;
	const char *c = *text;

	for (; *c >= '0' && *c <= '9' && n <= UINT16_MAX; c++)
		n = n * 10 + (unsigned)(*c - '0');
	if (n == 0 || n > UINT16_MAX)
		return -EINVAL;
	*text = c;
	*ret = (uint16_t)n;
	return 0;
}

static const char *
parse_ports(const char *text, struct backend_ports *ret)
{
	static const char form[] =
	    "is not a port, or FIRST-LAST, of 1 to 65535";

	int r = parse_port(&text, &ret->first);

	ret->last = ret->first;
	if (r == 0 && *text == '-') {
		text++;
		r = parse_port(&text, &ret->last);
	}
	if (r < 0 || *text != '\0')
		return form;
	if (ret->last < ret->first)
		return "ends before it begins";
	return ret->last - ret->first < BACKEND_PORT_RANGE_MAX
	    ? NULL
	    : "is a range of more than 256 ports";
}

const char *
backend_ports_check(const char *text)
{
	struct backend_ports ignored;

	return parse_ports(text, &ignored);
}

int
backend_ports_parse(const char *text, struct backend_ports *ret)
{
	return parse_ports(text, ret) == NULL ? 0 : -EINVAL;
}

int
backend_key_parse(
    const char *bytes, size_t n, char ret[static BACKEND_KEY_MAX + 1])
{
	while (n > 0 && (bytes[n - 1] == '\n' || bytes[n - 1] == '\r'))
		n--;
	if (n == 0 || n > BACKEND_KEY_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (bytes[i] <= ' ' || bytes[i] > '~')
			return -EINVAL;
	memcpy(ret, bytes, n);
	ret[n] = '\0';
	return 0;
}
