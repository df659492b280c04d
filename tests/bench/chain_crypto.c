// The two processes of the bare chain that hold keys.  Each has one channel
// here, so it waits in its read.  Without X25519 they answer with the bytes
// they got: what is measured then is the way to them and back.
#include <sodium.h>
#include <string.h>

#include "tests/bench/chain.h"
#include "tests/tools/tool.h"

void
crypto_init(struct chain_keys *keys)
{
	if (sodium_init() == -1 ||
	    crypto_box_keypair(keys->host_public, keys->host_secret) != 0)
		tool_die("crypto_box_keypair");
}

// For a request to come: an ephemeral key pair, shared with the host's.
void
crypto_near(int proxy, const struct chain_keys *keys)
{
	static struct mail mail;
	uint8_t secret[KEY_LEN];

	mail_init(&mail, proxy, NOTE_OF_TWO_KEYS, -1);
	for (;;) {
		mail_receive(&mail, MSG_WAITFORONE);
		for (unsigned i = 0; keys->x25519 && i < mail.n; i++)
			if (crypto_box_keypair(
				mail.notes[i].ephemeral, secret) != 0 ||
			    crypto_scalarmult(mail.notes[i].key, secret,
				keys->host_public) != 0)
				tool_die("crypto_scalarmult");
		mail_send(&mail);
	}
}

// For a request that came: the host's key pair, shared with the ephemeral.
void
crypto_far(int proxy, const struct chain_keys *keys)
{
	static struct mail mail;
	uint8_t key[KEY_LEN];

	mail_init(&mail, proxy, NOTE_OF_ONE_KEY, -1);
	for (;;) {
		mail_receive(&mail, MSG_WAITFORONE);
		for (unsigned i = 0; keys->x25519 && i < mail.n; i++) {
			if (crypto_scalarmult(key, keys->host_secret,
				mail.notes[i].ephemeral) != 0)
				tool_die("crypto_scalarmult");
			memcpy(mail.notes[i].ephemeral, key, sizeof(key));
		}
		mail_send(&mail);
	}
}
