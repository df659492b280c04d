// `meshllm verify`: hands evidence, from a file or of a peer of the running
// node, to the examiner, a process of attestd's program that judges it in a
// sandbox.  Looks into nothing itself; must never parse evidence here.
#include "ctl/verify.h"

#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/base64.h"
#include "common/environment.h"
#include "common/options.h"
#include "ctl/ask.h"
#include "ctl/run_options.h"
#include "ctl/status.h"

enum {
	EXIT_USAGE = 2,
	ARGUMENTS = 12,
	ENVIRONMENT = 16,
	PEER_MIN = 10, // digits
	PEER_MAX = 64,
	EVIDENCE_BYTES_MAX = 128 * 1024,
};

extern char **environ;

struct verify_options {
	char *save, *level, *at, *node, *inference_key;
	char *state_dir, *config, *management, *daemon_dir;
	bool explain, saved_here;
};

// clang-format off
static const struct option table[] = {
	{ "explain", NULL, NULL, "Every check with its result.",
	    OPTION_FLAG, offsetof(struct verify_options, explain) },
	{ "level", NULL, "LEVEL",
	    "The lowest that is good: self-signed (if not given), tofu, "
	    "pinned or hardware.",
	    OPTION_STRING, offsetof(struct verify_options, level) },
	{ "save", NULL, "FILE", "Keep the evidence of PEER.",
	    OPTION_STRING, offsetof(struct verify_options, save) },
	{ "saved-here", NULL, NULL,
	    "You saved FILE: believe what it says of credential activation.",
	    OPTION_FLAG, offsetof(struct verify_options, saved_here) },
	{ "at", NULL, "TIME",
	    "Judge FILE as of then (2026-05-07T05:58:00Z) or now, not as of "
	    "when it was saved.",
	    OPTION_STRING, offsetof(struct verify_options, at) },
	{ "node", NULL, "ID", "Whose evidence it must be; the file's.",
	    OPTION_STRING, offsetof(struct verify_options, node) },
	{ "inference-key", NULL, "KEY",
	    "The key that it must vouch for, hexadecimal; the file's.",
	    OPTION_STRING, offsetof(struct verify_options, inference_key) },
	{ "state-dir", NULL, "DIR",
	    "Of the node; as configured, or " DEFAULT_STATE_DIR ".",
	    OPTION_STRING, offsetof(struct verify_options, state_dir) },
	{ "config", NULL, "FILE",
	    "Configuration file; " DEFAULT_CONFIG " if it exists.",
	    OPTION_STRING, offsetof(struct verify_options, config) },
	{ "management", NULL, "ADDR:PORT",
	    "Where the node answers; as configured, or " DEFAULT_MANAGEMENT ".",
	    OPTION_STRING, offsetof(struct verify_options, management) },
	{ "daemon-dir", NULL, "DIR", "Where meshllm-attestd is.",
	    OPTION_STRING, offsetof(struct verify_options, daemon_dir) },
};
// clang-format on

static const char usage[] =
    "meshllm verify [OPTION...] PEER|FILE\n\n"
    "PEER: at least 10 digits of the id of a peer of the running node.\n"
    "FILE: what --save has kept, or an attestation of the existing network\n"
    "in JSON; - is standard input.  Exit status: 0 the level is reached,\n"
    "1 it is not, 2 it could not be judged.\n";

static int
complain(const char *what, const char *detail)
{
	(void)fprintf(stderr, "meshllm verify: %s: %s\n", what, detail);
	return -EINVAL;
}

// ---- evidence of a peer

static bool
is_peer(const char *text)
{
	size_t n = strlen(text);

	return n >= PEER_MIN && n <= PEER_MAX &&
	    strspn(text, "0123456789abcdef") == n && access(text, F_OK) == -1;
}

