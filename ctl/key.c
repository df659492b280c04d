// `meshllm key`: the file of API keys.  Trusts the caller.  A new key is shown
// once and is nowhere after that: the file has its hash.  It must never write
// a file that proxyd would refuse, nor leave one half written.
#include "ctl/key.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/api_keys.h"
#include "common/file.h"
#include "common/options.h"
#include "ctl/daemons.h"
#include "ctl/run_options.h"

enum { EXIT_USAGE = 2 };

struct key_options {
	char *config, *api_keys;
	uint64_t requests, per_minute;
	struct option_list models;
};

// clang-format off
static const struct option table[] = {
	{ "config", NULL, "FILE",
	    "Configuration file; " DEFAULT_CONFIG " if it exists.",
	    OPTION_STRING, offsetof(struct key_options, config) },
	{ "api-keys", NULL, "FILE", "The file of keys; as configured.",
	    OPTION_STRING, offsetof(struct key_options, api_keys) },
	{ "requests", NULL, "N", "Of add: requests that it may have in flight.",
	    OPTION_UINT, offsetof(struct key_options, requests), 1,
	    API_KEY_LIMIT_MAX },
	{ "per-minute", NULL, "N", "Of add: requests in a minute.",
	    OPTION_UINT, offsetof(struct key_options, per_minute), 1,
	    API_KEY_LIMIT_MAX },
	{ "model", NULL, "NAME",
	    "Of add: it may only ask for this model; may end in *.",
	    OPTION_STRINGS, offsetof(struct key_options, models),
	    .check = api_key_check_model },
};
// clang-format on

static const char usage[] =
    "meshllm key [OPTION...] COMMAND\n\n"
    "  add NAME      Make a key and print it; it is shown only once.\n"
    "  list          Names and limits.\n"
    "  remove NAME   The key is good no more.\n\n"
    "A running node takes the change with systemctl reload meshllm-proxyd, or\n"
    "with SIGHUP to `meshllm run`.\n";

struct key_file {
	const char *path;
	char *text; // owned
	size_t len;
	bool exists;
	struct api_keys keys;
};

static int
complain(const char *what, const char *detail)
{
	(void)fprintf(stderr, "meshllm key: %s: %s\n", what, detail);
	return -EINVAL;
}

static int
load(struct key_file *f)
{
	char error[256];
	int r;

	r = file_read(
	    f->path, FILE_TRUSTED, API_KEYS_FILE_MAX, &f->text, &f->len);
	f->exists = r == 0;
	if (r == -ENOENT)
		return 0;
	if (r == -EPERM)
		return complain(f->path, "others than its owner can write it");
	if (r < 0)
		return complain(f->path, strerrordesc_np(-r));
	r = api_keys_parse(f->text, f->len, &f->keys, error, sizeof(error));
	return r < 0 ? complain(f->path, error) : 0;
}

// ---- write

static int
write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n == -1)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) == -1 ? -errno : 0;
}

// A new file is for proxyd to read, by its group where it has a user of its
// own, and for nobody else: it tells who may ask for what.
static int
give_to_proxyd(int fd)
{
	const struct passwd *user = getpwnam(daemons[PROXYD].user);

	if (geteuid() != 0 || user == NULL)
		return 0; // made with 0600
	if (fchown(fd, (uid_t)-1, user->pw_gid) == -1 || fchmod(fd, 0640) == -1)
		return -errno;
	return 0;
}

// Mode and owner stay as they are: somebody may have chosen them.
static int
copy_owner(const struct key_file *f, int fd)
{
	struct stat st;

	if (!f->exists)
		return give_to_proxyd(fd);
	if (stat(f->path, &st) == -1 ||
	    fchown(fd, st.st_uid, st.st_gid) == -1 ||
	    fchmod(fd, st.st_mode & 0777) == -1)
		return -errno;
	return 0;
}

static int
replace(const struct key_file *f, const char *text, size_t len)
{
	AUTO_FREE char *beside = NULL;
	AUTO_FD fd = -1;
	int r;

	if (asprintf(&beside, "%s.new", f->path) == -1) {
		beside = NULL;
		return -ENOMEM;
	}
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd == -1)
		return -errno;
	r = copy_owner(f, fd);
	if (r == 0)
		r = write_all(fd, text, len);
	if (r == 0 && rename(beside, f->path) == -1)
		r = -errno;
	if (r < 0)
		(void)unlink(beside);
	return r;
}

// Only if it would be read without a complaint.
static int
save(const struct key_file *f, const char *text, size_t len)
{
	struct api_keys keys;
	char error[256];
	int r = api_keys_parse(text, len, &keys, error, sizeof(error));

	if (r < 0)
		return complain(f->path, error);
	api_keys_done(&keys);
	if ((r = replace(f, text, len)) < 0)
		return complain(f->path, strerrordesc_np(-r));
	return 0;
}

static const struct api_key *
find(const struct key_file *f, const char *name)
{
	for (size_t i = 0; i < f->keys.n; i++)
		if (strcmp(f->keys.at[i].name, name) == 0)
			return &f->keys.at[i];
	return NULL;
}

// ---- commands

static void
print_limits(FILE *to, const struct api_key *key)
{
	if (key->requests != 0)
		(void)fprintf(to, " requests=%" PRIu32, key->requests);
	if (key->per_minute != 0)
		(void)fprintf(to, " per-minute=%" PRIu32, key->per_minute);
	for (size_t i = 0; i < key->n_models; i++)
		(void)fprintf(to, " model=%s", key->models[i]);
}

