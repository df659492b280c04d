// The bare chain: the processes of two nodes and the descriptors between them,
// with nothing in them that is not needed to carry a request through.
#ifndef TESTS_BENCH_CHAIN_H
#define TESTS_BENCH_CHAIN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
	KEY_LEN = 32,
	// Of a request or an answer.  So little of a stream socket arrives as
	// it was written: one write is one read.
	MESSAGE_MAX = 16 * 1024,
	FDS_MAX = 2048, // descriptors of a process
	BATCH_MAX = 64, // messages of one call, events of one wait
};

// On every channel; of the last keys only as much as that channel needs.
struct note {
	uint64_t number; // what it is about, the sender's to choose
	uint8_t ephemeral[KEY_LEN];
	uint8_t key[KEY_LEN];
};

enum {
	NOTE_OF_ONE_KEY = offsetof(struct note, key),
	NOTE_OF_TWO_KEYS = sizeof(struct note),
};

// Messages that enter or leave a channel in one call.
struct mail {
	int channel; // borrowed
	int epoll;   // borrowed
	size_t size; // of a message
	unsigned n;
	struct note notes[BATCH_MAX];
	int fds[BATCH_MAX];  // owned until they left; -1: none
	int ours[BATCH_MAX]; // the other ends: watched when those have left
	struct mmsghdr headers[BATCH_MAX];
	struct iovec parts[BATCH_MAX];
	union {
		struct cmsghdr first;
		char bytes[CMSG_SPACE(sizeof(int))];
	} controls[BATCH_MAX];
};

// chain_mail.c: a broken channel ends the program.
void mail_init(struct mail *m, int channel, size_t size, int epoll);
// The next message; its content is the caller's to fill in.
struct note *mail_add(struct mail *m);
// The same with one end of a new tunnel, for bytes that are in it already.
// Returns the other end.
int mail_add_tunnel(struct mail *m, const void *bytes, size_t len);
// All that were added, in one call; nothing that can wait comes before it.
void mail_send(struct mail *m);
// What is there, into ->notes and ->fds.
void mail_receive(struct mail *m, int flags);
// Watched until it is closed.
void chain_watch(int epoll, int fd);
unsigned chain_wait(int epoll, struct epoll_event ret[static BATCH_MAX]);
void chain_send(int fd, const void *bytes, size_t len);

// chain_proxy.c, chain_gossip.c, chain_crypto.c: the processes.  The near one
// is the client's, the far one the host's.
_Noreturn void proxy_near(int gossip, int crypto, int listener);
_Noreturn void proxy_far(
    int gossip, int crypto, const struct sockaddr_in *backend);
_Noreturn void gossip_near(int proxy, int udp);
_Noreturn void gossip_far(int proxy, int udp);

struct chain_keys {
	bool x25519; // or nothing but the round trip
	uint8_t host_public[KEY_LEN];
	uint8_t host_secret[KEY_LEN];
};

void crypto_init(struct chain_keys *keys);
_Noreturn void crypto_near(int proxy, const struct chain_keys *keys);
_Noreturn void crypto_far(int proxy, const struct chain_keys *keys);

#endif