// The one peer whose id begins so.
static int
find_peer(
    const struct address *a, const char *start, char ret[static PEER_MAX + 1])
{
	json_t *status = ask_status(a);
	const char *found = NULL;
	const json_t *peer;
	size_t i, n = 0;

	if (status == NULL)
		return -EIO;
	json_array_foreach(json_object_get(status, "peers"), i, peer)
	{
		const char *id = json_string_value(json_object_get(peer, "id"));

		if (id == NULL || strlen(id) != PEER_MAX ||
		    strspn(id, "0123456789abcdef") != PEER_MAX ||
		    strncmp(id, start, strlen(start)) != 0)
			continue;
		found = id;
		n++;
	}
	if (n == 1)
		memcpy(ret, found, PEER_MAX + 1);
	json_decref(status);
	if (n == 1)
		return 0;
	return complain(start,
	    n == 0 ? "no peer of the running node, and no file, has this name"
		   : "more than one peer's id begins so");
}

static int
decode(const json_t *answer, uint8_t *ret, size_t size, size_t *ret_len)
{
	const char *text =
	    json_string_value(json_object_get(answer, "evidence"));

	if (text == NULL)
		return complain(
		    "the node's answer", "there is no evidence in it");
	if (base64_decode(text, strlen(text), sodium_base64_VARIANT_ORIGINAL,
		ret, size, ret_len) < 0)
		return complain("the node's answer", "is not evidence");
	return 0;
}

static int
write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n == -1)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
save(const char *path, const uint8_t *bytes, size_t len)
{
	AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int r = fd == -1 ? -errno : write_all(fd, bytes, len);

	if (r == 0 && fsync(fd) == -1 && errno != EINVAL)
		r = -errno;
	return r == 0 ? 0 : complain(path, strerrordesc_np(-r));
}

// As something that can be read from its start.
static int
as_file(const uint8_t *bytes, size_t len, int *ret)
{
	AUTO_FD fd = memfd_create("evidence", MFD_CLOEXEC);

	if (fd == -1 || write_all(fd, bytes, len) < 0 ||
	    lseek(fd, 0, SEEK_SET) == -1)
		return complain("evidence", strerrordesc_np(errno));
	*ret = take_fd(&fd);
	return 0;
}

static int
open_peer(const struct verify_options *o, const char *start, int *ret)
{
	char id[PEER_MAX + 1], path[128], error[256];
	AUTO_FREE uint8_t *bytes = malloc(EVIDENCE_BYTES_MAX);
	struct address a;
	json_t *answer;
	size_t len = 0;
	int r;

	if (bytes == NULL)
		return -ENOMEM;
	r = ask_find_management(
	    o->management, o->config, &a, error, sizeof(error));
	if (r < 0)
		return complain("configuration", error);
	if ((r = find_peer(&a, start, id)) < 0)
		return r;
	(void)snprintf(path, sizeof(path), "/api/evidence/%s", id);
	if ((answer = ask_json(&a, path)) == NULL)
		return -EIO;
	r = decode(answer, bytes, EVIDENCE_BYTES_MAX, &len);
	json_decref(answer);
	if (r == 0 && o->save != NULL)
		r = save(o->save, bytes, len);
	return r < 0 ? r : as_file(bytes, len, ret);
}

static int
open_evidence(const struct verify_options *o, const char *what, int *ret)
{
	if (is_peer(what))
		return open_peer(o, what, ret);
	if (o->save != NULL)
		return complain("--save", "is for a PEER");
	*ret = strcmp(what, "-") == 0 ? dup(STDIN_FILENO)
				      : open(what, O_RDONLY | O_CLOEXEC);
	return *ret == -1 ? complain(what, strerrordesc_np(errno)) : 0;
}

// ---- the examiner

// The verifier's folder; "" and a remark when it cannot be looked into.
static int
find_trust(const struct verify_options *o, char ret[static PATH_MAX])
{
	char error[256];

	if (run_options_trust_dir(
		o->state_dir, o->config, ret, error, sizeof(error)) < 0)
		return complain("configuration", error);
	if (access(ret, R_OK | X_OK) == 0)
		return 0;
	(void)fprintf(stderr,
	    "meshllm verify: judged without the node's decisions (trust): %s: "
	    "%s\n",
	    ret, strerrordesc_np(errno));
	*ret = '\0';
	return 0;
}

