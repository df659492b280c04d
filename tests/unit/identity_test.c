#include "cryptod/identity.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

enum { UNIX_MS_NOW = 1700000000, SOMEBODY = 65534 };

static const uint64_t now_ms = (uint64_t)UNIX_MS_NOW * 1000;

struct fixture {
	char dir[64], state[80], identity[96], sequence[96], other[96];
	struct secret_pool *pool;
	struct state files;
	struct identity *id;
	const char *credentials; // NULL: systemd gave none
};

static int
open_all(struct fixture *f)
{
	int r = state_init(&f->files, f->state);

	f->files.credentials = f->credentials;
	if (r == 0)
		r = identity_open(&f->id, f->pool, &f->files, now_ms);
	state_done(&f->files);
	return r;
}

static void
close_all(struct fixture *f)
{
	identity_free(f->id);
	f->id = NULL;
}

static int
setup(void **state)
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

static int
setup_started(void **state)
{
	struct fixture *f;

	if (setup(state) < 0)
		return -1;
	f = *state;
	if (open_all(f) < 0)
		return -1;
	close_all(f);
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	bool all_back;

	close_all(f);
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

static void
assert_refused(struct fixture *f, const char *file, const char *reason)
{
	char wanted[256];

	assert_true(open_all(f) < 0);
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

	assert_int_equal(open_all(f), 0);
	memcpy(first, identity_endpoint_id(f->id), sizeof(first));
	close_all(f);
	assert_int_equal(stat(f->state, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(f->identity, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	read_identity(f, file);
	assert_memory_equal(file + 32, first, sizeof(first));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(open_all(f), 0);
		assert_memory_equal(
		    identity_endpoint_id(f->id), first, sizeof(first));
		close_all(f);
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
	assert_int_equal(open_all(f), 0);
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
	assert_int_equal(open_all(f), 0);
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

static uint64_t
announce(struct fixture *f, struct announcement *ret)
{
	uint8_t bytes[ANNOUNCEMENT_LEN], pk[32], sk[32];

	(void)crypto_box_keypair(pk, sk);
	identity_announce(f->id, pk, 5, 6, bytes);
	assert_int_equal(announcement_open(bytes, sizeof(bytes),
			     identity_endpoint_id(f->id), ret),
	    0);
	assert_memory_equal(ret->inference_key, pk, sizeof(pk));
	return ret->sequence;
}

static void
announcements_verify_and_their_sequence_grows(void **state)
{
	struct fixture *f = *state;
	struct announcement a;
	uint64_t last = 0, next;

	for (unsigned start = 0; start < 5; start++) {
		assert_int_equal(open_all(f), 0); // always at the same second
		for (unsigned i = 0; i < 5; i++) {
			next = announce(f, &a);
			assert_true(next > last);
			last = next;
			assert_int_equal(a.not_before_ms, 5);
			assert_int_equal(a.not_after_ms, 6);
		}
		close_all(f);
	}
	assert_true(last >> SEQUENCE_SHIFT >= UNIX_MS_NOW);
}

static void
sequence_grows_after_the_file_was_lost(void **state)
{
	struct fixture *f = *state;
	struct announcement a;
	uint64_t last;

	assert_int_equal(open_all(f), 0);
	last = announce(f, &a);
	close_all(f);
	assert_int_equal(unlink(f->sequence), 0);
	assert_int_equal(state_init(&f->files, f->state), 0);
	assert_int_equal(
	    identity_open(&f->id, f->pool, &f->files, now_ms + 2000), 0);
	state_done(&f->files);
	assert_true(announce(f, &a) > last);
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

	assert_int_equal(open_all(f), 0);
	assert_false(identity_is_credential(f->id));
	memcpy(id, identity_endpoint_id(f->id), sizeof(id));
	close_all(f);
	make_credential(f, file);
	// Also with an access list, whose mask is the group's.
	for (unsigned mode = 0400; mode <= 0440; mode += 0040) {
		assert_int_equal(chmod(file, mode), 0);
		assert_int_equal(open_all(f), 0);
		assert_true(identity_is_credential(f->id));
		assert_memory_equal(
		    identity_endpoint_id(f->id), id, sizeof(id));
		close_all(f);
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
	assert_int_equal(open_all(f), 0);
	assert_false(identity_is_credential(f->id));
	close_all(f);
	remove_credential(f, file);
}

static size_t
handshake(uint8_t content[static 147], bool client, size_t hash_len)
{
	memset(content, ' ', 64);
	memcpy(content + 64,
	    client ? "TLS 1.3, client CertificateVerify"
		   : "TLS 1.3, server CertificateVerify",
	    34);
	randombytes_buf(content + 98, hash_len);
	return 98 + hash_len;
}

static void
signs_a_handshake(void **state)
{
	struct fixture *f = *state;
	uint8_t content[147], signature[SIGNATURE_LEN];

	assert_int_equal(open_all(f), 0);
	for (unsigned i = 0; i < 4; i++) {
		size_t len = handshake(content, i % 2 == 0, i < 2 ? 32 : 48);

		assert_int_equal(
		    identity_sign_handshake(f->id, content, len, signature), 0);
		assert_int_equal(crypto_sign_verify_detached(signature, content,
				     len, identity_endpoint_id(f->id)),
		    0);
	}
}

static void
signs_nothing_else(void **state)
{
	struct fixture *f = *state;
	uint8_t content[256] = { 0 }, signature[SIGNATURE_LEN];
	size_t n_wrong = 0;

	assert_int_equal(open_all(f), 0);
	assert_int_equal(
	    identity_sign_handshake(f->id, NULL, 0, signature), -EPROTO);
	// Every length but the two.
	for (size_t len = 0; len <= sizeof(content); len++) {
		memset(content, ' ', sizeof(content));
		memcpy(content + 64, "TLS 1.3, client CertificateVerify", 34);
		if (len != 130 && len != 146)
			n_wrong += identity_sign_handshake(f->id, content, len,
				       signature) == -EPROTO;
	}
	assert_int_equal(n_wrong, sizeof(content) + 1 - 2);
	// Every other value of every byte of the fixed part; the bytes that
	// tell client from server are not one apart.
	for (size_t i = 0; i < 98; i++) {
		size_t len = handshake(content, true, 48);
		uint8_t right = content[i];

		for (unsigned v = 0; v < 256; v++) {
			content[i] = (uint8_t)v;
			assert_int_equal(identity_sign_handshake(
					     f->id, content, len, signature),
			    v == right ? 0 : -EPROTO);
		}
	}
}

static void
does_not_sign_an_announcement_as_a_handshake(void **state)
{
	struct fixture *f = *state;
	struct announcement a = { .sequence = 1 };
	uint8_t bytes[ANNOUNCEMENT_SIGNED_LEN], signature[SIGNATURE_LEN];

	assert_int_equal(open_all(f), 0);
	announcement_to_sign(&a, identity_endpoint_id(f->id), bytes);
	assert_int_equal(
	    identity_sign_handshake(f->id, bytes, sizeof(bytes), signature),
	    -EPROTO);
}

#define FIRST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define STARTED(f) cmocka_unit_test_setup_teardown(f, setup_started, teardown)

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
		STARTED(announcements_verify_and_their_sequence_grows),
		STARTED(sequence_grows_after_the_file_was_lost),
		STARTED(a_credential_is_the_identity),
		STARTED(a_bad_credential_is_refused_by_its_name),
		STARTED(without_a_credential_the_state_has_the_identity),
		FIRST(signs_a_handshake),
		FIRST(signs_nothing_else),
		FIRST(does_not_sign_an_announcement_as_a_handshake),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
