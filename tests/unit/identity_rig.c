// Makes and removes the state directory of a test's identity; see the header.
#include "tests/unit/identity_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int
fixture_open(struct fixture *f)
{
	int r = state_init(&f->files, f->state);

	f->files.credentials = f->credentials;
	if (r == 0)
		r = identity_open(&f->id, f->pool, &f->files, now_ms);
	state_done(&f->files);
	return r;
}

void
fixture_close(struct fixture *f)
{
	identity_free(f->id);
	f->id = NULL;
}

int
fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL || secret_pool_new(&f->pool, 64, SECRET_BEST) < 0)
		return -1;
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/identity_test.XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	(void)snprintf(f->state, sizeof(f->state), "%s/state", f->dir);
	(void)snprintf(
	    f->identity, sizeof(f->identity), "%s/identity", f->state);
	(void)snprintf(
	    f->sequence, sizeof(f->sequence), "%s/sequence", f->state);
	(void)snprintf(f->other, sizeof(f->other), "%s/other", f->state);
	*state = f;
	return 0;
}

int
fixture_setup_started(void **state)
{
	struct fixture *f;

	if (fixture_setup(state) < 0)
		return -1;
	f = *state;
	if (fixture_open(f) < 0)
		return -1;
	fixture_close(f);
	return 0;
}

int
fixture_teardown(void **state)
{
	struct fixture *f = *state;
	bool all_back;

	fixture_close(f);
	all_back = secret_pool_left(f->pool) == 64;
	secret_pool_free(f->pool);
	(void)unlink(f->identity);
	(void)rmdir(f->identity);
	(void)unlink(f->sequence);
	(void)unlink(f->other);
	(void)chmod(f->state, 0700);
	(void)rmdir(f->state);
	(void)unlink(f->state);
	(void)rmdir(f->dir);
	free(f);
	return all_back ? 0 : -1;
}
