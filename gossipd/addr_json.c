// Endpoint addresses as JSON.  The text comes from strangers: its length is
// limited before it is parsed, and one damaged member fails the whole value,
// as it does in the reference.  Nothing here resolves names or dials.
#include "gossipd/addr_json.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static int
parse_id_hex(const char *text, uint8_t ret[static ENDPOINT_ID_LEN])
{
	size_t len;

	if (strspn(text, "0123456789abcdef") != ENDPOINT_ID_HEX_LEN)
		return -EBADMSG;
	if (sodium_hex2bin(ret, ENDPOINT_ID_LEN, text, ENDPOINT_ID_HEX_LEN,
		NULL, &len, NULL) != 0 ||
	    len != ENDPOINT_ID_LEN)
		return -EBADMSG;
	return 0;
}

static int
base32_value(char c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= '2' && c <= '7')
		return c - '2' + 26;
	return -1;
}

// RFC 4648, section 6, without padding; the 4 bits left over must be zero.
static int
parse_id_base32(const char *text, uint8_t ret[static ENDPOINT_ID_LEN])
{
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t n = 0;
	int v;

	for (; *text != '\0'; text++) {
		if ((v = base32_value(*text)) < 0)
			return -EBADMSG;
		acc = (acc << 5 | (uint32_t)v) & 0xfff;
		bits += 5;
		if (bits < 8)
			continue;
		bits -= 8;
		if (n == ENDPOINT_ID_LEN)
			return -EBADMSG;
		ret[n++] = (uint8_t)(acc >> bits);
	}
	return n == ENDPOINT_ID_LEN && (acc & ((1u << bits) - 1)) == 0
	    ? 0
	    : -EBADMSG;
}

static int
parse_id(const json_t *value, uint8_t ret[static ENDPOINT_ID_LEN])
{
	const char *text = json_string_value(value);
	size_t len;

	if (text == NULL)
		return -EBADMSG;
	len = json_string_length(value);
	if (len == ENDPOINT_ID_HEX_LEN)
		return parse_id_hex(text, ret);
	return len == 52 ? parse_id_base32(text, ret) : -EBADMSG;
}

// Decimal without sign; a leading zero is the reference's, too.
static int
parse_decimal(const char *text, uint32_t max, uint32_t *ret)
{
	uint64_t v = 0;
	size_t n = strspn(text, "0123456789");

	if (n == 0 || n > 10 || text[n] != '\0')
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		v = v * 10 + (uint64_t)(text[i] - '0');
	if (v > max)
		return -EINVAL;
	*ret = (uint32_t)v;
	return 0;
}

static int
parse_v4(char *host, uint16_t port, struct address *ret)
{
	ret->len = sizeof(ret->in);
	ret->in.sin_family = AF_INET;
	ret->in.sin_port = htons(port);
	return inet_pton(AF_INET, host, &ret->in.sin_addr) == 1 ? 0 : -EINVAL;
}

// host: "[...]" with an optional numeric scope.
static int
parse_v6(char *host, uint16_t port, struct address *ret)
{
	size_t len = strlen(host);
	char *scope;
	int r;

	if (len < 2 || host[len - 1] != ']')
		return -EINVAL;
	host[len - 1] = '\0';
	host++;
	ret->len = sizeof(ret->in6);
	ret->in6.sin6_family = AF_INET6;
	ret->in6.sin6_port = htons(port);
	if ((scope = strchr(host, '%')) != NULL) {
		*scope++ = '\0';
		r = parse_decimal(scope, UINT32_MAX, &ret->in6.sin6_scope_id);
		if (r < 0)
			return r;
	}
	return inet_pton(AF_INET6, host, &ret->in6.sin6_addr) == 1 ? 0
								   : -EINVAL;
}

int
addr_parse(const char *text, struct address *ret)
{
	char host[ADDR_TEXT_MAX], *colon;
	uint32_t port;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (strlen(text) >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, strlen(text) + 1);
	if ((colon = strrchr(host, ':')) == NULL)
		return -EINVAL;
	*colon = '\0';
	if ((r = parse_decimal(colon + 1, UINT16_MAX, &port)) < 0)
		return r;
	if (host[0] == '[')
		return parse_v6(host, (uint16_t)port, ret);
	return parse_v4(host, (uint16_t)port, ret);
}

