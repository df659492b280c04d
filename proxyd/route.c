// Allow-lists: paths, methods, hosts, origins.  What is not in them does not
// exist; nothing here looks at state.
#include "proxyd/route.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/values.h"
#include "proxyd/access.h"
#include "proxyd/multipart.h"

#define MODELS_PATH "/v1/models"

struct entry {
	const char *path;
	const char *method;
	enum endpoint endpoint;
	unsigned doors;
};

#define AT(door) (1u << (door))

// clang-format off
static const struct entry entries[] = {
	{ MODELS_PATH, "GET", ENDPOINT_MODELS, AT(DOOR_API) | AT(DOOR_TUNNEL) },
	{ "/v1/chat/completions", "POST", ENDPOINT_CHAT,
	    AT(DOOR_API) | AT(DOOR_TUNNEL) },
	{ "/v1/completions", "POST", ENDPOINT_COMPLETIONS,
	    AT(DOOR_API) | AT(DOOR_TUNNEL) },
	{ "/v1/embeddings", "POST", ENDPOINT_EMBEDDINGS,
	    AT(DOOR_API) | AT(DOOR_TUNNEL) },
	{ "/v1/responses", "POST", ENDPOINT_RESPONSES,
	    AT(DOOR_API) | AT(DOOR_TUNNEL) },
	{ "/v1/audio/transcriptions", "POST", ENDPOINT_TRANSCRIPTIONS,
	    AT(DOOR_API) | AT(DOOR_TUNNEL) },
	{ "/v1/audio/translations", "POST", ENDPOINT_TRANSLATIONS,
	    AT(DOOR_API) | AT(DOOR_TUNNEL) },
	{ "/v1/messages", "POST", ENDPOINT_MESSAGES,
	    AT(DOOR_API) | AT(DOOR_TUNNEL) },
	{ "/v1/messages/count_tokens", "POST", ENDPOINT_COUNT_TOKENS,
	    AT(DOOR_API) | AT(DOOR_TUNNEL) },
	{ "/api/status", "GET", ENDPOINT_STATUS, AT(DOOR_MANAGEMENT) },
	{ "/healthz", "GET", ENDPOINT_HEALTH, AT(DOOR_MANAGEMENT) },
	{ "/readyz", "GET", ENDPOINT_READY, AT(DOOR_MANAGEMENT) },
	{ "/version", "GET", ENDPOINT_VERSION, AT(DOOR_MANAGEMENT) },
	{ "/metrics", "GET", ENDPOINT_METRICS, AT(DOOR_MANAGEMENT) },
	{ "/api/events", "GET", ENDPOINT_EVENTS, AT(DOOR_MANAGEMENT) },
};
// clang-format on

const char *
endpoint_path(enum endpoint endpoint)
{
	for (size_t i = 0; i < N_ELEMENTS(entries); i++)
		if (entries[i].endpoint == endpoint)
			return entries[i].path;
	return "/";
}

static struct route
with_method(
    const struct http_request *request, const char *method, struct route found)
{
	if (slice_is(request->method, method))
		return found;
	return (struct route){ .allow = method };
}

// What stands behind the prefix; NULL at: something else, or nothing.
static struct slice
behind(struct slice path, const char *prefix)
{
	size_t n = strlen(prefix);

	if (path.len <= n || memcmp(path.at, prefix, n) != 0)
		return (struct slice){ NULL, 0 };
	return (struct slice){ path.at + n, path.len - n };
}

struct route
route_find(enum door door, const struct http_request *request)
{
	struct route found = { .endpoint = ENDPOINT_NONE };

	for (size_t i = 0; i < N_ELEMENTS(entries); i++) {
		const struct entry *e = &entries[i];

		if ((e->doors & AT(door)) == 0 ||
		    !slice_is(request->path, e->path))
			continue;
		found.endpoint = e->endpoint;
		return with_method(request, e->method, found);
	}
	if (door == DOOR_API) {
		found.endpoint = ENDPOINT_MODEL;
		found.model = behind(request->path, MODELS_PATH "/");
	} else if (door == DOOR_MANAGEMENT) {
		found.endpoint = ENDPOINT_EVIDENCE;
		found.model = behind(request->path, "/api/evidence/");
	}
	if (found.model.at == NULL)
		return (struct route){ .endpoint = ENDPOINT_NONE };
	return with_method(request, "GET", found);
}

