// Moves commands and responses.  Trusts the TPM's length field only up to the
// size of its own buffer.
#include "attestd/tcti_fd.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "common/process.h"

enum { HEADER = 10, MAGIC = 0x6d6c };

bool
tcti_fd_is_conf(const char *conf, const char **ret_path, bool *ret_socket)
{
	static const char device[] = "device:", swtpm[] = "swtpm:path=";

	*ret_socket = strncmp(conf, swtpm, sizeof(swtpm) - 1) == 0;
	if (*ret_socket)
		*ret_path = conf + sizeof(swtpm) - 1;
	else if (strncmp(conf, device, sizeof(device) - 1) == 0)
		*ret_path = conf + sizeof(device) - 1;
	else
		return false;
	return **ret_path == '/' && strlen(*ret_path) < TCTI_PATH_MAX;
}

static int
connect_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	AUTO_FD fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -errno;
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) ==
	    -1)
		return -errno;
	return take_fd(&fd);
}

// 0 when ready, -ETIMEDOUT at the deadline, -EINTR before it.
static int
wait_for(struct tcti_fd *t, short events)
{
	struct pollfd p[] = { { .fd = t->fd, .events = events },
		{ .fd = t->interrupt_fd, .events = POLLIN } };
	nfds_t n_fds = t->is_interrupted == NULL ? 1 : 2;
	uint64_t now = clock_mono_ms();
	int n;

	do {
		if (now >= t->deadline_ms) {
			t->is_late = true;
			return -ETIMEDOUT;
		}
		n = poll(p, n_fds, (int)(t->deadline_ms - now));
		now = clock_mono_ms();
		if (n > 0 && p[0].revents == 0) {
			if (t->is_interrupted != NULL &&
			    t->is_interrupted(t->interrupt_fd)) {
				t->is_late = true;
				return -EINTR;
			}
			n_fds = 1; // something else; it can wait
			n = 0;
		}
	} while (n == 0 || (n == -1 && errno == EINTR));
	return n == -1 ? -errno : 0;
}

static TSS2_RC
transmit(TSS2_TCTI_CONTEXT *context, size_t len, const uint8_t *command)
{
	struct tcti_fd *t = (struct tcti_fd *)context;

	t->have = 0;
	while (len > 0) {
		// The sandbox allows write(2) for standard error only.
		struct iovec part = { (void *)(uintptr_t)command, len };
		ssize_t n = writev(t->fd, &part, 1);

		if (n > 0) {
			command += n;
			len -= (size_t)n;
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR) ||
		    wait_for(t, POLLOUT) < 0) {
			return TSS2_TCTI_RC_IO_ERROR;
		}
	}
	return TSS2_RC_SUCCESS;
}

static size_t
response_len(const struct tcti_fd *t)
{
	if (t->have < HEADER)
		return HEADER;
	return (size_t)t->response[2] << 24 | (size_t)t->response[3] << 16 |
	    (size_t)t->response[4] << 8 | (size_t)t->response[5];
}

static TSS2_RC
receive(TSS2_TCTI_CONTEXT *context, size_t *size, uint8_t *response,
    int32_t timeout)
{
	struct tcti_fd *t = (struct tcti_fd *)context;
	ssize_t n;

	(void)timeout; // the deadline is one for the whole operation
	if (response == NULL) {
		*size = sizeof(t->response);
		return TSS2_RC_SUCCESS;
	}
	while (t->have < HEADER || t->have < response_len(t)) {
		if (response_len(t) > sizeof(t->response))
			return TSS2_TCTI_RC_MALFORMED_RESPONSE;
		if (wait_for(t, POLLIN) < 0)
			return TSS2_TCTI_RC_IO_ERROR;
		n = read(t->fd, t->response + t->have,
		    sizeof(t->response) - t->have);
		if (n > 0)
			t->have += (size_t)n;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return TSS2_TCTI_RC_IO_ERROR;
	}
	if (t->have != response_len(t))
		return TSS2_TCTI_RC_MALFORMED_RESPONSE;
	if (t->have > *size)
		return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
	memcpy(response, t->response, t->have);
	*size = t->have;
	return TSS2_RC_SUCCESS;
}

static TSS2_RC
no_cancel(TSS2_TCTI_CONTEXT *context)
{
	(void)context;
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC
no_handles(
    TSS2_TCTI_CONTEXT *context, TSS2_TCTI_POLL_HANDLE *handles, size_t *n)
{
	(void)context;
	(void)handles;
	*n = 0;
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC
no_locality(TSS2_TCTI_CONTEXT *context, uint8_t locality)
{
	(void)context;
	(void)locality;
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

int
tcti_fd_open(struct tcti_fd *t, const char *conf)
{
	const char *path;
	bool is_socket;
	int fd;

	*t = (struct tcti_fd){ .fd = -1,
		.is_interrupted = t->is_interrupted,
		.interrupt_fd = t->interrupt_fd };
	if (!tcti_fd_is_conf(conf, &path, &is_socket))
		return -EINVAL;
	fd = is_socket ? connect_socket(path)
		       : open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return is_socket ? fd : -errno;
	t->fd = fd;
	t->common.magic = MAGIC;
	t->common.version = 1;
	t->common.transmit = transmit;
	t->common.receive = receive;
	t->common.cancel = no_cancel;
	t->common.getPollHandles = no_handles;
	t->common.setLocality = no_locality;
	return 0;
}

void
tcti_fd_close(struct tcti_fd *t)
{
	close_fd(&t->fd);
}
