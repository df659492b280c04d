// A client's connection, shared by the two files that serve it: client_conn.c
// moves bytes, client_request.c decides what a head asks for.
#ifndef PROXYD_CLIENT_CONN_STATE_H
#define PROXYD_CLIENT_CONN_STATE_H

#include "proxyd/http_body.h"
#include "proxyd/proxyd.h"
#include "proxyd/request.h"

enum conn_state {
	CONN_HEAD, // reading one, or waiting for it
	CONN_BODY,
	CONN_BUSY,  // the answer is being made
	CONN_FLUSH, // then it ends
	CONN_DRAIN, // answered and shut; the client may be sending still
};

struct client_conn {
	struct reap reap;
	TAILQ_ENTRY(client_conn) entry;
	struct seat seat;
	struct proxyd *d;		 // borrowed
	const struct listener *listener; // borrowed
	struct party_id from;
	struct stream stream;
	enum conn_state state;
	struct buf in; // of a head, or pipelined behind a request
	bool has_pipelined;
	size_t scanned;
	uint64_t since_ms; // of the head, or of the draining
	struct http_body body;
	struct request *req; // borrowed while it lives
	char *allow_origin;  // of the request; owned, or NULL
	bool is_refused;     // has no seat, and is only drained
	bool keep_alive;
	bool is_http10;
	bool at_end; // the client's FIN was read; see ask_client()
	unsigned quiet_ticks;
	uint64_t body_bytes; // of the answer, a tick ago
};

// ---- client_conn.c

// Also ends the request that is being answered.
void client_conn_close(struct client_conn *);
// From here on a read means: more, or the client is gone.
void client_conn_busy(struct client_conn *);
request_ended_fn client_conn_request_ended;

// ---- client_request.c

// A complete head: its request is begun or refused.
void client_take_head(struct client_conn *, const uint8_t *head, size_t len);
void client_refuse_head(struct client_conn *, struct http_refusal);
void client_refuse(
    struct client_conn *, int status, const char *code, const char *message);
MUST_CHECK int client_send_continue(struct client_conn *);

#endif
