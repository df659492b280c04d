// Hashes the running program and reads back what protects it.  It trusts the
// kernel; what it says is a daemon's word about itself, and worth as much as
// whoever started it.
#include "common/measure.h"

#include <fcntl.h>
#include <sodium.h>
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

int
measure_self(struct measure *ret)
{
	*ret = (struct measure){ 0 };
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0)
		ret->bits |= MEASURE_NOT_DUMPABLE;
#ifndef SANITIZERS
	// Nobody says that he is ready without it.
	ret->bits |= MEASURE_SECCOMP;
#endif
	ret->is_known = true;
	return hash_image(ret->image);
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
