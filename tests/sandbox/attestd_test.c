// Both processes of the real attestd program under their filters.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>
#include <jansson.h>

#include "attestd/client.h"
#include "attestd/trust.h"
#include "common/log.h"
#include "common/process.h"
#include "tests/sandbox/daemon.h"
#include "tests/unit/swtpm.h"

enum { DEADLINE = 30000, ROUNDS = 100, PEERS = 200, MANY = 10000 };

struct node {
	struct daemon daemon;
	int parent_fd, cryptod_fd; // numbers; their peers own them
	struct ipc_peer *parent, *first, *second;
	bool is_ready;
	unsigned keys_asked, verdicts_void;
	uint8_t key_byte; // of the keys that we tell
};

static int
on_ready(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct node *n = ipc_peer_daemon(peer);

	(void)frame;
	(void)msg;
	n->is_ready = true;
	return 0;
}

static int
on_keys_request(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct node *n = ipc_peer_daemon(peer);
	Ipc__KeysReply reply = IPC__KEYS_REPLY__INIT;
	uint8_t key[32];

	(void)msg;
	n->keys_asked++;
	memset(key, n->key_byte, sizeof(key));
	reply.endpoint_id.data = reply.inference_key.data = key;
	reply.endpoint_id.len = reply.inference_key.len = sizeof(key);
	return ipc_reply(peer, frame, IPC__TYPE__IPC_KEYS_REPLY, &reply.base);
}

static int
on_verdicts_void(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct node *n = ipc_peer_daemon(peer);

	(void)frame;
	assert_false(((const Ipc__VerdictsVoid *)msg)->has_endpoint_id);
	n->verdicts_void++;
	return 0;
}

// clang-format off
#define FROM_BOTH (FROM(ROLE_SIGNER) | FROM(ROLE_VERIFIER))
static const struct ipc_rule rules[] = {
	{ IPC__TYPE__IPC_READY, .from = FROM_BOTH, .phases = IPC_SERVING,
	    .max_body = 128, .descriptor = &ipc__ready__descriptor,
	    .handle = on_ready },
	{ IPC__TYPE__IPC_KEYS_REQUEST, .from = FROM_BOTH,
	    .phases = IPC_SERVING, .max_body = 0,
	    .descriptor = &ipc__keys_request__descriptor,
	    .handle = on_keys_request },
	{ IPC__TYPE__IPC_VERDICT_REPLY, .from = FROM_BOTH,
	    .phases = IPC_SERVING, .max_body = ATTESTD_VERDICT_REPLY_MAX,
	    .is_reply = true, .descriptor = &ipc__verdict_reply__descriptor },
	{ IPC__TYPE__IPC_VERDICTS_VOID, .from = FROM(ROLE_VERIFIER),
	    .phases = IPC_SERVING, .max_body = 34,
	    .descriptor = &ipc__verdicts_void__descriptor,
	    .handle = on_verdicts_void },
	{ IPC__TYPE__IPC_EVIDENCE_REPLY, .from = FROM_BOTH,
	    .phases = IPC_SERVING, .max_body = ATTESTD_EVIDENCE_REPLY_MAX,
	    .is_reply = true, .descriptor = &ipc__evidence_reply__descriptor },
};
// clang-format on

static void
start(struct node *n, const char *role, size_t n_channels, const char *attester)
{
	char program[] = BUILD_DIR "/meshllm-attestd", role_text[16];
	char *argv[] = { program, (char[]){ "--role" }, role_text,
		(char *)(uintptr_t)attester, NULL };
	struct daemon_options o = {
		.program = program, .argv = argv, .n_channels = n_channels
	};

	(void)snprintf(role_text, sizeof(role_text), "%s", role);
	*n = (struct node){ .key_byte = 1 };
	daemon_start(&n->daemon, &o);
}

static struct ipc_peer *
connect_as(struct node *n, int *fd, enum ipc_role self, enum ipc_role other)
{
	return daemon_peer(fd, self, other, rules, N_ELEMENTS(rules), n);
}

static int
stop(struct node *n)
{
	Ipc__Stop msg = IPC__STOP__INIT;
	int status;

	assert_int_equal(
	    ipc_notify(n->parent, IPC__TYPE__IPC_STOP, &msg.base, -1), 0);
	status = daemon_wait(&n->daemon);
	ipc_peer_free(n->parent);
	ipc_peer_free(n->first);
	ipc_peer_free(n->second);
	return status;
}