// Split off ":port"; -EINVAL if what follows the colon is no number.
static int
split_port(struct slice *host)
{
	size_t i = host->len;

	while (i > 0 && host->at[i - 1] >= '0' && host->at[i - 1] <= '9')
		i--;
	if (i == 0 || host->at[i - 1] != ':') // no port
		return 0;
	// Colons inside brackets, or of a bare IPv6 address, are no port.
	if (memchr(host->at, ':', i - 1) != NULL && host->at[i - 2] != ']')
		return -EINVAL;
	host->len = i - 1;
	return 0;
}

static bool
host_is_bound(const char *text, const struct address *bound)
{
	struct in_addr v4;
	struct in6_addr v6;

	bool is_v4 = inet_pton(AF_INET, text, &v4) == 1;
	bool is_v6 = !is_v4 && inet_pton(AF_INET6, text, &v6) == 1;

	if (address_is_any(bound))
		return is_v4 || is_v6;
	if (bound->sa.sa_family == AF_INET)
		return is_v4 && v4.s_addr == bound->in.sin_addr.s_addr;
	return is_v6 && memcmp(&v6, &bound->in6.sin6_addr, sizeof(v6)) == 0;
}

bool
host_is_ours(
    struct slice host, const struct address *bound, const struct access *access)
{
	char text[VALUE_HOST_MAX + 1];
	struct in_addr v4;
	struct in6_addr v6;

	if (host.at == NULL || split_port(&host) < 0)
		return false;
	if (host.len >= 2 && host.at[0] == '[' &&
	    host.at[host.len - 1] == ']') {
		host.at++;
		host.len -= 2;
	}
	if (host.len == 0 || host.len >= sizeof(text))
		return false;
	memcpy(text, host.at, host.len);
	text[host.len] = '\0';
	if (strcasecmp(text, "localhost") == 0 || access_has_host(access, text))
		return true;
	if (inet_pton(AF_INET, text, &v4) == 1 &&
	    (ntohl(v4.s_addr) >> 24) == 127)
		return true;
	if (inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6))
		return true;
	return host_is_bound(text, bound);
}

bool
request_is_cross_origin(const struct http_request *request)
{
	const struct http_field *origin =
	    http_fields_find(&request->fields, "Origin");
	static const char scheme[] = "http://";
	struct slice rest;

	for (size_t i = 0; i < request->fields.n; i++) {
		const struct http_field *f = &request->fields.at[i];

		if (slice_is_nocase(f->name, "Sec-Fetch-Site") &&
		    !slice_is(f->value, "same-origin") &&
		    !slice_is(f->value, "none"))
			return true;
	}
	if (origin == NULL)
		return false;
	// Only a page that we served ourselves would have our own origin.
	if (origin->value.len < sizeof(scheme) - 1 ||
	    memcmp(origin->value.at, scheme, sizeof(scheme) - 1) != 0)
		return true;
	rest = (struct slice){ origin->value.at + sizeof(scheme) - 1,
		origin->value.len - (sizeof(scheme) - 1) };
	return request->host.at == NULL || rest.len != request->host.len ||
	    memcmp(rest.at, request->host.at, rest.len) != 0;
}

bool
content_type_is_json(const struct http_fields *fields)
{
	static const char json[] = "application/json";
	const struct http_field *f = NULL;
	size_t n = sizeof(json) - 1;

	if (!http_fields_find_once(fields, "Content-Type", &f) || f == NULL ||
	    f->value.len < n || strncasecmp(f->value.at, json, n) != 0)
		return false;
	return f->value.len == n || f->value.at[n] == ';' ||
	    f->value.at[n] == ' ' || f->value.at[n] == '\t';
}

static bool
content_type_is_form(const struct http_fields *fields, struct slice *ret)
{
	const struct http_field *f = NULL;

	return http_fields_find_once(fields, "Content-Type", &f) && f != NULL &&
	    multipart_boundary(f->value, ret) == 0;
}

const char *
content_refusal(enum endpoint endpoint, const struct http_fields *fields,
    struct slice *ret_boundary)
{
	if (!endpoint_has_form(endpoint) && !content_type_is_json(fields))
		return "Content-Type must be application/json, once";
	if (endpoint_has_form(endpoint) &&
	    !content_type_is_form(fields, ret_boundary))
		return "Content-Type must be multipart/form-data with a "
		       "boundary, once";
	for (size_t i = 0; i < fields->n; i++)
		if (slice_is_nocase(fields->at[i].name, "Content-Encoding") &&
		    !slice_is_nocase(fields->at[i].value, "identity"))
			return "the body must not be compressed";
	return NULL;
}
