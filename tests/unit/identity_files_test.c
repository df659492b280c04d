// The files that an identity is kept in: made once, found again, a credential
// of systemd in their place; and refused, with the reason, when others could
// have read or changed them, or when they are damaged.
#include "cryptod/identity.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/identity_rig.h"

enum { SOMEBODY = 65534 };

static void
assert_refused(struct fixture *f, const char *file, const char *reason)
{
	char wanted[256];

	assert_true(fixture_open(f) < 0);
	(void)snprintf(wanted, sizeof(wanted), "%s: %s", file, reason);
	assert_string_equal(f->files.error, wanted);
}

static void
write_file(const char *path, const void *bytes, size_t len)
{
	AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
}

static void
read_identity(struct fixture *f, uint8_t ret[static IDENTITY_FILE_LEN])
{
	AUTO_FD fd = open(f->identity, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, ret, IDENTITY_FILE_LEN), IDENTITY_FILE_LEN);
}

static void
is_made_at_the_first_start_and_kept(void **state)
{
	struct fixture *f = *state;
	uint8_t first[ENDPOINT_ID_LEN], file[IDENTITY_FILE_LEN];
	struct stat st;

	assert_int_equal(fixture_open(f), 0);
	memcpy(first, identity_endpoint_id(f->id), sizeof(first));
	fixture_close(f);
	assert_int_equal(stat(f->state, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(f->identity, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	read_identity(f, file);
	assert_memory_equal(file + 32, first, sizeof(first));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fixture_open(f), 0);
		assert_memory_equal(
		    identity_endpoint_id(f->id), first, sizeof(first));
		fixture_close(f);
	}
}

static void
survives_a_start_that_was_cut_off(void **state)
{
	struct fixture *f = *state;
	char temporary[128];

	assert_int_equal(mkdir(f->state, 0700), 0);
	(void)snprintf(
	    temporary, sizeof(temporary), "%s/.identity.new", f->state);
	write_file(temporary, "half", 4);
	assert_int_equal(fixture_open(f), 0);
	assert_int_equal(access(temporary, F_OK), -1);
}

static void
a_symbolic_link_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rename(f->identity, f->other), 0);
	assert_int_equal(symlink(f->other, f->identity), 0);
	assert_refused(f, f->identity, "is a symbolic link");
}

static void
a_dangling_symbolic_link_is_refused_and_not_replaced(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(unlink(f->identity), 0);
	assert_int_equal(symlink(f->other, f->identity), 0);
	assert_refused(f, f->identity, "is a symbolic link");
	assert_int_equal(lstat(f->identity, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void
what_is_not_a_file_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(unlink(f->identity), 0);
	assert_int_equal(mkdir(f->identity, 0700), 0);
	assert_refused(f, f->identity, "is not a regular file");
	assert_int_equal(rmdir(f->identity), 0);
	assert_int_equal(mkfifo(f->identity, 0600), 0);
	assert_refused(f, f->identity, "is not a regular file");
}

static void
a_second_name_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(link(f->identity, f->other), 0);
	assert_refused(f, f->identity, "has a second name (hard link)");
}

static void
other_permissions_are_refused(void **state)
{
	static const mode_t modes[] = { 0644, 0640, 0400, 0700, 0660, 04600 };
	struct fixture *f = *state;
	char reason[64];

	for (size_t i = 0; i < N_ELEMENTS(modes); i++) {
		assert_int_equal(chmod(f->identity, modes[i]), 0);
		(void)snprintf(reason, sizeof(reason),
		    "mode is %04o, must be 0600", (unsigned)modes[i]);
		assert_refused(f, f->identity, reason);
	}
}

static void
another_owner_is_refused(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(f->identity, SOMEBODY, SOMEBODY), 0);
	assert_refused(
	    f, f->identity, "belongs to user 65534, must belong to user 0");
}

static void
another_size_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t file[IDENTITY_FILE_LEN + 1] = { 0 };

	read_identity(f, file);
	write_file(f->identity, file, IDENTITY_FILE_LEN + 1);
	assert_refused(f, f->identity, "is damaged: its size is not 64 bytes");
	write_file(f->identity, file, IDENTITY_FILE_LEN - 1);
	assert_refused(f, f->identity, "is damaged: its size is not 64 bytes");
	write_file(f->identity, file, 0);
	assert_refused(f, f->identity, "is damaged: its size is not 64 bytes");
}

static void
any_flipped_bit_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t file[IDENTITY_FILE_LEN];

	read_identity(f, file);
	for (size_t bit = 0; bit < 8 * sizeof(file); bit++) {
		file[bit / 8] ^= (uint8_t)(1 << bit % 8);
		write_file(f->identity, file, sizeof(file));
		assert_refused(f, f->identity,
		    "is damaged: its public key is not that of its seed");
		file[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	write_file(f->identity, file, sizeof(file));
	assert_int_equal(fixture_open(f), 0);
}

static void
a_state_directory_of_others_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(chmod(f->state, 0755), 0);
	assert_refused(f, f->state, "mode is 0755, must be 0700");
	assert_int_equal(chmod(f->state, 0700), 0);
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(f->state, SOMEBODY, SOMEBODY), 0);
	assert_refused(
	    f, f->state, "belongs to user 65534, must belong to user 0");
}

static void
a_state_directory_that_is_none_is_refused(void **state)
{
	struct fixture *f = *state;

	write_file(f->state, "x", 1);
	assert_refused(f, f->state, "not a directory, or a symbolic link");
	assert_int_equal(unlink(f->state), 0);
	assert_int_equal(symlink(f->dir, f->state), 0);
	assert_refused(f, f->state, "not a directory, or a symbolic link");
}

