// What an attacker puts on a channel whose end it holds: messages of every
// type, as they should be, nearly so, or not at all.  The same ones in every
// run with the same seed.
#ifndef TESTS_TAKEOVER_ATTACK_H
#define TESTS_TAKEOVER_ATTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/ipc.h"
#include "proto/ipc.pb-c.h"

enum {
	ATTACK_TYPES_END = 96, // beyond the last type
	ATTACK_HANDSHAKE_LEN = 146,
	ATTACK_ASK_MAX = 8,
};

struct raw {
	struct ipc_header header;
	uint8_t body[IPC_BODY_MAX + 512];
	size_t len;
};

// One channel between an attacked daemon and the one that attacks it.
struct attack_rules {
	// What may come back on it, besides the greeting and KEY_CHANGED.
	uint16_t answers[ATTACK_ASK_MAX];
	// What the attacked role may ask, well-formed; 0: nothing more.
	uint16_t may_ask[ATTACK_ASK_MAX];
};

// By name: who is attacked, who attacks.
extern const struct attack_rules attack_cryptod_proxyd, attack_cryptod_gossipd,
    attack_cryptod_tls, attack_signer_gossipd, attack_verifier_proxyd,
    attack_gossipd_proxyd, attack_proxyd_gossipd;

void attack_seed(uint64_t);
uint32_t attack_dice(uint32_t n);
// A line to standard error by one write(2), as a sandbox allows it.
__attribute__((format(printf, 1, 2))) void attack_say(const char *format, ...);

// fds: 0 to n_fds descriptors go along.  0 or -errno; never waits.
int attack_send(int fd, const struct raw *, const int *fds, size_t n_fds);
// Length of the body, or -errno; -EPIPE at the end.  *ret_passed: -1, or a
// descriptor that is the caller's now.
ssize_t attack_receive(int fd, struct raw *, int *ret_passed);

void attack_pack(struct raw *, uint16_t type, const ProtobufCMessage *);
void attack_greet(struct raw *, enum ipc_role self);
// With required fields of the right sizes, whatever is in them.  Types that
// nobody has: an empty message.
void attack_well_formed(struct raw *, uint16_t type);
void attack_malformed(struct raw *);
// A real handshake with one thing wrong, or something else to sign.
void attack_almost_a_handshake(struct raw *);
// Any of these, mostly what may be asked.
void attack_next(const struct attack_rules *, struct raw *);
// The next of what may be asked, in turn.
uint16_t attack_may_ask(const struct attack_rules *, size_t turn);
// Must a descriptor go along?
bool attack_wants_fd(uint16_t type);
// What cryptod may sign: a SignRequest with a whole handshake in it.
bool attack_is_handshake(const struct raw *);
bool attack_is_answer(const struct attack_rules *, uint16_t type);

#endif