struct wanted {
	int result;
	struct attestd_verdict verdict;
	char reason[ATTESTD_REASON_MAX + 1];
	bool has_evidence;
};

static void
on_verdict(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct wanted *w = arg;

	(void)frame;
	w->result = attestd_verdict_read(status, msg, &w->verdict);
	if (w->result == 0)
		(void)snprintf(
		    w->reason, sizeof(w->reason), "%s", w->verdict.reason);
}

static void
on_evidence(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct wanted *w = arg;
	struct attestd_evidence evidence;

	(void)frame;
	w->result = attestd_evidence_read(status, msg, &evidence);
	w->has_evidence = w->result == 0 && evidence.bytes != NULL;
}

static void
ask_verdict(struct node *n, size_t key_len, struct wanted *w)
{
	Ipc__VerdictRequest m = IPC__VERDICT_REQUEST__INIT;
	uint8_t bytes[32] = { 1 };

	m.endpoint_id.data = m.inference_key.data = bytes;
	m.endpoint_id.len = 32;
	m.inference_key.len = key_len;
	w->result = ipc_call_wait(n->first, IPC__TYPE__IPC_VERDICT_REQUEST,
	    &m.base, IPC__TYPE__IPC_VERDICT_REPLY, DEADLINE, on_verdict, w);
}

static void
ask_about(struct node *n, const uint8_t *id, const struct attestd_evidence *e,
    struct wanted *w)
{
	Ipc__VerdictRequest m = IPC__VERDICT_REQUEST__INIT;

	m.endpoint_id.data = m.inference_key.data = (uint8_t *)(uintptr_t)id;
	m.endpoint_id.len = m.inference_key.len = 32;
	m.has_evidence = true;
	m.evidence.data = (uint8_t *)(uintptr_t)e->bytes;
	m.evidence.len = e->len;
	w->result = ipc_call_wait(n->first, IPC__TYPE__IPC_VERDICT_REQUEST,
	    &m.base, IPC__TYPE__IPC_VERDICT_REPLY, DEADLINE, on_verdict, w);
}

static void
without_evidence_a_node_is_at_the_lowest_level(void **state)
{
	struct node n;
	struct wanted w = { 0 };
	uint64_t now = clock_unix_ms();

	(void)state;
	start(&n, "verifier", 1, NULL);
	n.parent_fd = n.daemon.parent_fd;
	n.parent =
	    connect_as(&n, &n.daemon.parent_fd, ROLE_PARENT, ROLE_VERIFIER);
	n.first = connect_as(&n, &n.daemon.fds[0], ROLE_PROXYD, ROLE_VERIFIER);
	while (!n.is_ready)
		assert_int_equal(daemon_pump(n.parent, n.parent_fd), 0);
	for (size_t i = 0; i < ROUNDS; i++) {
		ask_verdict(&n, 32, &w);
		assert_int_equal(w.result, 0);
		assert_int_equal(w.verdict.level, IPC__LEVEL__LEVEL_NONE);
		assert_string_equal(w.reason, "the host has sent no evidence");
		assert_in_range(w.verdict.expires_ms, now + 10000, now + 60000);
	}
	ask_verdict(&n, 31, &w);
	assert_int_not_equal(w.result, 0);
	assert_int_equal(stop(&n), 0);
}

// A blob of the vectors with room behind it: signed, and different each time.
static size_t
make_blob(uint8_t ret[static EVIDENCE_MAX], unsigned number)
{
	char path[] = TEST_DATA "/c_attestation.json";
	json_t *json = json_load_file(path, 0, NULL);
	const char *text = json_string_value(json_object_get(
	    json_array_get(json_object_get(json, "vectors"), 0), "blob_json"));
	int n;

	assert_non_null(text);
	n = snprintf((char *)ret, EVIDENCE_MAX, "%.*s,\"n\":%u}",
	    (int)strlen(text) - 1, text, number);
	json_decref(json);
	memset(ret + n, ' ', EVIDENCE_MAX - (size_t)n);
	return EVIDENCE_MAX;
}