void
addr_format(const struct address *a, char ret[static ADDR_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN] = "", scope[16] = "";

	if (a->sa.sa_family == AF_INET) {
		(void)inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof(host));
		(void)snprintf(
		    ret, ADDR_TEXT_MAX, "%s:%u", host, ntohs(a->in.sin_port));
		return;
	}
	(void)inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
	if (a->in6.sin6_scope_id != 0)
		(void)snprintf(
		    scope, sizeof(scope), "%%%u", a->in6.sin6_scope_id);
	(void)snprintf(ret, ADDR_TEXT_MAX, "[%s%s]:%u", host, scope,
	    ntohs(a->in6.sin6_port));
}

// IPv4 before IPv6, then by address and port.
static int
compare(const struct address *a, const struct address *b)
{
	bool a4 = a->sa.sa_family == AF_INET, b4 = b->sa.sa_family == AF_INET;
	int c;

	if (a4 != b4)
		return a4 ? -1 : 1;
	if (a4) {
		c = memcmp(&a->in.sin_addr, &b->in.sin_addr, 4);
		return c != 0 ? c
			      : ntohs(a->in.sin_port) - ntohs(b->in.sin_port);
	}
	c = memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16);
	if (c == 0)
		c = ntohs(a->in6.sin6_port) - ntohs(b->in6.sin6_port);
	if (c == 0)
		c = (a->in6.sin6_scope_id > b->in6.sin6_scope_id) -
		    (a->in6.sin6_scope_id < b->in6.sin6_scope_id);
	return c;
}

bool
addr_equal(const struct address *a, const struct address *b)
{
	return compare(a, b) == 0;
}

bool
addr_is_dialable(const struct address *a)
{
	uint32_t v4;

	if (a->sa.sa_family == AF_INET) {
		v4 = ntohl(a->in.sin_addr.s_addr);
		return a->in.sin_port != 0 && v4 != INADDR_ANY &&
		    v4 != INADDR_BROADCAST && !IN_MULTICAST(v4);
	}
	return a->sa.sa_family == AF_INET6 && a->in6.sin6_port != 0 &&
	    !IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr) &&
	    !IN6_IS_ADDR_MULTICAST(&a->in6.sin6_addr) &&
	    !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr);
}

