// The one-shot role of this program: judge evidence from standard input.
#ifndef ATTESTD_EXAMINER_H
#define ATTESTD_EXAMINER_H

#include <stdbool.h>

#include "common/sandbox.h"

struct examiner_options {
	const char *state_dir; // the verifier's; NULL: without its decisions
	const char *level;     // the lowest that is good; NULL: self-signed
	const char *at;	       // RFC 3339; NULL: when saved; "now"
	const char *node, *inference_key; // hexadecimal; NULL: the file's
	bool explain, saved_here;
};

enum { ATTESTD_N_EXAMINER_SANDBOX = 10 };

extern const struct sandbox_rule
    attestd_examiner_sandbox[ATTESTD_N_EXAMINER_SANDBOX];

// NULL: fine; else what is wrong with an option, static.
const char *examiner_check(const struct examiner_options *);
// The exit status: 0 good, 1 not, 2 it could not be judged.
int examiner_run(const struct examiner_options *);

#endif
