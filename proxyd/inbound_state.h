// A tunnel of a peer, shared by the three files that serve it: inbound.c reads
// and ends it, inbound_sealed.c opens what is sealed, inbound_request.c decides
// what a request may ask for.
#ifndef PROXYD_INBOUND_STATE_H
#define PROXYD_INBOUND_STATE_H

#include "cryptod/client.h"
#include "proxyd/http_body.h"
#include "proxyd/proxyd.h"
#include "proxyd/request.h"
#include "proxyd/sealed_v1.h"

enum inbound_state {
	INBOUND_MARK, // nothing read
	INBOUND_ENVELOPE,
	INBOUND_OPENING, // cryptod was asked
	INBOUND_HEAD,	 // plain
	INBOUND_BODY,
	INBOUND_BUSY, // the answer is being made
	INBOUND_FLUSH,
	INBOUND_LINGER, // answered; gossipd takes its time to deliver
};

// The answer of cryptod, kept while the rest of a long request comes.
struct inbound_keys {
	size_t n;
	struct {
		uint8_t inference_key[INFERENCE_KEY_LEN];
		uint8_t request_key[REQUEST_KEY_LEN];
	} candidates[CRYPTOD_CANDIDATES_MAX];
};

struct inbound {
	struct reap reap;
	TAILQ_ENTRY(inbound) entry;
	struct proxyd *d; // borrowed
	uint8_t peer_id[ENDPOINT_ID_LEN];
	struct stream stream;
	struct event watch_late; // for a peer that goes away
	enum inbound_state state;
	bool is_sealed;
	bool at_end; // the peer's FIN was read
	// When the last of it came, at the earliest; clock_boot_ms().
	uint64_t heard_ms;
	struct sealed_envelope envelope;
	size_t held;	  // proxyd_hold()
	uint32_t open_id; // 0: not waiting
	bool was_begun;	  // sealed_envelope_begin() was tried
	struct inbound_keys keys;
	struct buf head;
	size_t scanned;
	struct http_body body;
	struct request *req; // borrowed while it lives
	size_t nth;	     // of this peer's tunnels, when it came
};

// ---- inbound.c

// Also ends the request that is being answered.
void inbound_close(struct inbound *);
// Closed without an answer, and counted.
void inbound_drop(struct inbound *, const char *reason);
request_ended_fn inbound_request_ended;

// ---- inbound_sealed.c

// The first bytes of it; read the others straight into it, to its FIN.
void inbound_begin_sealed(struct inbound *, const uint8_t *bytes, size_t n);
MUST_CHECK ssize_t inbound_read_envelope(struct inbound *);
void inbound_envelope_complete(struct inbound *);
void inbound_drop_envelope(struct inbound *);

// ---- inbound_request.c

MUST_CHECK int inbound_begin(struct inbound *, enum endpoint);
// An answer that says no; with seal, if the request could be opened.
void inbound_refuse(
    struct inbound *, int status, const char *code, const char *message);
// 0: its body may follow.
MUST_CHECK int inbound_take_head(
    struct inbound *, const uint8_t *head, size_t len);
// Bytes behind the body are discarded.  Not 0: it was refused.
MUST_CHECK int inbound_feed_body(
    struct inbound *, const uint8_t *bytes, size_t n);
// Plain requests.
void inbound_refuse_plain(struct inbound *);
void inbound_feed_head(struct inbound *, const uint8_t *bytes, size_t n);
void inbound_feed_plain(struct inbound *, const uint8_t *bytes, size_t n);

#endif
