// TLS 1.3 for QUIC with GnuTLS: mutual Ed25519 raw public keys (RFC 7250),
// one ALPN, signatures from outside.  Trusts the signing function to be the
// holder of the configured endpoint id; trusts no byte of the peer.  Must
// never resume a session (a PSK would skip the check of the key), never
// hold a private key, never accept a certificate that is not one raw key.
#include "gossipd/quic_internal.h"

#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <string.h>

// No PSK, no certificates but raw keys.  AES-128-GCM first: GnuTLS's
// ChaCha20-Poly1305 is ten times slower.
static const char priority[] =
    "NONE:+VERS-TLS1.3:+AEAD:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "+GROUP-X25519:+GROUP-SECP256R1:+SIGN-EDDSA-ED25519:"
    "+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK:%DISABLE_TLS13_COMPAT_MODE";

// SubjectPublicKeyInfo of an Ed25519 key up to the key (RFC 8410).
static const uint8_t spki_prefix[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b,
	0x65, 0x70, 0x03, 0x21, 0x00 };
enum { SPKI_LEN = sizeof(spki_prefix) + ENDPOINT_ID_LEN };

static int
sign_data(gnutls_privkey_t key, gnutls_sign_algorithm_t algo, void *arg,
    unsigned flags, const gnutls_datum_t *content, gnutls_datum_t *ret)
{
	struct quic *q = arg;
	uint8_t *signature;

	(void)key;
	(void)flags;
	if (algo != GNUTLS_SIGN_EDDSA_ED25519)
		return GNUTLS_E_INVALID_REQUEST;
	signature = gnutls_malloc(SIGNATURE_LEN);
	if (signature == NULL)
		return GNUTLS_E_MEMORY_ERROR;
	if (q->config.sign(q->config.sign_arg, content->data, content->size,
		signature) < 0) {
		gnutls_free(signature);
		return GNUTLS_E_PK_SIGN_FAILED;
	}
	ret->data = signature;
	ret->size = SIGNATURE_LEN;
	return 0;
}

static int
key_info(gnutls_privkey_t key, unsigned flags, void *arg)
{
	(void)key;
	(void)arg;
	if ((flags & GNUTLS_PRIVKEY_INFO_PK_ALGO) != 0)
		return GNUTLS_PK_EDDSA_ED25519;
	if ((flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS) != 0)
		return 256;
	if ((flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO) != 0)
		return GNUTLS_FLAGS_TO_SIGN_ALGO(flags) ==
		    GNUTLS_SIGN_EDDSA_ED25519;
	return -1;
}

// The peer's key if it is exactly one well-formed Ed25519 raw key.
static int
peer_key(gnutls_session_t s, const uint8_t **ret)
{
	const gnutls_datum_t *certs;
	unsigned n = 0;

	if (gnutls_certificate_type_get2(s, GNUTLS_CTYPE_PEERS) !=
	    GNUTLS_CRT_RAWPK)
		return -EPERM;
	certs = gnutls_certificate_get_peers(s, &n);
	if (certs == NULL || n != 1 || certs[0].size != SPKI_LEN)
		return -EPERM;
	if (memcmp(certs[0].data, spki_prefix, sizeof(spki_prefix)) != 0)
		return -EPERM;
	*ret = certs[0].data + sizeof(spki_prefix);
	// Also refuses points of small order, which sign for anybody.
	if (!crypto_core_ed25519_is_valid_point(*ret))
		return -EPERM;
	return 0;
}

static struct quic_link *
session_link(gnutls_session_t s)
{
	ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(s);

	return ref->user_data;
}

// GnuTLS has checked the signature with this key when it calls; the peer is
// proven only when the handshake is complete (RFC 8446, section 4.4.4).
static int
verify_peer(gnutls_session_t s)
{
	struct quic_link *l = session_link(s);
	const uint8_t *key;

	if (peer_key(s, &key) < 0) {
		l->tls_error = "not one Ed25519 raw public key";
		return GNUTLS_E_CERTIFICATE_ERROR;
	}
	if (l->outbound && memcmp(key, l->peer, ENDPOINT_ID_LEN) != 0) {
		l->tls_error = "another node than the one dialled";
		return GNUTLS_E_CERTIFICATE_ERROR;
	}
	// Not proven yet, see quic_tls_accept_peer.
	memcpy(l->peer, key, ENDPOINT_ID_LEN);
	l->verified = true;
	return 0;
}

