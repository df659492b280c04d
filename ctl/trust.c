// `meshllm trust`: the operator's decisions about other nodes, as lines of a
// file in the verifier's folder, which reads it again by itself.  Trusts the
// caller; must never write a file that the verifier would refuse.
#include "ctl/trust.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attestd/trust.h"
#include "common/hex.h"
#include "common/options.h"
#include "ctl/run_options.h"

enum { EXIT_USAGE = 2 };

struct trust_options {
	char *state_dir, *config;
};

// clang-format off
static const struct option table[] = {
	{ "state-dir", NULL, "DIR",
	    "Of the node; as configured, or " DEFAULT_STATE_DIR ".",
	    OPTION_STRING, offsetof(struct trust_options, state_dir) },
	{ "config", NULL, "FILE",
	    "Configuration file; " DEFAULT_CONFIG " if it exists.",
	    OPTION_STRING, offsetof(struct trust_options, config) },
};
// clang-format on

static const char usage[] =
    "meshllm trust [OPTION...] COMMAND\n\n"
    "  list                 What is decided, and which keys were seen first.\n"
    "  pin NODE [KEY]       The node's attestation key is this one, or the\n"
    "                       one seen first.\n"
    "  unpin NODE           Forget the pin, and the key seen first.\n"
    "  allow-key KEY        This attestation key is good for any node.\n"
    "  revoke ID            Never trust this key, node or root again.\n"
    "  restore ID           Take back allow-key or revoke.\n"
    "  roots                The roots that TPM certificates may end at.\n"
    "  add-root FILE|SHA256 [NAME]\n"
    "  remove-root SHA256   A vendor's root is revoked.\n"
    "  add-image SHA256     Accept this program; then no other is.\n"
    "  remove-image SHA256\n\n"
    "NODE, KEY, ID, SHA256: 64 hexadecimal digits.\n";

struct trust_files {
	int dir_fd;
	struct trust_list decided, seen;
};

struct trust_command {
	const char *name;
	size_t least, most; // arguments
	int (*run)(struct trust_files *, char *const argv[], size_t n);
};

static int
complain(const char *what, const char *detail)
{
	(void)fprintf(stderr, "meshllm trust: %s: %s\n", what, detail);
	return -EINVAL;
}

static int
take_id(const char *text, uint8_t ret[static TRUST_ID_LEN])
{
	if (hex_decode(text, strlen(text), ret, TRUST_ID_LEN) == 0)
		return 0;
	return complain(text, "not 64 hexadecimal digits in lower case");
}

static int
save(struct trust_files *f)
{
	int r = trust_save(f->dir_fd, TRUST_FILE, &f->decided, true);

	if (r < 0)
		return complain(TRUST_FILE, strerrordesc_np(-r));
	return 0;
}

static int
decide(struct trust_files *f, const struct trust_line *line)
{
	int r;

	(void)trust_remove(&f->decided, line->kind, line->id);
	if ((r = trust_add(&f->decided, line)) < 0)
		return complain(TRUST_FILE, strerrordesc_np(-r));
	return save(f);
}

static int
print_list(const struct trust_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		char *text;

		if (trust_line_text(&list->at[i], &text) < 0)
			return -ENOMEM;
		(void)fputs(text, stdout);
		free(text);
	}
	return 0;
}

static int
run_list(struct trust_files *f, char *const argv[], size_t n)
{
	int r = print_list(&f->decided);

	(void)argv;
	(void)n;
	return r < 0 ? r : print_list(&f->seen);
}

static int
run_pin(struct trust_files *f, char *const argv[], size_t n)
{
	struct trust_line line = { .kind = TRUST_PIN };
	const struct trust_line *seen;

	if (take_id(argv[0], line.id) < 0)
		return -EINVAL;
	if (n == 2) {
		if (take_id(argv[1], line.key) < 0)
			return -EINVAL;
	} else {
		seen = trust_find(&f->seen, TRUST_SEEN, line.id);
		if (seen == NULL)
			return complain(
			    argv[0], "no key of it was seen; name the key");
		memcpy(line.key, seen->key, TRUST_ID_LEN);
	}
	return decide(f, &line);
}

