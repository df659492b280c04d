// What gossipd and the parent tell proxyd.  Linked by them, not by proxyd.
#ifndef PROXYD_CLIENT_H
#define PROXYD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/ipc.h"
#include "common/measure.h"
#include "common/posture.h"
#include "common/sizes.h"

struct proxyd_mesh_info {
	const uint8_t *endpoint_id;   // ENDPOINT_ID_LEN, our own
	const char *token;	      // invite token
	const char *const *addresses; // those in the token
	size_t n_addresses;
	const char *mesh_id; // or NULL
	const char *version; // as announced
};

struct proxyd_model {
	const char *name;
	uint32_t context_length; // 0: not told
};

struct proxyd_peer_update {
	const uint8_t *endpoint_id; // ENDPOINT_ID_LEN
	Ipc__PeerRole role;
	Ipc__Dialect dialect;
	bool connected;
	bool direct; // told us about itself, over its own connection
	const uint8_t *announcement; // ANNOUNCEMENT_LEN, or NULL
	const uint8_t *unsigned_key; // INFERENCE_KEY_LEN, or NULL
	const char *version;	     // or NULL
	const char *address;	     // or NULL
	uint32_t rtt_us;	     // 0: not known
	uint64_t last_seen_ms;	     // Unix; 0: never
	uint32_t posture;	     // bits: gossipd/node_codec.h
	Ipc__Owner owner;
	const uint8_t *owner_id; // 32; looked at when signed
	const uint8_t *evidence; // field 38, or NULL
	size_t evidence_len;	 // over EVIDENCE_MAX it is not sent
	const uint8_t *binding;	 // 32, exporter of its connection, or NULL
	bool shows_life;	 // says that it does; see silence.h
	const struct proxyd_model *models;
	size_t n_models; // PEER_MODELS_MAX at most are sent
};

struct proxyd_process {
	const char *name;
	pid_t pid;
	uint64_t rss_bytes; // 0: not known
	uint64_t cpu_ms;
};

// How long a reload may take that is under way.
enum { PROXYD_RELOAD_MS = 10 * 1000 };

// All: 0, or what ipc_notify() says.  Arguments are borrowed.

// gossipd: this node's own data, once at the start and when it changes.
MUST_CHECK int proxyd_mesh_info_send(
    struct ipc_peer *, const struct proxyd_mesh_info *);
// gossipd: a peer is new or changed.  Several messages; models over
// MODEL_NAME_MAX are left out.  After an error send the whole update again.
MUST_CHECK int proxyd_peer_update_send(
    struct ipc_peer *, const struct proxyd_peer_update *);
MUST_CHECK int proxyd_peer_gone_send(
    struct ipc_peer *, const uint8_t endpoint_id[static ENDPOINT_ID_LEN]);
// gossipd: a tunnel that this peer opened, after its type byte.  fd: our end
// of a SOCK_STREAM pair, taken also on failure.  came_ms: of clock_boot_ms().
MUST_CHECK int proxyd_tunnel_inbound_send(struct ipc_peer *,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN], uint64_t came_ms,
    int fd);
// parent: the processes of this node, for the status.
MUST_CHECK int proxyd_processes_send(
    struct ipc_peer *, const struct proxyd_process *, size_t n);

// parent: a file that the configuration names, in parts; then the command line
// that uses it, which is answered with a ReloadReply.  -E2BIG: it does not fit
// into a message.
MUST_CHECK int proxyd_reload_file_send(
    struct ipc_peer *, const char *path, const char *bytes, size_t n);
MUST_CHECK int proxyd_reload_send(struct ipc_peer *, char *const arguments[],
    size_t n, ipc_reply_fn *, void *arg);

struct proxyd_image {
	const char *name;
	const uint8_t *sha256; // IMAGE_HASH_LEN
};
// parent: what was measured, for the status.
MUST_CHECK int proxyd_posture_send(struct ipc_peer *, const struct posture *,
    const struct proxyd_image *images, size_t n_images);

// parent: what vouches for this node, for the status; problem: or NULL.
MUST_CHECK int proxyd_attester_state_send(
    struct ipc_peer *, const char *name, const char *problem);

// verifier: verdicts about this node count no more; NULL: about all.
MUST_CHECK int proxyd_verdicts_void_send(
    struct ipc_peer *, const uint8_t *endpoint_id);

#endif