// On success credentials own pcert's contents and key.
static int
set_key(struct quic *q, gnutls_pcert_st *pcert)
{
	gnutls_datum_t x = { .data = q->config.endpoint_id,
		.size = ENDPOINT_ID_LEN };
	gnutls_pubkey_t pub = NULL;
	gnutls_privkey_t key = NULL;
	int r;

	if ((r = gnutls_pubkey_init(&pub)) < 0)
		return r;
	r = gnutls_pubkey_import_ecc_raw(
	    pub, GNUTLS_ECC_CURVE_ED25519, &x, NULL);
	if (r >= 0)
		r = gnutls_pcert_import_rawpk(pcert, pub, 0);
	if (r < 0) {
		gnutls_pubkey_deinit(pub); // pcert takes it over on success
		return r;
	}
	if ((r = gnutls_privkey_init(&key)) >= 0)
		r = gnutls_privkey_import_ext4(
		    key, q, sign_data, NULL, NULL, NULL, key_info, 0);
	if (r >= 0)
		r = gnutls_certificate_set_key(
		    q->credentials, NULL, 0, pcert, 1, key);
	if (r < 0) {
		gnutls_privkey_deinit(key);
		gnutls_pcert_deinit(pcert);
	}
	return r;
}

int
quic_tls_init(struct quic *q)
{
	gnutls_pcert_st *pcert;
	int r;

	q->alpn = "mesh-llm/1";
	if (gnutls_certificate_allocate_credentials(&q->credentials) < 0)
		return -ENOMEM;
	if ((pcert = gnutls_calloc(1, sizeof(*pcert))) == NULL)
		return -ENOMEM;
	r = set_key(q, pcert);
	gnutls_free(pcert); // the struct was copied
	if (r < 0)
		return r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL;
	gnutls_certificate_set_verify_function(q->credentials, verify_peer);
	if (gnutls_priority_init2(&q->priority, priority, NULL, 0) < 0)
		return -EINVAL;
	return 0;
}

void
quic_tls_done(struct quic *q)
{
	if (q->priority != NULL)
		gnutls_priority_deinit(q->priority);
	if (q->credentials != NULL)
		gnutls_certificate_free_credentials(q->credentials);
	q->priority = NULL;
	q->credentials = NULL;
}

static ngtcp2_conn *
get_conn(ngtcp2_crypto_conn_ref *ref)
{
	const struct quic_link *l = ref->user_data;

	return l->ng;
}

static int
configure_role(struct quic_link *l)
{
	if (l->outbound)
		return ngtcp2_crypto_gnutls_configure_client_session(l->tls);
	gnutls_certificate_server_set_request(l->tls, GNUTLS_CERT_REQUIRE);
	return ngtcp2_crypto_gnutls_configure_server_session(l->tls);
}

int
quic_tls_session_new(struct quic_link *l)
{
	const unsigned flags = (l->outbound ? GNUTLS_CLIENT : GNUTLS_SERVER) |
	    (unsigned)GNUTLS_ENABLE_RAWPK | (unsigned)GNUTLS_NO_TICKETS |
	    (unsigned)GNUTLS_NO_END_OF_EARLY_DATA;
	gnutls_datum_t protocol = { .data = (unsigned char *)l->q->alpn,
		.size = (unsigned)strlen(l->q->alpn) };

	if (gnutls_init(&l->tls, flags) < 0)
		return -ENOMEM;
	l->ref.get_conn = get_conn;
	l->ref.user_data = l;
	gnutls_session_set_ptr(l->tls, &l->ref);
	if (gnutls_priority_set(l->tls, l->q->priority) < 0 ||
	    configure_role(l) != 0 ||
	    gnutls_credentials_set(
		l->tls, GNUTLS_CRD_CERTIFICATE, l->q->credentials) < 0 ||
	    gnutls_alpn_set_protocols(
		l->tls, &protocol, 1, GNUTLS_ALPN_MANDATORY) < 0) {
		gnutls_deinit(l->tls);
		l->tls = NULL;
		return -ENOMEM;
	}
	return 0;
}

int
quic_tls_accept_peer(struct quic_link *l)
{
	gnutls_datum_t protocol;

	// MANDATORY does not stop a client whose server chose nothing.
	if (gnutls_alpn_get_selected_protocol(l->tls, &protocol) < 0 ||
	    protocol.size != strlen(l->q->alpn) ||
	    memcmp(protocol.data, l->q->alpn, protocol.size) != 0) {
		l->tls_error = "no common application protocol";
		return -EPERM;
	}
	// A resumed session would come here without verify_peer.
	if (!l->verified || gnutls_session_is_resumed(l->tls))
		return -EPERM;
	return 0;
}

int
quic_conn_exporter(struct quic_conn *c, uint8_t ret[static 32])
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (c->link == NULL || c->link->state != LINK_UP)
		return -ENOTCONN;
	// RFC 9266, section 2: no context.
	if (gnutls_prf_rfc5705(c->link->tls, sizeof(label) - 1, label, 0, NULL,
		32, (char *)ret) < 0)
		return -EIO;
	return 0;
}
