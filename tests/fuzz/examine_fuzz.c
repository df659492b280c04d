// Target: examine and examined_print, everything that `meshllm verify` does
// with bytes that somebody gave it; evidence_file_read.
#include <stdlib.h>
#include <string.h>

#include "attestd/examine.h"
#include "tests/fuzz/fuzz.h"

enum { NOW_S = 1778133600 };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct trust_store store = { .dir_fd = -1,
		.is_read_only = true };
	struct examine_question q = { .store = &store,
		.clock_ms = NOW_S * UINT64_C(1000),
		.believes_file = size % 2 == 1 };
	uint8_t head[EVIDENCE_FILE_HEAD_LEN];
	struct evidence_file file;
	struct examined examined;
	char text[16384];
	FILE *f;

	if (store.n_roots == 0 && trust_store_decided(&store) < 0)
		abort();
	// What is read is written the same.
	if (evidence_file_read(data, size, &file) == 0) {
		evidence_file_write(&file, head);
		if (memcmp(head, data, sizeof(head)) != 0 ||
		    sizeof(head) + file.evidence.len != size)
			abort();
	}
	if (examine(data, size, &q, &examined) < 0)
		return 0;
	// Nobody's TPM has a certificate of these roots and a key that we know.
	if (examined.verdict.level > LEVEL_SELF_SIGNED)
		abort();
	f = fmemopen(text, sizeof(text) - 1, "w");
	if (f == NULL)
		return 0;
	examined_print(f, &examined, true);
	(void)fclose(f);
	return 0;
}
