// Picks what was asked for by name, and nothing else: a TPM that fails is
// never replaced by a software key.  Signs only what the signer made.
#include "attestd/attester_impl.h"

#include <openssl/ec.h>
#include <string.h>

enum { GENERATED_LEN = 4 };

int
attester_parse(
    const char *name, struct attester_config *ret, const char **ret_why)
{
	const char *path;
	bool is_socket;

	*ret = (struct attester_config){ .kind = ATTESTER_NONE };
	if (name == NULL || strcmp(name, "none") == 0)
		return 0;
	if (strcmp(name, "software") == 0) {
		ret->kind = ATTESTER_SOFTWARE;
		return 0;
	}
	if (strncmp(name, "tpm2", 4) != 0 ||
	    (name[4] != '\0' && name[4] != ':')) {
		*ret_why = "there is none of this name; use tpm2[:TCTI], "
			   "software or none";
		return -EINVAL;
	}
	ret->kind = ATTESTER_TPM2;
	ret->tcti = name[4] == ':' ? name + 5 : "device:/dev/tpmrm0";
	if (tcti_fd_is_conf(ret->tcti, &path, &is_socket))
		return 0;
	*ret_why = "the TCTI is not device:/PATH or swtpm:path=/PATH";
	return -EINVAL;
}

int
attester_new(const struct attester_config *config, struct attester **ret)
{
	struct attester *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	a->kind = config->kind;
	if (a->kind == ATTESTER_SOFTWARE) {
		a->key = EVP_EC_gen("P-256");
		if (a->key == NULL) {
			free(a);
			return -ENOMEM;
		}
	}
	a->chain = config->ek_chain;
	if (a->kind == ATTESTER_TPM2) {
		tpm_init(&a->tpm, config->tcti);
		a->tpm.tcti.is_interrupted = config->is_interrupted;
		a->tpm.tcti.interrupt_fd = config->interrupt_fd;
		// What is missing now is tried again by each use.
		(void)!tpm_open(&a->tpm);
	}
	*ret = a;
	return 0;
}

void
attester_free(struct attester *a)
{
	if (a == NULL)
		return;
	EVP_PKEY_free(a->key);
	chain_file_done(&a->chain);
	if (a->kind == ATTESTER_TPM2)
		tpm_close(&a->tpm);
	free(a);
}

enum attester_kind
attester_kind_of(const struct attester *a)
{
	return a->kind;
}

const char *
attester_problem(const struct attester *a)
{
	return a->kind == ATTESTER_TPM2 ? a->tpm.problem : NULL;
}

static int
software_point(const struct attester *a, uint8_t ret[static P256_POINT_LEN])
{
	size_t len = 0;

	return EVP_PKEY_get_octet_string_param(
		   a->key, "pub", ret, P256_POINT_LEN, &len) == 1 &&
		len == P256_POINT_LEN
	    ? 0
	    : -ENOMEM;
}

int
attester_point(struct attester *a, uint8_t ret[static P256_POINT_LEN])
{
	int r;

	if (a->kind == ATTESTER_SOFTWARE)
		return software_point(a, ret);
	if (a->kind != ATTESTER_TPM2)
		return -ENODEV;
	if ((r = tpm_open(&a->tpm)) == 0)
		memcpy(ret, a->tpm.point, P256_POINT_LEN);
	return r;
}

static int
software_sign(struct attester *a, const uint8_t *message, size_t len,
    uint8_t ret_der[static P256_DER_MAX], size_t *ret_der_len,
    uint8_t ret_point[static P256_POINT_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = P256_DER_MAX;
	int ok;

	if (ctx == NULL)
		return -ENOMEM;
	ok = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, a->key) == 1 &&
	    EVP_DigestSign(ctx, ret_der, &n, message, len) == 1 &&
	    software_point(a, ret_point) == 0;
	EVP_MD_CTX_free(ctx);
	*ret_der_len = n;
	return ok ? 0 : -ENOMEM;
}

int
attester_sign(struct attester *a, const uint8_t *message, size_t len,
    uint8_t ret_der[static P256_DER_MAX], size_t *ret_der_len,
    uint8_t ret_point[static P256_POINT_LEN])
{
	static const uint8_t generated[GENERATED_LEN] = { 0xff, 'T', 'C', 'G' };
	int r;

	// A TPM refuses this by itself; a software key must not pose as one.
	if (len >= GENERATED_LEN && memcmp(message, generated, 4) == 0)
		return -EPERM;
	if (a->kind == ATTESTER_SOFTWARE)
		return software_sign(
		    a, message, len, ret_der, ret_der_len, ret_point);
	if (a->kind != ATTESTER_TPM2)
		return -ENODEV;
	if ((r = tpm_open(&a->tpm)) < 0)
		return r;
	memcpy(ret_point, a->tpm.point, P256_POINT_LEN);
	return tpm_sign(&a->tpm, message, len, ret_der, ret_der_len);
}
