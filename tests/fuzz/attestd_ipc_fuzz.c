// Target: both rule tables of attestd and their handlers, through
// ipc_dispatch.  The first byte chooses the process.  Whatever the bytes: no
// evidence is made up, no verdict is above the lowest level.
#include <string.h>

#include "attestd/attestd.h"
#include "common/log.h"
#include "common/loop.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_peer.h"

static const char *const roles[2] = { "signer", "verifier" };
static struct attestd daemons[2];
static struct fuzz_peers peers[2];

static void
check(bool promise)
{
	if (!promise)
		abort();
}

static void
start(void)
{
	struct event_base *base;

	log_set_level(LOG_ERROR);
	check(loop_new(&base) == 0);
	for (size_t i = 0; i < 2; i++) {
		const struct attestd_role *role = attestd_find_role(roles[i]);

		attestd_init(&daemons[i], role, base);
		fuzz_peers_init(&peers[i], role->self, role->rules,
		    role->n_rules, &daemons[i]);
	}
}

static void
check_verdict(const struct fuzz_result *r)
{
	Ipc__VerdictReply *reply =
	    ipc__verdict_reply__unpack(NULL, r->answer_len, r->answer_body);

	check(r->role == ROLE_PROXYD && reply != NULL);
	check(reply->level == IPC__LEVEL__LEVEL_NONE);
	ipc__verdict_reply__free_unpacked(reply, NULL);
}

// Nobody is at the other end of what came with the question.
static void
check_session(const struct fuzz_result *r)
{
	Ipc__SessionReply *reply =
	    ipc__session_reply__unpack(NULL, r->answer_len, r->answer_body);

	check(r->role == ROLE_PROXYD && reply != NULL && !reply->judged);
	check(reply->level == IPC__LEVEL__LEVEL_NONE);
	ipc__session_reply__free_unpacked(reply, NULL);
}

// There is no attester.
static void
check_refused(const struct fuzz_result *r)
{
	Ipc__AttestReply *attest =
	    ipc__attest_reply__unpack(NULL, r->answer_len, r->answer_body);

	check(r->role == ROLE_GOSSIPD && attest != NULL);
	check(attest->result == IPC__RESULT__RESULT_NO_ATTESTER);
	check(!attest->has_hash);
	ipc__attest_reply__free_unpacked(attest, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_result r;

	if (daemons[0].role == NULL)
		start();
	if (size == 0)
		return 0;
	fuzz_peers_send(&peers[data[0] & 1], data + 1, size - 1, &r);
	switch (r.answer.type) {
	case 0:
		break;
	case IPC__TYPE__IPC_VERDICT_REPLY:
		check((data[0] & 1) == 1);
		check_verdict(&r);
		break;
	case IPC__TYPE__IPC_SESSION_REPLY:
		check((data[0] & 1) == 1);
		check_session(&r);
		break;
	case IPC__TYPE__IPC_EVIDENCE_COPY_REPLY:
		check((data[0] & 1) == 1 && r.role == ROLE_PROXYD);
		break;
	case IPC__TYPE__IPC_ATTEST_REPLY:
	case IPC__TYPE__IPC_ACTIVATE_REPLY: // the same fields
		check((data[0] & 1) == 0);
		check_refused(&r);
		break;
	default:
		check((data[0] & 1) == 0);
		check(r.answer.type == IPC__TYPE__IPC_EVIDENCE_REPLY);
		check(r.role == ROLE_GOSSIPD && r.answer_len == 0);
	}
	return 0;
}
