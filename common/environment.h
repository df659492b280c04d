// Variables that a daemon was started with: libraries read many, and some
// (LD_*, GCONV_PATH, GLIBC_TUNABLES, OPENSSL_CONF, GNUTLS_*) choose code or
// keys' fate.  A daemon serves without any that is not on our own list.
#ifndef COMMON_ENVIRONMENT_H
#define COMMON_ENVIRONMENT_H

// For main, before anything else: return if nothing but the list is there,
// else run the same program image again with what the list leaves, once.
// The loader and the libraries then start without the rest.
void environment_clean_or_die(char *const argv[]);
// argv[0] to argv[n - 1] that a program may be started with now, and NULL.
// Not more than max of them with the NULL.
void environment_filter(char *const *from, char **ret, unsigned max);

#endif
