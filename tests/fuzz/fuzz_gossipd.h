// A gossipd without a network, for the targets that call its handlers.
#ifndef TESTS_FUZZ_FUZZ_GOSSIPD_H
#define TESTS_FUZZ_FUZZ_GOSSIPD_H

#include "gossipd/gossipd.h"

// Ends the target when there is no memory for it.
struct gossipd *fuzz_gossipd_new(void);

#endif