// An absolute URL, no more is known of it here: scheme, "://", something.
static int
add_relay(const json_t *value, struct endpoint_addr *ret)
{
	const char *url = json_string_value(value);
	size_t len, scheme;

	if (url == NULL)
		return -EBADMSG;
	len = json_string_length(value);
	scheme = strspn(url,
	    "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
	if (scheme == 0 || strncmp(url + scheme, "://", 3) != 0 ||
	    len <= scheme + 3)
		return -EBADMSG;
	// Characters that would need escaping cannot be in a normalised URL.
	for (size_t i = 0; i < len; i++)
		if (url[i] <= ' ' || url[i] == '"' || url[i] == '\\' ||
		    url[i] == 0x7f)
			return -EBADMSG;
	if (len > ADDR_JSON_RELAY_MAX || ret->n_relays == ADDR_JSON_RELAYS_MAX)
		return 0;
	memcpy(ret->relays[ret->n_relays++], url, len + 1);
	return 0;
}

static int
add_ip(const json_t *value, struct endpoint_addr *ret)
{
	const char *text = json_string_value(value);
	struct address addr;

	if (text == NULL || addr_parse(text, &addr) < 0)
		return -EBADMSG;
	if (ret->n_addrs == ADDR_JSON_ADDRS_MAX)
		return 0;
	for (size_t i = 0; i < ret->n_addrs; i++)
		if (addr_equal(&ret->addrs[i], &addr))
			return 0;
	ret->addrs[ret->n_addrs++] = addr;
	return 0;
}

static int
check_custom(const json_t *value)
{
	return json_is_number(json_object_get(value, "id")) &&
		json_is_object(json_object_get(value, "data"))
	    ? 0
	    : -EBADMSG;
}

static int
add_entry(json_t *entry, struct endpoint_addr *ret)
{
	void *member = json_object_iter(entry);
	const char *key;

	if (!json_is_object(entry) || json_object_size(entry) != 1)
		return -EBADMSG;
	key = json_object_iter_key(member);
	if (strcmp(key, "Relay") == 0)
		return add_relay(json_object_iter_value(member), ret);
	if (strcmp(key, "Ip") == 0)
		return add_ip(json_object_iter_value(member), ret);
	if (strcmp(key, "Custom") == 0)
		return check_custom(json_object_iter_value(member));
	return -EBADMSG;
}

static int
read_document(
    const json_t *doc, struct endpoint_addr *ret, const char **ret_reason)
{
	const json_t *addrs = json_object_get(doc, "addrs");

	*ret_reason = "endpoint id missing or damaged";
	if (parse_id(json_object_get(doc, "id"), ret->id) < 0)
		return -EBADMSG;
	*ret_reason = "addrs missing or damaged";
	if (!json_is_array(addrs))
		return -EBADMSG;
	for (size_t i = 0; i < json_array_size(addrs); i++)
		if (add_entry(json_array_get(addrs, i), ret) < 0)
			return -EBADMSG;
	*ret_reason = NULL;
	return 0;
}

int
addr_json_parse(const char *text, size_t len, struct endpoint_addr *ret,
    const char **ret_reason)
{
	json_error_t error;
	json_t *doc;
	int r;

	memset(ret, 0, sizeof(*ret));
	*ret_reason = "too long";
	if (len > ADDR_JSON_MAX)
		return -E2BIG;
	*ret_reason = "not JSON";
	doc = json_loadb(text, len,
	    JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
	if (doc == NULL)
		return -EBADMSG;
	*ret_reason = "not an object";
	r = json_is_object(doc) ? read_document(doc, ret, ret_reason)
				: -EBADMSG;
	json_decref(doc);
	return r;
}

struct writer {
	char *out;
	size_t size, len;
	bool full;
};

static void
put(struct writer *w, const char *text)
{
	size_t n = strlen(text);

	if (w->full || n >= w->size - w->len) {
		w->full = true;
		return;
	}
	memcpy(w->out + w->len, text, n + 1);
	w->len += n;
}

static void
put_entry(struct writer *w, bool *first, const char *kind, const char *value)
{
	put(w, *first ? "{\"" : ",{\"");
	put(w, kind);
	put(w, "\":\"");
	put(w, value);
	put(w, "\"}");
	*first = false;
}

static void
put_sorted(struct writer *w, bool *first, const struct endpoint_addr *a)
{
	const struct address *last = NULL, *next;
	char text[ADDR_TEXT_MAX];

	for (;;) { // at most 16 addresses: selection is enough
		next = NULL;
		for (size_t i = 0; i < a->n_addrs; i++)
			if ((last == NULL || compare(&a->addrs[i], last) > 0) &&
			    (next == NULL || compare(&a->addrs[i], next) < 0))
				next = &a->addrs[i];
		if (next == NULL)
			return;
		addr_format(next, text);
		put_entry(w, first, "Ip", text);
		last = next;
	}
}

int
addr_json_write(
    const struct endpoint_addr *a, char *ret, size_t size, size_t *ret_len)
{
	struct writer w = { .out = ret, .size = size };
	char hex[ENDPOINT_ID_HEX_LEN + 1];
	bool first = true, swap;

	if (size == 0)
		return -ENOSPC;
	sodium_bin2hex(hex, sizeof(hex), a->id, ENDPOINT_ID_LEN);
	put(&w, "{\"id\":\"");
	put(&w, hex);
	put(&w, "\",\"addrs\":[");
	swap = a->n_relays == 2 && strcmp(a->relays[0], a->relays[1]) > 0;
	for (size_t i = 0; i < a->n_relays; i++)
		put_entry(&w, &first, "Relay", a->relays[swap ? 1 - i : i]);
	put_sorted(&w, &first, a);
	put(&w, "]}");
	*ret_len = w.len;
	return w.full ? -ENOSPC : 0;
}