static size_t
resident_kib(pid_t pid)
{
	char path[64], line[256];
	size_t kib = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtoul(line + 6, NULL, 10);
	(void)fclose(f);
	return kib;
}

static void
ten_thousand_verdicts_about_the_largest_evidence(void **state)
{
	static uint8_t blobs[PEERS][EVIDENCE_MAX];
	size_t before = 0, after;
	uint64_t started;
	struct node n;

	(void)state;
	for (unsigned i = 0; i < PEERS; i++)
		assert_int_equal(make_blob(blobs[i], i), EVIDENCE_MAX);
	start(&n, "verifier", 1, NULL);
	n.parent_fd = n.daemon.parent_fd;
	n.parent =
	    connect_as(&n, &n.daemon.parent_fd, ROLE_PARENT, ROLE_VERIFIER);
	n.first = connect_as(&n, &n.daemon.fds[0], ROLE_PROXYD, ROLE_VERIFIER);
	while (!n.is_ready)
		assert_int_equal(daemon_pump(n.parent, n.parent_fd), 0);
	started = clock_mono_ms();
	for (unsigned i = 0; i < MANY; i++) {
		const struct attestd_evidence e = { blobs[i % PEERS],
			EVIDENCE_MAX };
		uint8_t id[32] = { 1, (uint8_t)i };
		struct wanted w = { 0 };

		ask_about(&n, id, &e, &w);
		assert_int_equal(w.result, 0);
		assert_int_equal(w.verdict.level, IPC__LEVEL__LEVEL_NONE);
		assert_string_equal(w.reason, "the evidence is another node's");
		if (i == PEERS)
			before = resident_kib(n.daemon.pid);
	}
	after = resident_kib(n.daemon.pid);
	(void)printf("%d verdicts in %llu ms, %zu KiB, then %zu KiB\n", MANY,
	    (unsigned long long)(clock_mono_ms() - started), before, after);
#ifndef SANITIZERS
	assert_true(after < before + 1024);
#endif
	assert_int_equal(stop(&n), 0);
}

static void
signer_start(struct node *n, const char *attester)
{
	start(n, "signer", 2, attester);
	n->parent_fd = n->daemon.parent_fd;
	n->cryptod_fd = n->daemon.fds[0];
	n->parent =
	    connect_as(n, &n->daemon.parent_fd, ROLE_PARENT, ROLE_SIGNER);
	n->first = connect_as(n, &n->daemon.fds[0], ROLE_CRYPTOD, ROLE_SIGNER);
	n->second = connect_as(n, &n->daemon.fds[1], ROLE_GOSSIPD, ROLE_SIGNER);
}

static void
signer_is_ready_once_it_knows_the_keys(void **state)
{
	Ipc__EvidenceRequest m = IPC__EVIDENCE_REQUEST__INIT;
	Ipc__KeyChanged changed = IPC__KEY_CHANGED__INIT;
	struct wanted w = { 0 };
	struct node n;

	(void)state;
	signer_start(&n, "--attester=none");
	while (n.keys_asked == 0)
		assert_int_equal(daemon_pump(n.first, n.cryptod_fd), 0);
	while (!n.is_ready)
		assert_int_equal(daemon_pump(n.parent, n.parent_fd), 0);
	assert_int_equal(
	    ipc_call_wait(n.second, IPC__TYPE__IPC_EVIDENCE_REQUEST, &m.base,
		IPC__TYPE__IPC_EVIDENCE_REPLY, DEADLINE, on_evidence, &w),
	    0);
	assert_int_equal(w.result, 0);
	assert_false(w.has_evidence);
	assert_int_equal(
	    ipc_notify(n.first, IPC__TYPE__IPC_KEY_CHANGED, &changed.base, -1),
	    0);
	while (n.keys_asked == 1)
		assert_int_equal(daemon_pump(n.first, n.cryptod_fd), 0);
	assert_int_equal(stop(&n), 0);
}

// Until the signer has evidence.
static void
wait_for_evidence(struct node *n, struct wanted *w)
{
	Ipc__EvidenceRequest m = IPC__EVIDENCE_REQUEST__INIT;

	for (int i = 0; i < 3000 && !w->has_evidence; i++) {
		assert_int_equal(
		    ipc_call_wait(n->second, IPC__TYPE__IPC_EVIDENCE_REQUEST,
			&m.base, IPC__TYPE__IPC_EVIDENCE_REPLY, DEADLINE,
			on_evidence, w),
		    0);
		assert_int_equal(w->result, 0);
		(void)usleep(10000);
	}
	assert_true(w->has_evidence);
}

