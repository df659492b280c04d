// What ngtcp2 tells us.  Called from inside ngtcp2: nothing here may free a
// link or write a packet; ends are put off to the end of the loop turn.
#include "gossipd/quic_internal.h"

#include <string.h>

static void
random_bytes(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
	(void)ctx;
	randombytes_buf(dest, len);
}

static int
new_connection_id(
    ngtcp2_conn *ng, ngtcp2_cid *cid, uint8_t *token, size_t len, void *arg)
{
	struct quic_link *l = arg;

	(void)ng;
	cid->datalen = len;
	randombytes_buf(cid->data, len);
	if (ngtcp2_crypto_generate_stateless_reset_token(
		token, l->q->reset_key, sizeof(l->q->reset_key), cid) != 0 ||
	    quic_route_add(l, QUIC_ROUTE_CID, cid->data, len) < 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int
remove_connection_id(ngtcp2_conn *ng, const ngtcp2_cid *cid, void *arg)
{
	(void)ng;
	quic_route_remove(arg, QUIC_ROUTE_CID, cid->data, cid->datalen);
	return 0;
}

// The peer's ids that we use: their tokens announce that it lost its state.
static int
peer_id_status(ngtcp2_conn *ng, ngtcp2_connection_id_status_type type,
    uint64_t seq, const ngtcp2_cid *cid, const uint8_t *token, void *arg)
{
	(void)ng;
	(void)seq;
	(void)cid;
	if (token == NULL)
		return 0;
	// Not fatal: without it a dead peer is found by the idle timeout.
	if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE)
		(void)!quic_route_add(arg, QUIC_ROUTE_TOKEN, token,
		    NGTCP2_STATELESS_RESET_TOKENLEN);
	else
		quic_route_remove(arg, QUIC_ROUTE_TOKEN, token,
		    NGTCP2_STATELESS_RESET_TOKENLEN);
	return 0;
}

static int
was_reset(ngtcp2_conn *ng, const ngtcp2_pkt_stateless_reset *sr, void *arg)
{
	struct quic_link *l = arg;

	(void)ng;
	(void)sr;
	l->was_reset = true;
	return 0;
}

static int
handshake_completed(ngtcp2_conn *ng, void *arg)
{
	struct quic_link *l = arg;
	int r;

	if (quic_tls_accept_peer(l) < 0) {
		ngtcp2_conn_set_tls_alert(ng, GNUTLS_A_ACCESS_DENIED);
		return NGTCP2_ERR_CALLBACK_FAILURE;
	}
	quic_source_drop(l);
	l->state = LINK_UP;
	l->q->stats.handshakes_ok++;
	r = quic_conn_established(l);
	return r < 0 ? NGTCP2_ERR_CALLBACK_FAILURE : 0;
}

static int
stream_open(ngtcp2_conn *ng, int64_t id, void *arg)
{
	struct quic_link *l = arg;
	struct quic_stream *s;

	l->n_inbound++;
	quic_link_give_streams(l);
	if (l->conn == NULL || l->conn->in_ending)
		return 0; // closing: the stream dies with it
	if (quic_stream_accept(l->conn, id, &s) < 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	if (ngtcp2_conn_set_stream_user_data(ng, id, s) != 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	l->q->config.callbacks.stream_opened(l->q->config.arg, s);
	return 0;
}

static int
stream_data(ngtcp2_conn *ng, uint32_t flags, int64_t id, uint64_t offset,
    const uint8_t *data, size_t len, void *arg, void *stream)
{
	(void)ng;
	(void)id;
	(void)offset;
	(void)arg;
	if (stream != NULL)
		quic_stream_received(stream, data, len,
		    (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
	return 0;
}

static int
stream_acked(ngtcp2_conn *ng, int64_t id, uint64_t offset, uint64_t len,
    void *arg, void *stream)
{
	(void)ng;
	(void)id;
	(void)arg;
	if (stream != NULL)
		quic_stream_acked(stream, offset + len);
	return 0;
}

static int
stream_reset(ngtcp2_conn *ng, int64_t id, uint64_t final_size, uint64_t error,
    void *arg, void *stream)
{
	(void)ng;
	(void)id;
	(void)final_size;
	(void)error;
	(void)arg;
	if (stream != NULL)
		quic_stream_was_reset(stream);
	return 0;
}

static int
stream_close(ngtcp2_conn *ng, uint32_t flags, int64_t id, uint64_t error,
    void *arg, void *stream)
{
	struct quic_link *l = arg;

	(void)error;
	if (!ngtcp2_conn_is_local_stream(ng, id)) {
		l->n_inbound--;
		l->streams_due++;
		quic_link_give_streams(l);
	}
	if (stream != NULL)
		quic_stream_over(stream,
		    (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0);
	return 0;
}

static int
more_stream_window(
    ngtcp2_conn *ng, int64_t id, uint64_t max, void *arg, void *stream)
{
	(void)ng;
	(void)id;
	(void)max;
	(void)arg;
	if (stream != NULL)
		quic_stream_unblock(stream);
	return 0;
}

// What both roles share.
#define COMMON_CALLBACKS                                                       \
	.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,                 \
	.handshake_completed = handshake_completed,                            \
	.encrypt = ngtcp2_crypto_encrypt_cb,                                   \
	.decrypt = ngtcp2_crypto_decrypt_cb,                                   \
	.hp_mask = ngtcp2_crypto_hp_mask_cb, .recv_stream_data = stream_data,  \
	.acked_stream_data_offset = stream_acked, .stream_open = stream_open,  \
	.stream_close = stream_close, .stream_reset = stream_reset,            \
	.extend_max_stream_data = more_stream_window,                          \
	.recv_stateless_reset = was_reset, .rand = random_bytes,               \
	.get_new_connection_id = new_connection_id,                            \
	.remove_connection_id = remove_connection_id,                          \
	.dcid_status = peer_id_status,                                         \
	.update_key = ngtcp2_crypto_update_key_cb,                             \
	.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,     \
	.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb, \
	.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,   \
	.version_negotiation = ngtcp2_crypto_version_negotiation_cb

const ngtcp2_callbacks quic_client_callbacks = {
	COMMON_CALLBACKS,
	.client_initial = ngtcp2_crypto_client_initial_cb,
	.recv_retry = ngtcp2_crypto_recv_retry_cb,
};

const ngtcp2_callbacks quic_server_callbacks = {
	COMMON_CALLBACKS,
	.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
};
