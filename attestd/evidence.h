// Evidence v2: what one node's attestation key says about the node, for one
// verifier, on one connection.  All numbers big-endian; 2B is a length of 16
// bits and so many bytes.
//
//	verifier -> host   HELLO, 80 bytes
//		magic "mshlev2h", nonce 32, ephemeral X25519 key 32, 8 zeros
//	host -> verifier   u32 length, EVIDENCE:
//		u8 version 2, u8 kind (1 software, 2 tpm2; 3 sev-snp and 4 tdx
//		are reserved), 2B claims, 2B attestation key, 2B endorsement
//		key, u8 n and n times 2B certificate, 2B statement, 2B
//		signature, 2B PCR values, 2B batch, u8 0 (logs, later);
//		32 bytes: common/liveness.h over H
//	verifier -> host   CREDENTIAL, 652 bytes, only if the key is new to it
//		magic "mshlev2c", 2B in 128 bytes, 2B in 512 bytes
//	host -> verifier   32 bytes: HMAC-SHA256(secret, "meshllm-act-v2" || H)
//
// H = SHA-256("meshllm-attest-v2\0" || SHA-256(claims) || nonce || binding ||
// SHA-256(name of the attestation key)).  binding: RFC 9266 exporter of the
// QUIC connection.  The statement's extra data is SHA-256("meshllm-batch-v2\0"
// || batch), and the batch holds H: one TPM operation serves many verifiers.
#ifndef ATTESTD_EVIDENCE_H
#define ATTESTD_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attestd/ek_chain.h"
#include "attestd/tpm_attest.h"
#include "attestd/tpm_credential.h"
#include "attestd/tpm_public.h"
#include "common/cleanup.h"
#include "common/sizes.h"

enum {
	EVIDENCE_VERSION = 2,
	EVIDENCE_V2_MAX = 64 * 1024,
	EVIDENCE_HELLO_LEN = 80,
	EVIDENCE_CREDENTIAL_LEN = 8 + 2 + 128 + 2 + 512,
	EVIDENCE_PROOF_LEN = 32,
	EVIDENCE_BATCH_MAX = 64, // verifiers
	EVIDENCE_HASH_LEN = 32,
	EVIDENCE_CLAIMS_LEN = 2 + 32 + 32 + 8 + 5 + 1 + 32,
	EVIDENCE_AHEAD_MS = 30 * 1000,
	EVIDENCE_AGE_MS = 660 * 1000,
	EVIDENCE_ROOT_NAME_MAX = 64,
};

enum evidence_kind { EVIDENCE_SOFTWARE = 1, EVIDENCE_TPM2 = 2 };

struct evidence_claims {
	uint8_t endpoint_id[ENDPOINT_ID_LEN];
	uint8_t inference_key[INFERENCE_KEY_LEN];
	uint64_t made_ms; // Unix
	uint8_t facts[5]; // enum fact: Secure Boot, lockdown, signed modules,
			  // kexec, RDMA
	bool has_image;
	uint8_t image[32]; // SHA-256 of the signer's program
};

struct evidence_hello {
	uint8_t nonce[32];
	uint8_t ephemeral[32];
};

// Pointers into the bytes that were parsed.
struct evidence {
	enum evidence_kind kind;
	struct tpm_bytes claims;
	struct tpm_bytes ak; // TPMT_PUBLIC; software: a point
	struct tpm_bytes ek; // TPMT_PUBLIC, may be empty
	size_t n_certs;
	struct tpm_bytes certs[EK_CHAIN_MAX];
	struct tpm_bytes statement; // TPMS_ATTEST; software: empty
	struct tpm_bytes signature; // TPMT_SIGNATURE; software: DER
	struct tpm_bytes pcrs;
	struct tpm_bytes batch;
};

void evidence_hello_write(
    const struct evidence_hello *, uint8_t ret[static EVIDENCE_HELLO_LEN]);
// -EBADMSG.
MUST_CHECK int evidence_hello_read(
    const uint8_t bytes[static EVIDENCE_HELLO_LEN], struct evidence_hello *ret);
