// A quote of a TPM in its parts, for tests: verified, and changed in every byte
// of each part.
#ifndef TESTS_UNIT_TPM_QUOTE_H
#define TESTS_UNIT_TPM_QUOTE_H

#include "tests/unit/evidence_files.h"

struct quote {
	struct file ak, message, signature; // TPMT_SIGNATURE
};

// One of our software TPM: files of tests/data.
void quote_load_own(
    struct quote *ret, const char *message, const char *signature);
// A signature as openssl writes it, as a TPM does.
void signature_of_der(const struct file *der, struct file *ret);

// 0, -EBADMSG for a shape, -EACCES for a signature.
int quote_verify(const struct quote *);
// Each byte changed in turn, and each shorter length, of one part or of all.
void quote_check_every_value(struct quote *, struct file *part);
void quote_check_every_change(struct quote *);

#endif
