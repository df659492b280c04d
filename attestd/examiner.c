// `meshllm verify` hands what it has, unread, to this process: it reads the
// operator's decisions, gives everything up, and only then looks at the
// evidence.  It holds no key and no channel and ends after one answer.
#include "attestd/examiner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attestd/examine.h"
#include "common/hex.h"
#include "common/landlock.h"
#include "common/log.h"
#include "common/process.h"
#include "common/rfc3339.h"

enum { EXIT_NOT_JUDGED = 2 };

struct examiner {
	struct trust_store store;
	struct examine_question question;
	uint8_t node[ENDPOINT_ID_LEN], key[INFERENCE_KEY_LEN];
	enum level wanted;
	bool explain;
	uint8_t bytes[EVIDENCE_FILE_MAX + 1];
	size_t len;
	struct examined examined;
};

static bool
is_time(const char *text, uint64_t *ret_ms)
{
	struct rfc3339_time t;

	if (strcmp(text, "now") == 0)
		*ret_ms = clock_unix_ms();
	else if (rfc3339_parse(text, strlen(text), &t) < 0 || t.seconds <= 0)
		return false;
	else
		*ret_ms = (uint64_t)t.seconds * 1000 + t.nanoseconds / 1000000;
	return true;
}

static bool
is_id(const char *text, uint8_t ret[static 32])
{
	return hex_decode(text, strlen(text), ret, 32) == 0;
}

const char *
examiner_check(const struct examiner_options *o)
{
	uint8_t id[32];
	uint64_t ms;

	if (o->level != NULL && level_find(o->level) < LEVEL_SELF_SIGNED)
		return "--level: self-signed, tofu, pinned or hardware";
	if (o->at != NULL && !is_time(o->at, &ms))
		return "--at: neither now nor a time such as "
		       "2026-05-07T05:58:00Z";
	if (o->node != NULL && !is_id(o->node, id))
		return "--node: not 64 hexadecimal digits in lower case";
	if (o->inference_key != NULL && !is_id(o->inference_key, id))
		return "--inference-key: not 64 hexadecimal digits in lower "
		       "case";
	return NULL;
}

// examiner_check() was content.
static void
take_options(struct examiner *e, const struct examiner_options *o)
{
	e->wanted = o->level == NULL ? LEVEL_SELF_SIGNED
				     : (enum level)level_find(o->level);
	e->explain = o->explain;
	e->question.believes_file = o->saved_here;
	e->question.clock_ms = clock_unix_ms();
	if (o->at != NULL)
		(void)is_time(o->at, &e->question.now_ms);
	if (o->node != NULL && is_id(o->node, e->node))
		e->question.node = e->node;
	if (o->inference_key != NULL && is_id(o->inference_key, e->key))
		e->question.inference_key = e->key;
}

// One byte more than the largest: then it is too large.
static int
read_input(struct examiner *e)
{
	ssize_t n;

	while (e->len < sizeof(e->bytes)) {
		n = read(
		    STDIN_FILENO, e->bytes + e->len, sizeof(e->bytes) - e->len);
		if (n == 0)
			return 0;
		if (n == -1 && errno != EINTR)
			return -errno;
		e->len += n == -1 ? 0 : (size_t)n;
	}
	return -EFBIG;
}

static int
print(const struct examiner *e)
{
	AUTO_FREE char *text = NULL;
	size_t len = 0, at = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return -ENOMEM;
	examined_print(f, &e->examined, e->explain);
	if (fclose(f) != 0)
		return -ENOMEM;
	while (at < len) {
		ssize_t n = write(STDOUT_FILENO, text + at, len - at);

		if (n == -1)
			return -errno;
		at += (size_t)n;
	}
	return 0;
}

// Not stdio: it asks more of the descriptor than the sandbox allows.
static int
complain(const char *what, int r)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "meshllm verify: %s%s\n", what,
	    r == -EBADMSG
		? "this is neither an evidence file nor an attestation in JSON"
		: r == -EFBIG ? "this is larger than any evidence"
			      : strerrordesc_np(-r));

	// There is nobody left to tell.
	(void)!write(
	    STDERR_FILENO, text, n < 0 ? 0 : strnlen(text, sizeof(text)));
	return EXIT_NOT_JUDGED;
}

static void
give_all_up(void)
{
	static const struct process_limits limits = { .descriptors = 8,
		.data_bytes = 32 * 1024 * 1024 };
	const struct landlock_policy nothing = { 0 };
	int r = process_harden();

	if (r < 0)
		fatal("harden", r);
	process_limit_or_die(&limits);
	if ((r = process_confine()) < 0)
		fatal("confine", r);
	// A kernel that has none: seccomp stands behind it.
	(void)!landlock_enter(&nothing, &(int){ 0 });
	sandbox_enter_or_die(
	    attestd_examiner_sandbox, ATTESTD_N_EXAMINER_SANDBOX);
}

int
examiner_run(const struct examiner_options *o)
{
	struct examiner *e = calloc(1, sizeof(*e));
	int r, status;

	if (e == NULL)
		return complain("", -ENOMEM);
	take_options(e, o);
	r = trust_store_init(&e->store, o->state_dir);
	e->store.is_read_only = true;
	e->question.store = &e->store;
	if (r < 0) {
		free(e);
		return complain("the node's trust files: ", r);
	}
	give_all_up();
	if ((r = read_input(e)) == 0)
		r = examine(e->bytes, e->len, &e->question, &e->examined);
	if (r == 0)
		r = print(e);
	status = r < 0				     ? complain("", r)
	    : e->examined.verdict.level >= e->wanted ? EXIT_SUCCESS
						     : EXIT_FAILURE;
	trust_store_done(&e->store);
	free(e);
	return status;
}