void evidence_claims_write(
    const struct evidence_claims *, uint8_t ret[static EVIDENCE_CLAIMS_LEN]);
MUST_CHECK int evidence_claims_read(
    struct tpm_bytes, struct evidence_claims *ret);
void evidence_credential_write(
    const struct tpm_credential *, uint8_t ret[static EVIDENCE_CREDENTIAL_LEN]);
MUST_CHECK int evidence_credential_read(
    const uint8_t bytes[static EVIDENCE_CREDENTIAL_LEN],
    struct tpm_credential *ret);
// -EMSGSIZE: more than EVIDENCE_V2_MAX.
MUST_CHECK int evidence_write(
    const struct evidence *, uint8_t *ret, size_t size, size_t *ret_len);
// -EBADMSG.
MUST_CHECK int evidence_read(
    const uint8_t *bytes, size_t len, struct evidence *ret);

// H; key_name: what evidence_key_name says.
MUST_CHECK int evidence_hash(struct tpm_bytes claims,
    const uint8_t nonce[static 32], const uint8_t binding[static 32],
    struct tpm_bytes key_name, uint8_t ret[static EVIDENCE_HASH_LEN]);
MUST_CHECK int evidence_batch_hash(
    struct tpm_bytes batch, uint8_t ret[static EVIDENCE_HASH_LEN]);
// The TPM's name of the key; of a software key the point itself.
MUST_CHECK int evidence_key_name(
    const struct evidence *, uint8_t ret[static TPM_NAME_MAX], size_t *ret_len);
MUST_CHECK int evidence_proof(
    const uint8_t secret[static TPM_CREDENTIAL_SECRET_LEN],
    const uint8_t hash[static EVIDENCE_HASH_LEN],
    uint8_t ret[static EVIDENCE_PROOF_LEN]);

// ---- verification

struct evidence_question {
	const uint8_t *endpoint_id;   // of the connection
	const uint8_t *inference_key; // that will be used
	const uint8_t *nonce;	      // 32
	const uint8_t *binding;	      // 32
	uint64_t now_ms;
	const struct ek_roots *roots;
	size_t n_roots;
};

// Every check has a name and a result, for `meshllm verify --explain`.
enum evidence_check {
	EVIDENCE_FORMAT,
	EVIDENCE_NODE,
	EVIDENCE_INFERENCE_KEY,
	EVIDENCE_TIME,
	EVIDENCE_KEY,
	EVIDENCE_SIGNATURE,
	EVIDENCE_FRESHNESS, // nonce, claims, binding: H is in the batch
	EVIDENCE_PCRS,
	EVIDENCE_CHAIN,
	EVIDENCE_ENDORSEMENT,
	EVIDENCE_N_CHECKS,
};

struct evidence_result {
	// NULL: passed; else why not.  The checks up to PCRS must pass for any
	// level; CHAIN and ENDORSEMENT for hardware, with the activation.
	const char *problems[EVIDENCE_N_CHECKS];
	size_t n_done; // checks that were made
	enum evidence_kind kind;
	uint8_t key[32]; // fingerprint of the attestation key's point
	uint8_t hash[EVIDENCE_HASH_LEN];
	uint8_t name[TPM_NAME_MAX];
	size_t name_len;
	struct tpm_clock clock;
	uint64_t firmware;
	struct evidence_claims claims;
	uint8_t endorsement[32]; // SHA-256 of the endorsement key, if shown
	bool has_root;		 // CHAIN passed; it ended at
	uint8_t root[EK_FINGERPRINT_LEN];
	char root_name[EVIDENCE_ROOT_NAME_MAX + 1]; // vendor
};

void evidence_verify(const uint8_t *bytes, size_t len,
    const struct evidence_question *, struct evidence_result *ret);
const char *evidence_check_name(enum evidence_check);
// The first check up to PCRS that failed, NULL: none.
const char *evidence_problem(const struct evidence_result *);

#endif
