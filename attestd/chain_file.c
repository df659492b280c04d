// A file of the operator, read once before the sandbox; `meshllm config check`
// reads it too.  Whether the chain is any good is for those who verify it.
#include "attestd/chain_file.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "common/file.h"

static int
add(struct chain_file *c, X509 *cert, const char **ret_why)
{
	int n;

	if (c->n == CHAIN_FILE_CERTS_MAX) {
		*ret_why = "more than 6 certificates";
		return -EMSGSIZE;
	}
	n = i2d_X509(cert, &c->der[c->n]);
	if (n <= 0) {
		*ret_why = "out of memory";
		return -ENOMEM;
	}
	c->len[c->n++] = (size_t)n;
	return 0;
}

static int
add_all(struct chain_file *c, BIO *in, const char **ret_why)
{
	X509 *cert;
	int r = 0;

	ERR_clear_error();
	while (r == 0 &&
	    (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
		r = add(c, cert, ret_why);
		X509_free(cert);
	}
	if (r < 0)
		return r;
	// The end looks like this; everything else is damage.
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		*ret_why = "a certificate in it is damaged";
		r = -EBADMSG;
	} else if (c->n == 0) {
		*ret_why = "no certificate in PEM is in it";
		r = -EBADMSG;
	}
	ERR_clear_error();
	return r;
}

int
chain_file_read(const char *path, struct chain_file *ret, const char **ret_why)
{
	AUTO_FREE char *text = NULL;
	size_t len;
	BIO *in;
	int r = file_read(path, FILE_PLAIN, CHAIN_FILE_BYTES_MAX, &text, &len);

	*ret = (struct chain_file){ .n = 0 };
	if (r < 0) {
		*ret_why = strerrordesc_np(-r);
		return r;
	}
	in = BIO_new_mem_buf(text, (int)len);
	if (in == NULL) {
		*ret_why = "out of memory";
		return -ENOMEM;
	}
	r = add_all(ret, in, ret_why);
	BIO_free(in);
	if (r < 0)
		chain_file_done(ret);
	return r;
}

void
chain_file_done(struct chain_file *c)
{
	for (size_t i = 0; i < c->n; i++)
		OPENSSL_free(c->der[i]);
	*c = (struct chain_file){ .n = 0 };
}
