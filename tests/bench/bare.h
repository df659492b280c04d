// Put in front of every file of a bare build (configure --enable-bare): what
// wipes memory does nothing, so that tests/bench/cost can say what it costs.
#ifndef TESTS_BENCH_BARE_H
#define TESTS_BENCH_BARE_H

#include <sodium.h>
#include <string.h>

#define sodium_memzero(at, len) ((void)(at), (void)(len))
#define sodium_stackzero(len) ((void)(len))
#define explicit_bzero(at, len) ((void)(at), (void)(len))

#endif
