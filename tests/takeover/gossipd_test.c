// The rehearsal: gossipd is taken over and lies to the real proxyd about the
// keys of a host that it does not hold.  The fake cryptod fails this test as
// soon as a prompt is to be sealed to any key but that host's own.
//
// What no signature can tell: a node that the attacker made up itself, with
// an identity of its own, is a peer like any other.  Only evidence keeps
// prompts from it, and the last tests are about that.
#include "tests/unit/proxyd_rig.h"

#include <sodium.h>
#include <string.h>
#include <sys/socket.h>

#include "proxyd/client.h"

#define BODY                                                   \
	"{\"model\":\"far\",\"messages\":[{\"role\":\"user\"," \
	"\"content\":\"a secret word\"}]}"

enum { LIES = 12, FLIPS = ANNOUNCEMENT_LEN, NOISE = 400 };

static const char *const no_args[] = { NULL };
static const char *const attested[] = { "--require-attested-hosts", NULL };

struct scene {
	struct rig rig;
	struct node host, attacker;
	uint8_t genuine[ANNOUNCEMENT_LEN]; // of the host
	uint8_t old[ANNOUNCEMENT_LEN];	   // of the host, an earlier sequence
};

static void
tell(struct scene *s, const uint8_t *id, const uint8_t *announcement,
    const uint8_t *unsigned_key)
{
	struct proxyd_model models[1] = { { "far", 0 } };
	struct proxyd_peer_update update = { .endpoint_id = id,
		.role = IPC__PEER_ROLE__PEER_HOST,
		.dialect = IPC__DIALECT__DIALECT_MESHLLM,
		.connected = true,
		.direct = true,
		.announcement = announcement,
		.unsigned_key = unsigned_key,
		.models = models,
		.n_models = 1 };

	// The channel may be closed by now: a lie too many.
	if (s->rig.gossipd != NULL)
		(void)!proxyd_peer_update_send(s->rig.gossipd, &update);
	rig_run_ms(&s->rig, 5);
}

// Whatever the answer is: what was sealed is looked at in the fake cryptod.
static void
ask(struct scene *s)
{
	struct reply reply;

	http_ask(&s->rig, CHAT, BODY, &reply);
	assert_int_not_equal(reply.status, 200);
	reply_done(&reply);
}

static void
begin(struct scene *s, const char *const *args)
{
	memset(s, 0, sizeof(*s));
	s->host = node_make();
	s->attacker = node_make();
	rig_start(&s->rig, args);
	s->rig.only_key = s->host.key;
	s->rig.tunnel_result = IPC__RESULT__RESULT_UNREACHABLE;
	node_announce(&s->host, 5, -1000, 60 * 1000, s->genuine);
	node_announce(&s->host, 4, -1000, 60 * 1000, s->old);
}

// One lie about the host, or one about who signed what.
static void
lie(struct scene *s, unsigned n)
{
	uint8_t forged[ANNOUNCEMENT_LEN];
	struct node mixed = s->host;
	uint8_t *key;

	memcpy(forged, s->genuine, sizeof(forged));
	// The key stands in the announcement as it is.
	key = memmem(forged, sizeof(forged), s->host.key, INFERENCE_KEY_LEN);
	assert_non_null(key);
	switch (n) {
	case 0: // no signature at all
		tell(s, s->host.id, NULL, s->attacker.key);
		break;
	case 1: // the attacker's key under the host's signature
		memcpy(key, s->attacker.key, INFERENCE_KEY_LEN);
		tell(s, s->host.id, forged, NULL);
		break;
	case 2: // and told as unsigned as well
		memcpy(key, s->attacker.key, INFERENCE_KEY_LEN);
		tell(s, s->host.id, forged, s->attacker.key);
		break;
	case 3: // the attacker's own, good announcement
		node_announce(&s->attacker, 9, -1000, 60 * 1000, forged);
		tell(s, s->host.id, forged, NULL);
		break;
	case 4: // the host's name and key pair, the attacker's identity
		memcpy(mixed.identity, s->attacker.identity,
		    sizeof(mixed.identity));
		memcpy(mixed.key, s->attacker.key, sizeof(mixed.key));
		node_announce(&mixed, 9, -1000, 60 * 1000, forged);
		tell(s, s->host.id, forged, NULL);
		break;
	case 5: // a good one, with another key beside it
		tell(s, s->host.id, s->genuine, s->attacker.key);
		break;
	case 6: // an earlier one, with another key beside it
		tell(s, s->host.id, s->old, s->attacker.key);
		break;
	case 7: // forget the host, then lie
		if (s->rig.gossipd != NULL)
			(void)!proxyd_peer_gone_send(
			    s->rig.gossipd, s->host.id);
		tell(s, s->host.id, NULL, s->attacker.key);
		break;
	case 8: // a key that gives everybody the same secret
		memset(key, 0, INFERENCE_KEY_LEN);
		tell(s, s->host.id, forged, NULL);
		break;
	case 9: // zeros for a signature
		memset(forged + ANNOUNCEMENT_LEN - SIGNATURE_LEN, 0,
		    SIGNATURE_LEN);
		memcpy(key, s->attacker.key, INFERENCE_KEY_LEN);
		tell(s, s->host.id, forged, NULL);
		break;
	case 10: // expired
		node_announce(&s->host, 8, -3600 * 1000, -1800 * 1000, forged);
		tell(s, s->host.id, forged, s->attacker.key);
		break;
	default: // the host's own again
		tell(s, s->host.id, s->genuine, NULL);
	}
}

