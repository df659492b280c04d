// Certificates of endorsement keys (TCG EK Credential Profile 2.x), verified
// up to a vendor's root that is pinned by its SHA-256 fingerprint.  The chain
// travels with the evidence, root included; only fingerprints are kept here.
#ifndef ATTESTD_EK_CHAIN_H
#define ATTESTD_EK_CHAIN_H

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#include "attestd/tpm_public.h"
#include "attestd/tpm_reader.h"
#include "common/cleanup.h"

enum {
	EK_FINGERPRINT_LEN = 32,
	EK_CERTIFICATE_MAX = 4096,
	EK_CHAIN_MAX = 8, // certificates
	EK_N_VENDOR_ROOTS = 15,
};

struct ek_root {
	uint8_t fingerprint[EK_FINGERPRINT_LEN];
	const char *vendor; // static, or of the trust store
	const char *source;
};

// Vendors of hardware TPMs.  Roots of virtual TPMs are the operator's to add:
// they vouch for a cloud's software, not for a chip.
extern const struct ek_root ek_vendor_roots[EK_N_VENDOR_ROOTS];

struct ek_roots {
	const struct ek_root *at;
	size_t n;
};

// What the certificate must be for.
enum ek_use { EK_USE_ENDORSEMENT, EK_USE_ATTESTATION };

struct ek_result {
	const char *problem;	    // NULL: verified; else why not, static
	const struct ek_root *root; // that it ends at
	EVP_PKEY *key;		    // of the leaf; EVP_PKEY_free
};

// A certificate in DER; a TPM's NV index may be filled up with 0xff or zeros
// behind it.  -EBADMSG for anything else, also for an encoding that is not
// the one DER.
MUST_CHECK int ek_certificate_parse(
    const uint8_t *bytes, size_t len, X509 **ret);
int ek_fingerprint(X509 *, uint8_t ret[static EK_FINGERPRINT_LEN]);

// certs[0] is the leaf, the others are in any order.  lists: where the root
// may stand.  Dates are not looked at: TPMs outlive the certificates in them,
// and some say year 9999.
struct ek_result ek_chain_verify(const struct tpm_bytes *certs, size_t n_certs,
    const struct ek_roots *lists, size_t n_lists, enum ek_use);
// Is this the certified key?
bool ek_key_is(const struct ek_result *, const struct tpm_public *);

#endif
