// Hashes the running program and reads back what protects it.  It trusts the
// kernel; what it says is a daemon's word about itself, and worth as much as
// whoever started it.
#include "common/measure.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/process.h"

enum { CHUNK = 64 * 1024 };

static int
hash_image(uint8_t ret[static IMAGE_HASH_LEN])
{
	AUTO_FD fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	AUTO_FREE uint8_t *chunk = malloc(CHUNK);
	crypto_hash_sha256_state state;
	ssize_t n;

	if (fd == -1)
		return -errno;
	if (chunk == NULL)
		return -ENOMEM;
	(void)crypto_hash_sha256_init(&state);
	while ((n = read(fd, chunk, CHUNK)) > 0)
		(void)crypto_hash_sha256_update(
		    &state, chunk, (unsigned long long)n);
	if (n == -1)
		return -errno;
	(void)crypto_hash_sha256_final(&state, ret);
	return 0;
}

// Of this network namespace: /proc/self/net/dev has two lines of heading.
static bool
has_no_network(void)
{
	FILE *f = fopen("/proc/self/net/dev", "re");
	char line[512];
	unsigned n = 0;
	bool is_alone = true;

	if (f == NULL)
		return false;
	while (fgets(line, sizeof(line), f) != NULL)
		if (n++ >= 2 &&
		    strncmp(line + strspn(line, " "), "lo:", 3) != 0)
			is_alone = false;
	(void)fclose(f);
	return n >= 2 && is_alone;
}

int
measure_self(struct measure *ret)
{
	*ret = (struct measure){ 0 };
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0)
		ret->bits |= MEASURE_NOT_DUMPABLE;
#ifndef UNCONFINED
	// Nobody says that he is ready without it.
	ret->bits |= MEASURE_SECCOMP;
#endif
	if (has_no_network())
		ret->bits |= MEASURE_NO_NETWORK;
	ret->is_known = true;
	ret->stat_fd = -1;
	return hash_image(ret->image);
}

void
measure_keep_usage_or_die(struct measure *m)
{
	m->stat_fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	if (m->stat_fd == -1)
		fatal("/proc/self/stat", -errno);
}

void
measure_self_or_die(struct measure *ret, bool is_guarded)
{
	int r = measure_self(ret);

	if (r < 0)
		fatal("measure", r);
	if (is_guarded)
		ret->bits |= MEASURE_GUARDED;
}

void
measure_put(struct measure *m, Ipc__Ready *ready)
{
	if (!m->is_known)
		return;
	ready->has_image = true;
	ready->image.data = m->image;
	ready->image.len = IMAGE_HASH_LEN;
	ready->has_protection = true;
	ready->protection = m->bits;
}

struct measured
measured_of(const struct measure *m, enum ipc_role self, pid_t own_pid)
{
	struct measured ret = { .role = self,
		.is_known = m->is_known,
		.bits = m->bits,
		.pid = (uint32_t)own_pid,
		.stat_fd = m->stat_fd };

	memcpy(ret.image, m->image, IMAGE_HASH_LEN);
	return ret;
}

int
measured_send(struct ipc_peer *peer, const struct measured *m)
{
	Ipc__Measured msg = IPC__MEASURED__INIT;

	if (!m->is_known)
		return 0;
	msg.role = (uint32_t)m->role;
	msg.image.data = (uint8_t *)(uintptr_t)m->image;
	msg.image.len = IMAGE_HASH_LEN;
	msg.protection = m->bits;
	msg.pid = m->pid;
	if (m->attester[0] != '\0')
		msg.attester = (char *)(uintptr_t)m->attester;
	if (m->problem[0] != '\0')
		msg.problem = (char *)(uintptr_t)m->problem;
	return ipc_notify_lending(
	    peer, IPC__TYPE__IPC_MEASURED, &msg.base, m->stat_fd);
}

// Plain characters, as our own signer has them.
static bool
is_text(const char *text, size_t size)
{
	if (text == NULL)
		return true;
	if (strlen(text) >= size)
		return false;
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

int
measured_read(
    const Ipc__Measured *msg, enum ipc_role role, struct measured *ret)
{
	if (msg->role != (uint32_t)role || msg->image.len != IMAGE_HASH_LEN ||
	    (msg->protection & ~(uint32_t)MEASURE_ALL) != 0 ||
	    msg->pid > INT32_MAX ||
	    !is_text(msg->attester, sizeof(ret->attester)) ||
	    !is_text(msg->problem, sizeof(ret->problem)))
		return -EBADMSG;
	*ret = (struct measured){ .role = role,
		.is_known = true,
		.bits = msg->protection,
		.pid = msg->pid,
		.stat_fd = -1 };
	memcpy(ret->image, msg->image.data, IMAGE_HASH_LEN);
	if (msg->attester != NULL)
		memcpy(ret->attester, msg->attester, strlen(msg->attester));
	if (msg->problem != NULL)
		memcpy(ret->problem, msg->problem, strlen(msg->problem));
	return 0;
}

int
measured_take(struct ipc_frame *frame, const Ipc__Measured *msg,
    enum ipc_role role, struct measured *ret)
{
	struct measured before = *ret;
	int r = measured_read(msg, role, ret);

	if (r < 0)
		return r;
	if (before.is_known)
		close_fd(&before.stat_fd);
	ret->stat_fd = take_fd(&frame->fd);
	return 0;
}
