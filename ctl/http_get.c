// One GET, blocking, with one deadline for all of it.  Trusts the answer no
// more than any: it is bounded, and refused when it is not exactly what our
// own proxyd sends.  It must never follow a redirect or resolve a name.
#include "ctl/http_get.h"

#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/process.h"

enum { HTTP_GET_MAX = HTTP_GET_HEAD_MAX + HTTP_GET_BODY_MAX };

static int
wait_for(int fd, short events, uint64_t until_ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		uint64_t now = clock_mono_ms();
		int n;

		if (now >= until_ms)
			return -ETIMEDOUT;
		n = poll(&p, 1, (int)(until_ms - now));
		if (n == -1 && errno != EINTR)
			return -errno;
		if (n > 0)
			return 0;
	}
}

static int
open_connection(const struct address *a, uint64_t until_ms, int *ret)
{
	AUTO_FD fd = socket(
	    a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len;
	int error = 0, r;

	if (fd == -1)
		return -errno;
	if (connect(fd, &a->sa, a->len) == -1) {
		if (errno != EINPROGRESS)
			return -errno;
		if ((r = wait_for(fd, POLLOUT, until_ms)) < 0)
			return r;
		len = sizeof(error);
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
			return -errno;
		if (error != 0)
			return -error;
	}
	*ret = take_fd(&fd);
	return 0;
}

static int
send_all(int fd, const char *text, uint64_t until_ms)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t n = send(fd, text, left, MSG_NOSIGNAL);
		int r;

		if (n >= 0) {
			text += n;
			left -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if ((r = wait_for(fd, POLLOUT, until_ms)) < 0)
			return r;
	}
	return 0;
}

static int
receive_all(
    int fd, char *bytes, size_t size, uint64_t until_ms, size_t *ret_len)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = recv(fd, bytes + len, size - len, 0);
		int r;

		if (n == 0)
			break;
		if (n > 0) {
			len += (size_t)n;
			if (len == size)
				return -EMSGSIZE;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if ((r = wait_for(fd, POLLIN, until_ms)) < 0)
			return r;
	}
	*ret_len = len;
	return 0;
}

int
http_get(const struct address *a, const char *path, char **ret_bytes,
    struct http_answer *ret)
{
	uint64_t until_ms = clock_mono_ms() + HTTP_GET_DEADLINE_MS;
	char host[ADDRESS_TEXT_MAX] = "", request[256];
	AUTO_FREE char *bytes = NULL;
	AUTO_FD fd = -1;
	size_t len = 0;
	int r;

	if ((r = address_format(&a->sa, a->len, host)) < 0)
		return r;
	r = snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n"
	    "Connection: close\r\n\r\n",
	    path, host);
	if (r < 0 || (size_t)r >= sizeof(request))
		return -EINVAL;
	if ((bytes = malloc(HTTP_GET_MAX + 1)) == NULL)
		return -ENOMEM;
	if ((r = open_connection(a, until_ms, &fd)) < 0 ||
	    (r = send_all(fd, request, until_ms)) < 0 ||
	    (r = receive_all(fd, bytes, HTTP_GET_MAX, until_ms, &len)) < 0 ||
	    (r = http_answer_parse(bytes, len, ret)) < 0)
		return r;
	*ret_bytes = bytes;
	bytes = NULL;
	return 0;
}

// ---- the answer

// The line at *at without its end, which must be CRLF; *at is moved on.
static const char *
take_line(const char **at, const char *end, size_t *ret_len)
{
	const char *line = *at;
	const char *newline = memchr(line, '\n', (size_t)(end - line));

	if (newline == NULL || newline == line || newline[-1] != '\r')
		return NULL;
	*at = newline + 1;
	*ret_len = (size_t)(newline - 1 - line);
	return line;
}

// RFC 9112, section 4: HTTP-version SP status-code SP [reason].
static int
parse_status_line(const char *line, size_t len, unsigned *ret)
{
	static const char version[] = "HTTP/1.1 ";
	size_t n = sizeof(version) - 1;
	unsigned status = 0;

	if (len < n + 3 || memcmp(line, version, n) != 0)
		return -EBADMSG;
	for (size_t i = n; i < n + 3; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -EBADMSG;
		status = status * 10 + (unsigned)(line[i] - '0');
	}
	if ((len > n + 3 && line[n + 3] != ' ') || status < 100 || status > 599)
		return -EBADMSG;
	*ret = status;
	return 0;
}

static bool
has_name(const char *line, size_t len, const char *name)
{
	size_t n = strlen(name);

	return len > n && line[n] == ':' && strncasecmp(line, name, n) == 0;
}

static int
parse_length(const char *value, size_t len, size_t *ret)
{
	size_t n = 0, digits = 0;

	while (len > 0 && (*value == ' ' || *value == '\t')) {
		value++;
		len--;
	}
	while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		len--;
	for (; digits < len; digits++) {
		if (value[digits] < '0' || value[digits] > '9' || digits > 9)
			return -EBADMSG;
		n = n * 10 + (size_t)(value[digits] - '0');
	}
	if (digits == 0)
		return -EBADMSG;
	*ret = n;
	return 0;
}

int
http_answer_parse(const char *bytes, size_t len, struct http_answer *ret)
{
	const char *at = bytes, *end = bytes + len, *line;
	struct http_answer answer = { 0 };
	bool has_length = false;
	size_t n = 0;

	if ((line = take_line(&at, end, &n)) == NULL ||
	    parse_status_line(line, n, &answer.status) < 0)
		return -EBADMSG;
	while ((line = take_line(&at, end, &n)) != NULL && n > 0) {
		if (has_name(line, n, "Transfer-Encoding"))
			return -EBADMSG;
		if (!has_name(line, n, "Content-Length"))
			continue;
		if (has_length ||
		    parse_length(line + 15, n - 15, &answer.body_len) < 0)
			return -EBADMSG;
		has_length = true;
	}
	if (line == NULL || !has_length ||
	    answer.body_len != (size_t)(end - at))
		return -EBADMSG;
	answer.body = at;
	*ret = answer;
	return 0;
}
