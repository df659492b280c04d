// What an identity signs: announcements, each with a higher number than the one
// before, and handshakes; and nothing else.
#include "cryptod/identity.h"

#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/identity_rig.h"

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
		assert_int_equal(
		    fixture_open(f), 0); // always at the same second
		for (unsigned i = 0; i < 5; i++) {
			next = announce(f, &a);
			assert_true(next > last);
			last = next;
			assert_int_equal(a.not_before_ms, 5);
			assert_int_equal(a.not_after_ms, 6);
		}
		fixture_close(f);
	}
	assert_true(last >> SEQUENCE_SHIFT >= UNIX_S_NOW);
}

static void
sequence_grows_after_the_file_was_lost(void **state)
{
	struct fixture *f = *state;
	struct announcement a;
	uint64_t last;

	assert_int_equal(fixture_open(f), 0);
	last = announce(f, &a);
	fixture_close(f);
	assert_int_equal(unlink(f->sequence), 0);
	assert_int_equal(state_init(&f->files, f->state), 0);
	assert_int_equal(
	    identity_open(&f->id, f->pool, &f->files, now_ms + 2000), 0);
	state_done(&f->files);
	assert_true(announce(f, &a) > last);
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

	assert_int_equal(fixture_open(f), 0);
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

	assert_int_equal(fixture_open(f), 0);
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

	assert_int_equal(fixture_open(f), 0);
	announcement_to_sign(&a, identity_endpoint_id(f->id), bytes);
	assert_int_equal(
	    identity_sign_handshake(f->id, bytes, sizeof(bytes), signature),
	    -EPROTO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STARTED(announcements_verify_and_their_sequence_grows),
		STARTED(sequence_grows_after_the_file_was_lost),
		FIRST(signs_a_handshake),
		FIRST(signs_nothing_else),
		FIRST(does_not_sign_an_announcement_as_a_handshake),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