static int
run_unpin(struct trust_files *f, char *const argv[], size_t n)
{
	struct trust_line line = { .kind = TRUST_FORGET,
		.time = (uint64_t)time(NULL) };
	const struct trust_line *seen;
	size_t removed;

	(void)n;
	if (take_id(argv[0], line.id) < 0)
		return -EINVAL;
	removed = trust_remove(&f->decided, TRUST_PIN, line.id);
	seen = trust_find(&f->seen, TRUST_SEEN, line.id);
	if (removed == 0 && seen == NULL)
		return complain(argv[0], "is not pinned, nor was it seen");
	// The other file is the verifier's to write: it is told what to forget.
	if (seen == NULL)
		return save(f);
	memcpy(line.key, seen->key, TRUST_ID_LEN);
	return decide(f, &line);
}

static int
run_allow_key(struct trust_files *f, char *const argv[], size_t n)
{
	struct trust_line line = { .kind = TRUST_ALLOW_KEY };

	(void)n;
	return take_id(argv[0], line.id) < 0 ? -EINVAL : decide(f, &line);
}

static int
run_revoke(struct trust_files *f, char *const argv[], size_t n)
{
	struct trust_line line = { .kind = TRUST_REVOKE };

	(void)n;
	return take_id(argv[0], line.id) < 0 ? -EINVAL : decide(f, &line);
}

static int
remove_kinds(struct trust_files *f, const char *text, enum trust_kind a,
    enum trust_kind b)
{
	uint8_t id[TRUST_ID_LEN];
	size_t removed;

	if (take_id(text, id) < 0)
		return -EINVAL;
	removed = trust_remove(&f->decided, a, id);
	if (b != a)
		removed += trust_remove(&f->decided, b, id);
	return removed == 0 ? complain(text, "there is no such decision")
			    : save(f);
}

static int
run_restore(struct trust_files *f, char *const argv[], size_t n)
{
	(void)n;
	return remove_kinds(f, argv[0], TRUST_ALLOW_KEY, TRUST_REVOKE);
}

static int
run_roots(struct trust_files *f, char *const argv[], size_t n)
{
	char hex[2 * TRUST_ID_LEN + 1];

	(void)argv;
	(void)n;
	for (size_t i = 0; i < EK_N_VENDOR_ROOTS; i++) {
		const struct ek_root *root = &ek_vendor_roots[i];

		hex_encode(hex, root->fingerprint, TRUST_ID_LEN);
		(void)printf("%s %s, %s%s\n", hex, root->vendor, root->source,
		    trust_find(&f->decided, TRUST_REVOKE, root->fingerprint)
			? " (revoked)"
			: "");
	}
	for (size_t i = 0; i < f->decided.n; i++) {
		const struct trust_line *line = &f->decided.at[i];

		if (line->kind != TRUST_ROOT)
			continue;
		hex_encode(hex, line->id, TRUST_ID_LEN);
		(void)printf("%s %s (added here)\n", hex, line->name);
	}
	return 0;
}

// PEM or DER.
static int
fingerprint_of_file(const char *path, uint8_t ret[static TRUST_ID_LEN])
{
	BIO *in = BIO_new_file(path, "r");
	X509 *cert = NULL;
	int r;

	if (in == NULL)
		return complain(path, "cannot be opened");
	cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
	if (cert == NULL && BIO_reset(in) == 0)
		cert = d2i_X509_bio(in, NULL);
	BIO_free(in);
	if (cert == NULL)
		return complain(path, "is not a certificate");
	r = ek_fingerprint(cert, ret);
	X509_free(cert);
	return r;
}