static void
a_prompt_goes_to_the_hosts_own_key_or_nowhere(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, no_args);
	// Before the truth is known, and after.
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned n = 0; n < LIES; n++) {
			lie(&s, n);
			ask(&s);
		}
		lie(&s, LIES);
	}
	// The control: it is asked, with its key.
	assert_true(s.rig.n_seals > 0);
	assert_memory_equal(s.rig.sealed_to, s.host.key, INFERENCE_KEY_LEN);
	rig_stop(&s.rig);
}

static void
no_byte_of_a_signed_key_can_be_changed(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, no_args);
	for (size_t i = 0; i < FLIPS; i++) {
		uint8_t forged[ANNOUNCEMENT_LEN];

		memcpy(forged, s.genuine, sizeof(forged));
		forged[i] ^= (uint8_t)(1u << i % 8);
		tell(&s, s.host.id, forged, NULL);
	}
	ask(&s);
	assert_int_equal(s.rig.n_seals, 0);
	rig_stop(&s.rig);
}

static void
with_attested_hosts_only_evidence_counts(void **state)
{
	struct scene s;
	uint8_t own[ANNOUNCEMENT_LEN];

	(void)state;
	begin(&s, attested);
	s.rig.level = IPC__LEVEL__LEVEL_NONE;
	s.rig.verdict_ms = 60 * 1000;
	for (unsigned n = 0; n < LIES; n++) {
		lie(&s, n);
		ask(&s);
	}
	// A node that the attacker made up, signed as it should be.
	node_announce(&s.attacker, 1, -1000, 60 * 1000, own);
	tell(&s, s.attacker.id, own, NULL);
	ask(&s);
	assert_int_equal(s.rig.n_seals, 0);
	rig_stop(&s.rig);
}

// The verifier vouches for whatever it is asked about: still only a key that
// its host has signed is ever asked about, and sealed to.
static void
a_verdict_makes_no_forged_key_good(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, attested);
	s.rig.level = IPC__LEVEL__LEVEL_HARDWARE;
	s.rig.verdict_ms = 60 * 1000;
	for (unsigned n = 0; n < LIES; n++) {
		lie(&s, n);
		ask(&s);
	}
	rig_stop(&s.rig);
}

// Frames of every type with anything in them.  proxyd may close the channel;
// it lives on and says to its client what is wrong.
static void
noise_ends_the_channel_and_not_proxyd(void **state)
{
	Ipc__TunnelRequest m = IPC__TUNNEL_REQUEST__INIT;
	uint8_t junk[300];
	struct scene s;

	(void)state;
	begin(&s, no_args);
	for (unsigned n = 0; n < NOISE; n++) {
		if (s.rig.gossipd == NULL)
			break;
		randombytes_buf(junk, sizeof(junk));
		m.endpoint_id.data = junk;
		m.endpoint_id.len = n % sizeof(junk);
		(void)!ipc_notify(s.rig.gossipd,
		    (uint16_t)(1 + randombytes_uniform(60)), &m.base, -1);
		rig_run_ms(&s.rig, 1);
		if (n % 20 == 0)
			lie(&s, n / 20 % LIES);
	}
	ask(&s);
	assert_false(s.rig.has_ended);
	rig_stop(&s.rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_prompt_goes_to_the_hosts_own_key_or_nowhere),
		cmocka_unit_test(no_byte_of_a_signed_key_can_be_changed),
		cmocka_unit_test(with_attested_hosts_only_evidence_counts),
		cmocka_unit_test(a_verdict_makes_no_forged_key_good),
		cmocka_unit_test(noise_ends_the_channel_and_not_proxyd),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