static void
a_state_directory_without_a_parent_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/none/state", f->dir);
	assert_int_equal(state_init(&f->files, path), -ENOENT);
	assert_non_null(strstr(f->files.error, path));
	assert_non_null(strstr(f->files.error, "No such file"));
}

// As somebody who may not write into dir.
static void
try_unwritable(struct fixture *f)
{
	char wanted[256];

	(void)snprintf(wanted, sizeof(wanted),
	    "%s: cannot make this directory: Permission denied", f->state);
	if (geteuid() == 0 && setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == -1)
		_exit(1);
	if (state_init(&f->files, f->state) != -EACCES)
		_exit(2);
	_exit(strcmp(f->files.error, wanted) == 0 ? 0 : 3);
}

static void
an_unwritable_state_directory_is_refused(void **state)
{
	struct fixture *f = *state;
	pid_t pid;
	int status;

	assert_int_equal(chmod(f->dir, 0555), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		try_unwritable(f);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(f->dir, 0700), 0);
}

static void
a_damaged_sequence_is_refused(void **state)
{
	static const char *const texts[] = { "", "\n", "12", "-1\n", "1x\n",
		"1\n2\n", " 1\n", "8796093022208\n",
		"99999999999999999999999999\n" };
	struct fixture *f = *state;

	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		write_file(f->sequence, texts[i], strlen(texts[i]));
		assert_refused(
		    f, f->sequence, "is damaged: not a number in one line");
	}
	assert_int_equal(chmod(f->sequence, 0644), 0);
	assert_refused(f, f->sequence, "mode is 0644, must be 0600");
}

// Moves the identity to where systemd would put it.
static void
make_credential(struct fixture *f, char ret_file[static 128])
{
	static char folder[96];

	(void)snprintf(folder, sizeof(folder), "%s/credentials", f->dir);
	(void)snprintf(ret_file, 128, "%s/identity", folder);
	assert_int_equal(mkdir(folder, 0500), 0);
	assert_int_equal(rename(f->identity, ret_file), 0);
	assert_int_equal(chmod(ret_file, 0400), 0);
	f->credentials = folder;
}

static void
remove_credential(struct fixture *f, const char *file)
{
	(void)unlink(file);
	assert_int_equal(rmdir(f->credentials), 0);
	f->credentials = NULL;
}

static void
a_credential_is_the_identity(void **state)
{
	struct fixture *f = *state;
	uint8_t id[ENDPOINT_ID_LEN];
	char file[128];
	struct stat st;

	assert_int_equal(fixture_open(f), 0);
	assert_false(identity_is_credential(f->id));
	memcpy(id, identity_endpoint_id(f->id), sizeof(id));
	fixture_close(f);
	make_credential(f, file);
	// Also with an access list, whose mask is the group's.
	for (unsigned mode = 0400; mode <= 0440; mode += 0040) {
		assert_int_equal(chmod(file, mode), 0);
		assert_int_equal(fixture_open(f), 0);
		assert_true(identity_is_credential(f->id));
		assert_memory_equal(
		    identity_endpoint_id(f->id), id, sizeof(id));
		fixture_close(f);
	}
	// It is not copied to where it was kept from.
	assert_int_equal(lstat(f->identity, &st), -1);
	remove_credential(f, file);
}

static void
a_bad_credential_is_refused_by_its_name(void **state)
{
	struct fixture *f = *state;
	char file[128];

	make_credential(f, file);
	for (unsigned mode = 0404; mode <= 0424; mode += 0020) {
		assert_int_equal(chmod(file, mode), 0);
		assert_refused(
		    f, file, "others may read or write this credential");
	}
	assert_int_equal(chmod(file, 0400), 0);
	assert_int_equal(truncate(file, 63), 0);
	assert_refused(f, file, "is damaged: its size is not 64 bytes");
	assert_int_equal(unlink(file), 0);
	assert_int_equal(symlink(f->sequence, file), 0);
	assert_refused(
	    f, file, "cannot open: Too many levels of symbolic links");
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkdir(file, 0700), 0);
	assert_refused(f, file, "is not a regular file");
	assert_int_equal(rmdir(file), 0);
	remove_credential(f, file);
}

static void
without_a_credential_the_state_has_the_identity(void **state)
{
	struct fixture *f = *state;
	char file[128];

	make_credential(f, file);
	assert_int_equal(rename(file, f->identity), 0);
	assert_int_equal(chmod(f->identity, 0600), 0);
	assert_int_equal(fixture_open(f), 0);
	assert_false(identity_is_credential(f->id));
	fixture_close(f);
	remove_credential(f, file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FIRST(is_made_at_the_first_start_and_kept),
		FIRST(survives_a_start_that_was_cut_off),
		STARTED(a_symbolic_link_is_refused),
		STARTED(a_dangling_symbolic_link_is_refused_and_not_replaced),
		STARTED(what_is_not_a_file_is_refused),
		STARTED(a_second_name_is_refused),
		STARTED(other_permissions_are_refused),
		STARTED(another_owner_is_refused),
		STARTED(another_size_is_refused),
		STARTED(any_flipped_bit_is_refused),
		STARTED(a_state_directory_of_others_is_refused),
		FIRST(a_state_directory_that_is_none_is_refused),
		FIRST(a_state_directory_without_a_parent_is_refused),
		FIRST(an_unwritable_state_directory_is_refused),
		STARTED(a_damaged_sequence_is_refused),
		STARTED(a_credential_is_the_identity),
		STARTED(a_bad_credential_is_refused_by_its_name),
		STARTED(without_a_credential_the_state_has_the_identity),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