static void
run_signer(const char *attester, struct wanted *w)
{
	struct node n;

	signer_start(&n, attester);
	while (n.keys_asked == 0)
		assert_int_equal(daemon_pump(n.first, n.cryptod_fd), 0);
	while (!n.is_ready)
		assert_int_equal(daemon_pump(n.parent, n.parent_fd), 0);
	wait_for_evidence(&n, w);
	assert_int_equal(stop(&n), 0);
}

static void
a_software_key_signs_under_the_filter(void **state)
{
	struct wanted w = { 0 };

	(void)state;
	run_signer("--attester=software", &w);
}

static void
a_tpm_signs_under_the_filter(void **state)
{
	char attester[140];
	struct wanted w = { 0 };
	struct swtpm s;

	(void)state;
	swtpm_start(&s);
	(void)snprintf(
	    attester, sizeof(attester), "--attester=tpm2:%s", s.tcti);
	run_signer(attester, &w);
	swtpm_stop(&s);
}

static void
write_trust(const char *dir, const char *text)
{
	char path[64], beside[64];
	FILE *f;

	(void)snprintf(beside, sizeof(beside), "%s/trust.new", dir);
	(void)snprintf(path, sizeof(path), "%s/trust", dir);
	f = fopen(beside, "w");
	assert_non_null(f);
	assert_int_equal(fputs(text, f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(rename(beside, path), 0);
}

static void
verifier_takes_verdicts_back_when_trust_changes(void **state)
{
	char dir[] = "/tmp/attestd-XXXXXX", option[64], path[64];
	struct wanted w = { 0 };
	struct node n;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(option, sizeof(option), "--state-dir=%s", dir);
	start(&n, "verifier", 1, option);
	n.parent_fd = n.daemon.parent_fd;
	fd = n.daemon.fds[0];
	n.parent =
	    connect_as(&n, &n.daemon.parent_fd, ROLE_PARENT, ROLE_VERIFIER);
	n.first = connect_as(&n, &n.daemon.fds[0], ROLE_PROXYD, ROLE_VERIFIER);
	while (!n.is_ready)
		assert_int_equal(daemon_pump(n.parent, n.parent_fd), 0);
	ask_verdict(&n, 32, &w);
	assert_int_equal(w.result, 0);
	assert_int_equal(n.verdicts_void, 0);
	// Nobody asks for a verdict meanwhile.
	write_trust(dir, "nonsense\n");
	while (n.verdicts_void == 0)
		assert_int_equal(daemon_pump(n.first, fd), 0);
	write_trust(dir, "# nothing\n");
	while (n.verdicts_void == 1)
		assert_int_equal(daemon_pump(n.first, fd), 0);
	ask_verdict(&n, 32, &w);
	assert_int_equal(w.result, 0);
	assert_int_equal(stop(&n), 0);
	(void)snprintf(path, sizeof(path), "%s/trust", dir);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/" TRUST_OWN_FOLDER, dir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void
refuses_an_attester_that_is_not_there(void **state)
{
	static const char *const names[] = { "--attester=tpm2x",
		"--attester=tpm2:abrmd", "--attester=moon" };
	struct node n;
	int status;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		start(&n, "signer", 2, names[i]);
		status = daemon_wait(&n.daemon);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 2);
	}
	start(&n, "witness", 2, NULL);
	status = daemon_wait(&n.daemon);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    without_evidence_a_node_is_at_the_lowest_level),
		cmocka_unit_test(
		    verifier_takes_verdicts_back_when_trust_changes),
		cmocka_unit_test(
		    ten_thousand_verdicts_about_the_largest_evidence),
		cmocka_unit_test(a_software_key_signs_under_the_filter),
		cmocka_unit_test(a_tpm_signs_under_the_filter),
		cmocka_unit_test(signer_is_ready_once_it_knows_the_keys),
		cmocka_unit_test(refuses_an_attester_that_is_not_there),
	};

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
