// Looks at saved evidence, check by check, with the verifier's own code, for
// `meshllm verify`.
#ifndef ATTESTD_EXAMINE_H
#define ATTESTD_EXAMINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "attestd/evidence_file.h"
#include "attestd/level.h"
#include "attestd/trust.h"
#include "common/cleanup.h"

enum { EXAMINED_ROWS_MAX = 20, EXAMINED_NAME_MAX = 32 };

enum examined_state { EXAMINED_OK, EXAMINED_FAILED, EXAMINED_NOT_DONE };

struct examined_row {
	char name[EXAMINED_NAME_MAX];
	enum examined_state state;
	char text[LEVEL_REASON_MAX + 1];
};

struct examined {
	struct evidence_file file; // of a bare blob: what it says of itself
	bool is_bare;
	uint64_t now_ms; // as of which it was judged
	struct examined_row rows[EXAMINED_ROWS_MAX];
	size_t n_rows;
	struct verdict verdict;
};

struct examine_question {
	struct trust_store *store;    // is_read_only
	uint64_t now_ms;	      // 0: when the file was saved
	uint64_t clock_ms;	      // now, for a bare blob
	const uint8_t *node;	      // that it must be of; NULL: the file's
	const uint8_t *inference_key; // likewise
	bool believes_file; // we saved it: what it says of activation counts
};

// An evidence file, or the JSON of a blob.  -EBADMSG: neither; -ENOMEM.
MUST_CHECK int examine(const uint8_t *bytes, size_t len,
    const struct examine_question *, struct examined *ret);
// For people.  explain: every check.
void examined_print(FILE *, const struct examined *, bool explain);

#endif
