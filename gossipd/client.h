// What proxyd asks of gossipd.  Linked by proxyd, not by gossipd.
#ifndef GOSSIPD_CLIENT_H
#define GOSSIPD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ipc.h"
#include "common/sizes.h"

enum { GOSSIPD_EVIDENCE_STREAM_REPLY_MAX = 36, GOSSIPD_BINDING_LEN = 32 };

struct gossipd_model {
	const char *name;	 // MODEL_NAME_MAX
	uint32_t context_length; // 0: not known
};

// Open a tunnel to that node over fd, our end of a SOCK_STREAM pair, taken
// also on failure.  What was written to it before leaves first.  Only a failure
// is answered (Ipc__TunnelReply); bytes of an answer tell of success.
MUST_CHECK int gossipd_tunnel_send(struct ipc_peer *,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN], int fd,
    unsigned deadline_ms, ipc_reply_fn *fn, void *arg, uint32_t *ret_id);
// The same for a stream of evidence v2; the answer has the exporter of its
// connection.
MUST_CHECK int gossipd_evidence_stream_send(struct ipc_peer *,
    const uint8_t endpoint_id[static ENDPOINT_ID_LEN], int fd,
    unsigned deadline_ms, ipc_reply_fn *fn, void *arg, uint32_t *ret_id);
// *ret_binding: 32 bytes in the answer when *ret_result is OK, else NULL.
MUST_CHECK int gossipd_evidence_stream_read(int status,
    const ProtobufCMessage *msg, Ipc__Result *ret_result,
    const uint8_t **ret_binding);
// What this node serves now; PEER_MODELS_MAX at most are sent.  has_backend:
// false makes it a client.
MUST_CHECK int gossipd_self_update_send(struct ipc_peer *, bool has_backend,
    uint16_t api_port, const struct gossipd_model *models, size_t n);

// parent: what may be announced of this machine, bits of common/posture.h.
MUST_CHECK int gossipd_posture_send(struct ipc_peer *, uint32_t announced);

#endif