struct command_line {
	char *argv[ARGUMENTS + 1];
	size_t n;
};

static int
add(struct command_line *c, const char *name, const char *value)
{
	char *text;

	if (value == NULL || *value == '\0')
		return 0;
	if (c->n == ARGUMENTS || asprintf(&text, "--%s=%s", name, value) < 0)
		return -ENOMEM;
	c->argv[c->n++] = text;
	return 0;
}

static int
add_flag(struct command_line *c, const char *text, bool is_set)
{
	if (!is_set)
		return 0;
	if (c->n == ARGUMENTS || (c->argv[c->n] = strdup(text)) == NULL)
		return -ENOMEM;
	c->n++;
	return 0;
}

static int
fill(struct command_line *c, const struct verify_options *o,
    const char *program, const char *trust, bool saved_here)
{
	int r = add_flag(c, program, true);

	if (r == 0)
		r = add(c, "role", "examiner");
	if (r == 0)
		r = add(c, "state-dir", trust);
	if (r == 0)
		r = add(c, "level", o->level);
	if (r == 0)
		r = add(c, "at", o->at);
	if (r == 0)
		r = add(c, "node", o->node);
	if (r == 0)
		r = add(c, "inference-key", o->inference_key);
	if (r == 0)
		r = add_flag(c, "--explain", o->explain);
	if (r == 0)
		r = add_flag(c, "--saved-here", saved_here);
	return r;
}

_Noreturn static void
become(char *const argv[], int evidence)
{
	char *environment[ENVIRONMENT];

	environment_filter(environ, environment, ENVIRONMENT);
	if (dup2(evidence, STDIN_FILENO) != -1 &&
	    syscall(SYS_close_range, STDERR_FILENO + 1u, ~0u, 0) == 0)
		(void)execve(argv[0], argv, environment);
	(void)complain(argv[0], strerrordesc_np(errno));
	_exit(EXIT_USAGE);
}

static int
run(char *const argv[], int evidence)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		become(argv, evidence);
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return complain(argv[0], strerrordesc_np(errno));
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	// Whoever made this evidence found a hole that the sandbox covers.
	return complain("the examiner was killed",
	    WTERMSIG(status) == SIGSYS ? "it broke its sandbox"
				       : strsignal(WTERMSIG(status)));
}

static int
verify(const struct verify_options *o, const char *what)
{
	char program[PATH_MAX], trust[PATH_MAX];
	struct command_line c = { 0 };
	AUTO_FD evidence = -1;
	int r = daemon_find(&daemons[VERIFIER], o->daemon_dir, program);

	if (r < 0)
		r = complain(daemons[VERIFIER].program,
		    "not found; --daemon-dir says where it is");
	if (r == 0)
		r = find_trust(o, trust);
	if (r == 0)
		r = open_evidence(o, what, &evidence);
	// What our own node has just told is ours.
	if (r == 0)
		r = fill(&c, o, program, trust, o->saved_here || is_peer(what));
	if (r == 0)
		r = run(c.argv, evidence);
	for (size_t i = 0; i < c.n; i++)
		free(c.argv[i]);
	return r < 0 ? EXIT_USAGE : r;
}

int
command_verify(int argc, char *const argv[])
{
	// What is judged comes last: the parser takes no words.
	bool has_what =
	    argc > 1 && (argv[argc - 1][0] != '-' || argv[argc - 1][1] == '\0');
	struct verify_options o = { 0 };
	char error[256];
	int r, status = EXIT_USAGE;

	r = options_parse(table, N_ELEMENTS(table), argc - (has_what ? 1 : 0),
	    argv, &o, error, sizeof(error));
	if (r == 1) {
		options_help(table, N_ELEMENTS(table), usage);
		status = EXIT_SUCCESS;
	} else if (r < 0) {
		(void)fprintf(stderr, "meshllm verify: %s\n", error);
	} else if (!has_what) {
		(void)fprintf(stderr, "usage: %s", usage);
	} else {
		status = verify(&o, argv[argc - 1]);
	}
	options_done(table, N_ELEMENTS(table), &o);
	return status;
}