static int
run_add_root(struct trust_files *f, char *const argv[], size_t n)
{
	struct trust_line line = { .kind = TRUST_ROOT };
	const char *name = n == 2 ? argv[1] : argv[0];
	int r = 0;

	if (hex_decode(argv[0], strlen(argv[0]), line.id, TRUST_ID_LEN) < 0)
		r = fingerprint_of_file(argv[0], line.id);
	if (r < 0)
		return r;
	if (strlen(name) > TRUST_NAME_MAX)
		return complain(name, "longer than 64 characters");
	for (const char *p = name; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			return complain(name, "not only plain characters");
	if (*name == '\0' || name[strlen(name) - 1] == ' ')
		return complain(name, "ends with a space, or is empty");
	(void)snprintf(line.name, sizeof(line.name), "%s", name);
	(void)trust_remove(&f->decided, TRUST_REVOKE, line.id);
	return decide(f, &line);
}

static int
run_remove_root(struct trust_files *f, char *const argv[], size_t n)
{
	struct trust_line line = { .kind = TRUST_REVOKE };

	(void)n;
	if (take_id(argv[0], line.id) < 0)
		return -EINVAL;
	// A root that was added goes; one of a vendor stays in the program.
	if (trust_remove(&f->decided, TRUST_ROOT, line.id) != 0)
		return save(f);
	return decide(f, &line);
}

static int
run_add_image(struct trust_files *f, char *const argv[], size_t n)
{
	struct trust_line line = { .kind = TRUST_IMAGE };

	(void)n;
	return take_id(argv[0], line.id) < 0 ? -EINVAL : decide(f, &line);
}

static int
run_remove_image(struct trust_files *f, char *const argv[], size_t n)
{
	(void)n;
	return remove_kinds(f, argv[0], TRUST_IMAGE, TRUST_IMAGE);
}

static const struct trust_command commands[] = {
	{ "list", 0, 0, run_list },
	{ "pin", 1, 2, run_pin },
	{ "unpin", 1, 1, run_unpin },
	{ "allow-key", 1, 1, run_allow_key },
	{ "revoke", 1, 1, run_revoke },
	{ "restore", 1, 1, run_restore },
	{ "roots", 0, 0, run_roots },
	{ "add-root", 1, 2, run_add_root },
	{ "remove-root", 1, 1, run_remove_root },
	{ "add-image", 1, 1, run_add_image },
	{ "remove-image", 1, 1, run_remove_image },
};

static int
load(struct trust_files *f, const char *name, struct trust_list *ret)
{
	size_t line;
	char text[64];
	int r = trust_load(f->dir_fd, name, ret, &line);

	if (r == 0)
		return 0;
	(void)snprintf(text, sizeof(text), "%s, line %zu", name, line);
	return complain(line == 0 ? name : text, strerrordesc_np(-r));
}

static int
run(const char *dir, const struct trust_command *command, char *const argv[],
    size_t n)
{
	struct trust_files f = { .dir_fd = -1 };
	int r;

	f.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f.dir_fd == -1 && errno == EACCES)
		return complain(dir,
		    "Permission denied: of a node that systemd or root runs, "
		    "root decides whom to trust");
	if (f.dir_fd == -1)
		return complain(dir, strerrordesc_np(errno));
	r = load(&f, TRUST_FILE, &f.decided);
	if (r == 0)
		r = load(&f, TRUST_SEEN_FILE, &f.seen);
	if (r == 0)
		r = command->run(&f, argv, n);
	trust_list_done(&f.decided);
	trust_list_done(&f.seen);
	close_fd(&f.dir_fd);
	return r;
}

static const struct trust_command *
find_command(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

int
command_trust(int argc, char *const argv[])
{
	size_t first = (size_t)options_count(argc, argv);
	size_t n = (size_t)argc - first;
	const struct trust_command *command;
	struct trust_options o = { 0 };
	char error[256], dir[PATH_MAX];
	int r, status = EXIT_USAGE;

	r = options_parse(table, N_ELEMENTS(table), (int)first, argv, &o, error,
	    sizeof(error));
	command = n == 0 ? NULL : find_command(argv[first]);
	if (r == 1) {
		options_help(table, N_ELEMENTS(table), usage);
		status = EXIT_SUCCESS;
	} else if (r < 0) {
		(void)fprintf(stderr, "meshllm trust: %s\n", error);
	} else if (command == NULL || n - 1 < command->least ||
	    n - 1 > command->most) {
		(void)fprintf(stderr, "usage: %s", usage);
	} else if (run_options_trust_dir(
		       o.state_dir, o.config, dir, error, sizeof(error)) < 0) {
		(void)fprintf(stderr, "meshllm trust: %s\n", error);
	} else {
		r = run(dir, command, argv + first + 1, n - 1);
		status = r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	options_done(table, N_ELEMENTS(table), &o);
	return status;
}
