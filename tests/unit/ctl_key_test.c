// `meshllm key` on a file: what it writes is what proxyd reads.
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/api_keys.h"
#include "common/file.h"
#include "ctl/key.h"

static char dir[32], path[64], option[80];

static int
set_up(void **state)
{
	(void)state;
	memcpy(dir, "/tmp/ctlkey-XXXXXXXX", 21);
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/keys", dir);
	(void)snprintf(option, sizeof(option), "--api-keys=%s", path);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir);
}

// Runs the command with standard output in a file; *ret gets it.
static int
key(const char *words, char *ret, size_t size)
{
	char copy[256], *argv[16] = { (char[]){ "key" }, option };
	char out[] = "/tmp/ctlkey-out-XXXXXX";
	int argc = 2, fd = mkstemp(out), saved = dup(STDOUT_FILENO), status;
	ssize_t n;

	(void)snprintf(copy, sizeof(copy), "%s", words);
	for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
		argv[argc++] = w;
	(void)fflush(stdout);
	assert_int_not_equal(dup2(fd, STDOUT_FILENO), -1);
	status = command_key(argc, argv);
	(void)fflush(stdout);
	assert_int_not_equal(dup2(saved, STDOUT_FILENO), -1);
	n = pread(fd, ret, size - 1, 0);
	assert_true(n >= 0);
	ret[n] = '\0';
	(void)close(fd);
	(void)close(saved);
	(void)unlink(out);
	return status;
}

static struct api_keys
read_back(void)
{
	struct api_keys keys;
	char *text, error[256];
	size_t len;

	assert_int_equal(
	    file_read(path, FILE_TRUSTED, API_KEYS_FILE_MAX, &text, &len), 0);
	assert_int_equal(
	    api_keys_parse(text, len, &keys, error, sizeof(error)), 0);
	free(text);
	return keys;
}

static void
a_key_is_printed_once_and_kept_as_a_hash(void **state)
{
	char out[512];
	uint8_t hash[API_KEY_HASH_LEN];
	struct api_keys keys;
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(key("--requests=2 --per-minute=60 --model=llama-* "
			     "--model=qwen add alice",
			     out, sizeof(out)),
	    0);
	out[strcspn(out, "\n")] = '\0';
	keys = read_back();
	assert_int_equal(keys.n, 1);
	assert_string_equal(keys.at[0].name, "alice");
	api_key_hash(out, strlen(out), hash);
	assert_memory_equal(keys.at[0].hash, hash, sizeof(hash));
	assert_int_equal(keys.at[0].requests, 2);
	assert_int_equal(keys.at[0].per_minute, 60);
	assert_true(api_key_has_model(&keys.at[0], "llama-3"));
	assert_false(api_key_has_model(&keys.at[0], "phi"));
	api_keys_done(&keys);
	assert_int_equal(
	    file_read(path, FILE_TRUSTED, API_KEYS_FILE_MAX, &text, &len), 0);
	assert_null(strstr(text, out));
	free(text);
	assert_int_equal(key("list", out, sizeof(out)), 0);
	assert_string_equal(
	    out, "alice requests=2 per-minute=60 model=llama-* model=qwen\n");
}

// Which keys there are, of whom, is nobody's business but proxyd's.
static void
a_new_file_is_for_proxyd_alone(void **state)
{
	const struct passwd *proxyd = getpwnam("meshllm-proxy");
	mode_t before = umask(0);
	char out[512];
	struct stat st;

	(void)state;
	assert_int_equal(key("add alice", out, sizeof(out)), 0);
	(void)umask(before);
	assert_int_equal(stat(path, &st), 0);
	if (geteuid() == 0 && proxyd != NULL) {
		assert_int_equal(st.st_mode & 0777, 0640);
		assert_int_equal(st.st_uid, 0);
		assert_int_equal(st.st_gid, proxyd->pw_gid);
	} else {
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

static void
a_removed_key_is_gone_and_comments_stay(void **state)
{
	char out[512];
	struct api_keys keys;
	char *text;
	size_t len;
	FILE *f = fopen(path, "w");
	struct stat st;

	(void)state;
	assert_non_null(f);
	(void)fputs("# of the team", f); // without a newline
	(void)fclose(f);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(key("add alice", out, sizeof(out)), 0);
	assert_int_equal(key("add alice2", out, sizeof(out)), 0);
	assert_int_equal(key("add alice", out, sizeof(out)), 1);
	assert_int_equal(key("remove alice", out, sizeof(out)), 0);
	assert_int_equal(key("remove alice", out, sizeof(out)), 1);
	keys = read_back();
	assert_int_equal(keys.n, 1);
	assert_string_equal(keys.at[0].name, "alice2");
	api_keys_done(&keys);
	assert_int_equal(
	    file_read(path, FILE_TRUSTED, API_KEYS_FILE_MAX, &text, &len), 0);
	assert_int_equal(strncmp(text, "# of the team\nalice2 ", 21), 0);
	free(text);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void
what_proxyd_would_refuse_is_not_written(void **state)
{
	char out[512];
	struct stat st;

	(void)state;
	assert_int_equal(key("add al/ice", out, sizeof(out)), 1);
	assert_int_equal(key("--requests=0 add a", out, sizeof(out)), 2);
	assert_int_equal(key("--model=a*b add a", out, sizeof(out)), 2);
	assert_int_equal(key("add", out, sizeof(out)), 2);
	assert_int_equal(key("add a b", out, sizeof(out)), 2);
	assert_int_equal(key("list all", out, sizeof(out)), 2);
	assert_int_equal(key("nonsense", out, sizeof(out)), 2);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(key("add a", out, sizeof(out)), 0);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(key("add b", out, sizeof(out)), 1);
	assert_int_equal(out[0], '\0');
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_key_is_printed_once_and_kept_as_a_hash, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    a_new_file_is_for_proxyd_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_removed_key_is_gone_and_comments_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    what_proxyd_would_refuse_is_not_written, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
