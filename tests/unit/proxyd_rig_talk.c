// What a client, a host and an opener say, byte by byte.
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/address.h"
#include "proxyd/b64.h"
#include "proxyd/http_body.h"
#include "proxyd/http_head.h"
#include "proxyd/sealed_v1.h"
#include "tests/unit/proxyd_rig.h"

void
write_all(int fd, const void *data, size_t n)
{
	const uint8_t *at = data;

	while (n > 0) {
		ssize_t r = send(fd, at, n, MSG_NOSIGNAL);

		if (r <= 0)
			return; // the other side had enough
		at += r;
		n -= (size_t)r;
	}
}

// ---- HTTP

int
http_connect(const char *text)
{
	struct address a;
	int fd;

	assert_int_equal(address_parse(text, &a), 0);
	fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &a.sa, a.len), 0);
	return fd;
}

void
http_send(int fd, const char *format, ...)
{
	static char text[256 * 1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert_true(n >= 0 && (size_t)n < sizeof(text));
	write_all(fd, text, (size_t)n);
}

int
http_post(struct rig *rig, const char *path, const char *body)
{
	int fd = http_connect(rig->api);

	http_send(fd,
	    "POST %s HTTP/1.1\r\nHost: localhost\r\n"
	    "Authorization: Bearer hidden\r\nCookie: hidden\r\n"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	    path, strlen(body), body);
	return fd;
}

// Bytes, 0 at the end; runs the fakes while it waits.
static ssize_t
read_some(struct rig *rig, int fd, struct buf *to)
{
	uint64_t until = clock_mono_ms() + RIG_WAIT_MS;
	uint8_t *at;
	ssize_t n;

	assert_int_equal(buf_reserve(to, 65536, &at), 0);
	for (;;) {
		n = recv(fd, at, 65536, MSG_DONTWAIT);
		if (n >= 0)
			break;
		if (errno != EAGAIN)
			return 0; // reset counts as an end
		if (clock_mono_ms() > until)
			fail_msg("nothing to read in time");
		rig_turn(rig);
	}
	buf_commit(to, (size_t)n);
	return n;
}

static bool
body_is_complete(const struct reply *reply, size_t head_len, bool at_end)
{
	struct http_response response;
	struct http_refusal why;
	struct http_body body;
	struct http_piece piece;
	const uint8_t *in = buf_data(&reply->bytes) + head_len;
	size_t len = buf_len(&reply->bytes) - head_len;

	if (http_response_parse(
		buf_data(&reply->bytes), head_len, false, &response, &why) < 0)
		return false;
	http_body_init(&body, response.framing, response.length);
	while (len > 0 && !http_body_is_done(&body)) {
		if (http_body_read(&body, in, len, &piece) < 0)
			return false;
		in += piece.used;
		len -= piece.used;
	}
	if (http_body_is_done(&body))
		return true;
	return at_end && http_body_end(&body) == 0;
}

void
http_read(struct rig *rig, int fd, struct reply *ret)
{
	size_t scanned = 0, head = 0;
	bool at_end = false;
	uint8_t *z;

	memset(ret, 0, sizeof(*ret));
	buf_init(&ret->bytes, 64 * 1024 * 1024);
	while (!at_end) {
		at_end = read_some(rig, fd, &ret->bytes) == 0;
		if (head == 0 &&
		    http_head_find(buf_data(&ret->bytes), buf_len(&ret->bytes),
			&scanned, &head) < 0)
			continue;
		ret->is_complete = body_is_complete(ret, head, at_end);
		if (ret->is_complete)
			break;
	}
	assert_int_equal(buf_reserve(&ret->bytes, 1, &z), 0);
	*z = '\0';
	ret->head = (const char *)buf_data(&ret->bytes);
	ret->body = ret->head + head;
	if (head > 0)
		ret->status = atoi(ret->head + sizeof("HTTP/1.1"));
}

void
reply_done(struct reply *reply)
{
	buf_release(&reply->bytes);
}

bool
reply_has(const struct reply *reply, const char *text)
{
	return strstr(reply->head, text) != NULL;
}

void
http_ask(struct rig *rig, const char *path, const char *body, struct reply *ret)
{
	int fd = http_post(rig, path, body);

	http_read(rig, fd, ret);
	(void)close(fd);
}

void
http_get(
    struct rig *rig, const char *address, const char *path, struct reply *ret)
{
	int fd = http_connect(address);

	http_send(fd, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
	http_read(rig, fd, ret);
	(void)close(fd);
}

// ---- the host's side

void
host_read(struct rig *rig, int tunnel, const struct node *node,
    struct buf *ret_plain, uint8_t ret_key[static REQUEST_KEY_LEN])
{
	struct sealed_envelope envelope;
	struct buf in;
	uint8_t *at, *text;
	size_t room, n;

	buf_init(&in, SEALED_ENVELOPE_MAX);
	while (read_some(rig, tunnel, &in) > 0)
		;
	sealed_envelope_init(&envelope, SEALED_ENVELOPE_MAX);
	assert_int_equal(
	    sealed_envelope_reserve(&envelope, buf_len(&in), &at, &room), 0);
	memcpy(at, buf_data(&in), buf_len(&in));
	sealed_envelope_commit(&envelope, buf_len(&in));
	buf_release(&in);
	assert_int_equal(sealed_envelope_parse(&envelope), 0);
	assert_int_equal(
	    crypto_box_beforenm(ret_key, envelope.ephemeral_key, node->secret),
	    0);
	assert_int_equal(
	    sealed_envelope_open(&envelope, ret_key, &text, &n), 0);
	buf_init(ret_plain, SEALED_ENVELOPE_MAX);
	assert_int_equal(buf_append(ret_plain, text, n), 0);
	assert_int_equal(buf_append(ret_plain, "", 1), 0);
	sealed_envelope_done(&envelope);
}

void
host_header(int tunnel, const uint8_t key[static INFERENCE_KEY_LEN])
{
	uint8_t header[SEALED_ANSWER_HEADER_LEN];

	sealed_writer_header(key, header);
	write_all(tunnel, header, sizeof(header));
}

void
host_chunk(
    int tunnel, const uint8_t key[static REQUEST_KEY_LEN], const char *text)
{
	uint8_t block[SEALED_CHUNK_ROOM + 4096];
	struct sealed_writer writer;
	size_t n = strlen(text);

	assert_true(n <= 4096);
	sealed_writer_init(&writer, key);
	memcpy(block + SEALED_CHUNK_ROOM, text, n);
	n = sealed_writer_seal(&writer, block, n);
	write_all(tunnel, block, n);
	sealed_writer_done(&writer);
}

void
host_end(int tunnel)
{
	write_all(tunnel, sealed_end_mark, sizeof(sealed_end_mark));
}

// ---- the opener's side

void
opener_write(int tunnel, const struct node *to, const char *plain,
    uint8_t ret_key[static REQUEST_KEY_LEN])
{
	struct sealed_request request;
	uint8_t public[32], secret[32], piece[4096];
	struct buf body;
	size_t n;

	assert_int_equal(crypto_box_keypair(public, secret), 0);
	assert_int_equal(crypto_box_beforenm(ret_key, to->key, secret), 0);
	buf_init(&body, SEALED_ENVELOPE_MAX);
	assert_int_equal(buf_append(&body, plain, strlen(plain)), 0);
	assert_int_equal(sealed_request_init(&request, &body,
			     (struct slice){ "m", 1 }, public, ret_key),
	    0);
	while ((n = sealed_request_next(&request, piece, sizeof(piece))) > 0)
		write_all(tunnel, piece, n);
	(void)shutdown(tunnel, SHUT_WR);
	sealed_request_done(&request);
	buf_release(&body);
}

bool
opener_read(struct rig *rig, int tunnel, const struct node *node,
    const uint8_t key[static REQUEST_KEY_LEN], struct buf *ret_plain)
{
	struct sealed_answer answer;
	struct buf in;
	uint8_t *at;
	size_t len;
	bool is_whole;
	int r;

	buf_init(&in, 64 * 1024 * 1024);
	buf_init(ret_plain, 64 * 1024 * 1024);
	while (read_some(rig, tunnel, &in) > 0)
		;
	sealed_answer_init(&answer, node->key, key);
	assert_int_equal(
	    sealed_answer_reserve(&answer, buf_len(&in) + 1, &at), 0);
	memcpy(at, buf_data(&in), buf_len(&in));
	sealed_answer_commit(&answer, buf_len(&in));
	while ((r = sealed_answer_next(&answer, &at, &len)) == 0)
		assert_int_equal(buf_append(ret_plain, at, len), 0);
	is_whole = r == -EAGAIN && sealed_answer_end(&answer) == 0;
	assert_int_equal(buf_append(ret_plain, "", 1), 0);
	sealed_answer_done(&answer);
	buf_release(&in);
	return is_whole;
}
