// Target: cryptod_rules and all its handlers, through ipc_dispatch.  Whatever
// the bytes: only who may ask is answered, no signature is made over anything
// but a handshake, no request key is given out twice.
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "cryptod/cryptod.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_peer.h"

enum { ENTRIES = 1 << 12, SIGN_MIN = 130 };

static struct fuzz_peers peers;
static struct cryptod *d;

static void
check(bool promise)
{
	if (!promise)
		abort();
}

static void
remove_state(const char *dir)
{
	static const char *const names[] = { "/identity", "/sequence", "" };
	char path[128];

	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", dir, names[i]);
		(void)remove(path);
	}
}

static void
start(void)
{
	static char dir[] = "/tmp/cryptod_fuzz.XXXXXX";
	struct cryptod_config config = { .state_dir = dir,
		.rotate_ms = 3600 * 1000,
		.replay_entries = ENTRIES };
	char error[STATE_ERROR_MAX];
	struct event_base *base = NULL;

	log_set_level(LOG_ERROR);
	check(sodium_init() != -1 && loop_new(&base) == 0);
	check(mkdtemp(dir) != NULL);
	check(cryptod_new(&d, &config, base, error) == 0);
	remove_state(dir);
	fuzz_peers_init(
	    &peers, ROLE_CRYPTOD, cryptod_rules, cryptod_n_rules, d);
}

static void
check_signature(const struct fuzz_result *r, const uint8_t *body, size_t len)
{
	Ipc__SignRequest *request = ipc__sign_request__unpack(NULL, len, body);
	Ipc__SignReply *reply =
	    ipc__sign_reply__unpack(NULL, r->answer_len, r->answer_body);

	check(r->role == ROLE_GOSSIPD_TLS);
	check(request != NULL && reply != NULL);
	check(request->content.len >= SIGN_MIN);
	for (size_t i = 0; i < 64; i++)
		check(request->content.data[i] == ' ');
	check(memcmp(request->content.data + 64, "TLS 1.3, ", 9) == 0);
	check(reply->signature.len == SIGNATURE_LEN);
	ipc__sign_request__free_unpacked(request, NULL);
	ipc__sign_reply__free_unpacked(reply, NULL);
}

static void
check_opened(const struct fuzz_result *r, const uint8_t *data, size_t size)
{
	static struct fuzz_result again;
	Ipc__OpenReply *reply =
	    ipc__open_reply__unpack(NULL, r->answer_len, r->answer_body);
	bool opened;

	check(r->role == ROLE_PROXYD && reply != NULL);
	opened = reply->result == IPC__RESULT__RESULT_OK;
	check(opened == (reply->n_candidates != 0));
	ipc__open_reply__free_unpacked(reply, NULL);
	if (!opened)
		return;
	fuzz_peers_send(&peers, data, size, &again);
	reply =
	    ipc__open_reply__unpack(NULL, again.answer_len, again.answer_body);
	check(reply != NULL && reply->result == IPC__RESULT__RESULT_REPLAYED);
	ipc__open_reply__free_unpacked(reply, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_result r;

	if (d == NULL)
		start();
	fuzz_peers_send(&peers, data, size, &r);
	switch (r.answer.type) {
	case 0:
		break;
	case IPC__TYPE__IPC_SIGN_REPLY:
		check_signature(&r, data + 3, size - 3);
		break;
	case IPC__TYPE__IPC_OPEN_REPLY:
		check_opened(&r, data, size);
		break;
	case IPC__TYPE__IPC_SEAL_REPLY:
		check(r.role == ROLE_PROXYD);
		break;
	case IPC__TYPE__IPC_ANNOUNCE_REPLY:
		check(r.role == ROLE_GOSSIPD);
		break;
	case IPC__TYPE__IPC_LIVENESS_REPLY:
		check(r.role == ROLE_SIGNER);
		break;
	default:
		check(r.answer.type == IPC__TYPE__IPC_KEYS_REPLY);
		check(r.role == ROLE_GOSSIPD || r.role == ROLE_PROXYD ||
		    r.role == ROLE_SIGNER);
	}
	return 0;
}
