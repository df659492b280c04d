// Variables that a daemon was started with: libraries read many, and some
// (LD_*, GCONV_PATH, GLIBC_TUNABLES, OPENSSL_CONF, GNUTLS_*) choose code or
// keys' fate.  A daemon serves without any that is not on our own list: those
// with which systemd tells it of sockets, readiness and credentials.
#ifndef COMMON_ENVIRONMENT_H
#define COMMON_ENVIRONMENT_H

// For main, before anything else: return if nothing but the list is there,
// else run the same program image again with what the list leaves, once.
// The loader and the libraries then start without the rest.
void environment_clean_or_die(char *const argv[]);
// Those that a child of ours may be started with, and NULL: none of systemd's,
// which are about us.  Not more than max of them with the NULL.
void environment_filter(char *const *from, char **ret, unsigned max);

#endif