// The old text, then a line.
static int
append_line(const struct key_file *f, const struct api_key *key, char **ret,
    size_t *ret_len)
{
	char hash[2 * API_KEY_HASH_LEN + 1];
	FILE *to = open_memstream(ret, ret_len);

	if (to == NULL)
		return -errno;
	if (f->len > 0) {
		(void)fwrite(f->text, 1, f->len, to);
		if (f->text[f->len - 1] != '\n')
			(void)fputc('\n', to);
	}
	(void)sodium_bin2hex(hash, sizeof(hash), key->hash, API_KEY_HASH_LEN);
	(void)fprintf(to, "%s sha256:%s", key->name, hash);
	print_limits(to, key);
	(void)fputc('\n', to);
	return fclose(to) == EOF ? -ENOMEM : 0;
}

static int
run_add(struct key_file *f, const struct key_options *o, const char *name)
{
	char secret[API_KEY_TEXT_MAX];
	AUTO_FREE char *text = NULL;
	const char *wrong = api_key_check_name(name);
	struct api_key key = { .requests = (uint32_t)o->requests,
		.per_minute = (uint32_t)o->per_minute,
		.models = o->models.values,
		.n_models = o->models.n };
	size_t len = 0;
	int r;

	if (wrong != NULL)
		return complain(name, wrong);
	if (find(f, name) != NULL)
		return complain(name, "there is a key of that name already");
	(void)snprintf(key.name, sizeof(key.name), "%s", name);
	api_key_make(secret);
	api_key_hash(secret, strlen(secret), key.hash);
	r = append_line(f, &key, &text, &len);
	if (r == 0)
		r = save(f, text, len);
	if (r == 0 && (printf("%s\n", secret) < 0 || fflush(stdout) != 0))
		r = complain("standard output", strerrordesc_np(errno));
	sodium_memzero(secret, sizeof(secret));
	return r;
}

static int
run_list(struct key_file *f, const struct key_options *o, const char *name)
{
	(void)o;
	(void)name;
	for (size_t i = 0; i < f->keys.n; i++) {
		(void)fputs(f->keys.at[i].name, stdout);
		print_limits(stdout, &f->keys.at[i]);
		(void)putchar('\n');
	}
	return 0;
}

// Does the line, up to its end, begin with this word?
static bool
line_is_of(const char *line, const char *end, const char *name)
{
	size_t n = strlen(name);

	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	return (size_t)(end - line) > n && memcmp(line, name, n) == 0 &&
	    (line[n] == ' ' || line[n] == '\t');
}

static int
run_remove(struct key_file *f, const struct key_options *o, const char *name)
{
	AUTO_FREE char *text = malloc(f->len + 1);
	const char *end = f->text + f->len, *next;
	size_t n = 0;

	(void)o;
	if (find(f, name) == NULL)
		return complain(name, "there is no key of that name");
	if (text == NULL)
		return complain(name, "out of memory");
	for (const char *at = f->text; at < end; at = next) {
		next = memchr(at, '\n', (size_t)(end - at));
		next = next == NULL ? end : next + 1;
		if (line_is_of(at, next, name))
			continue;
		memcpy(text + n, at, (size_t)(next - at));
		n += (size_t)(next - at);
	}
	return save(f, text, n);
}

static const struct key_command {
	const char *name;
	int n; // arguments
	int (*run)(struct key_file *, const struct key_options *, const char *);
} commands[] = {
	{ "add", 1, run_add },
	{ "list", 0, run_list },
	{ "remove", 1, run_remove },
};

static int
run(const struct key_command *command, const struct key_options *o,
    const char *path, const char *name)
{
	struct key_file f = { .path = path };
	int r = load(&f);

	if (r == 0)
		r = command->run(&f, o, name);
	api_keys_done(&f.keys);
	free(f.text);
	return r;
}

// The option, else what the configuration says.
static int
run_on_file(const struct key_command *command, const struct key_options *o,
    const char *name)
{
	struct run_options from_file = { 0 };
	const char *path = o->api_keys;
	char error[512];
	int r = 0;

	if (path == NULL) {
		r = run_options_load(
		    &from_file, o->config, error, sizeof(error));
		path = from_file.api_keys;
	}
	if (r < 0)
		r = complain("configuration", error);
	else if (path == NULL)
		r = complain("api-keys",
		    "neither given nor configured; --api-keys=FILE says which "
		    "file");
	else
		r = run(command, o, path, name);
	run_options_done(&from_file);
	return r;
}

static const struct key_command *
find_command(const char *name, int n)
{
	for (size_t i = 0; i < N_ELEMENTS(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].n == n ? &commands[i] : NULL;
	return NULL;
}

int
command_key(int argc, char *const argv[])
{
	int first = options_count(argc, argv);
	const struct key_command *command = NULL;
	struct key_options o = { 0 };
	char error[256];
	int r, status = EXIT_USAGE;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	r = options_parse(
	    table, N_ELEMENTS(table), first, argv, &o, error, sizeof(error));
	if (first < argc)
		command = find_command(argv[first], argc - first - 1);
	if (r == 1) {
		options_help(table, N_ELEMENTS(table), usage);
		status = EXIT_SUCCESS;
	} else if (r < 0) {
		(void)fprintf(stderr, "meshllm key: %s\n", error);
	} else if (command == NULL) {
		(void)fprintf(stderr, "usage: %s", usage);
	} else {
		r = run_on_file(command, &o, argv[argc - 1]);
		status = r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	options_done(table, N_ELEMENTS(table), &o);
	return status;
}
