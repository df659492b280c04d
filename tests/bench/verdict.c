// Times of the verifier's work, printed: evidence v2 with the certificates of
// a TPM, and verdicts about what is known.  Judges nothing; fails when a
// verdict is not the right one.
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attestd/blob_cache.h"
#include "attestd/evidence_file.h"
#include "attestd/held.h"
#include "attestd/level.h"
#include "common/hex.h"
#include "common/rfc3339.h"
#include "tests/tools/tool.h"

enum { ROUNDS = 2000, MANY = 100 * 1000, NODES = 8000 };

static uint8_t file_bytes[EVIDENCE_FILE_MAX];

static double
now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double
us_each(double start_us, size_t n)
{
	return (now_us() - start_us) / (double)n;
}

static size_t
load(const char *dir, const char *name, uint8_t *ret, size_t size)
{
	char path[4096];
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if ((f = fopen(path, "rb")) == NULL)
		tool_die("a sample cannot be opened");
	n = fread(ret, 1, size, f);
	(void)fclose(f);
	return n;
}

static void
expect(const struct verdict *v, enum level level)
{
	if (v->level == level)
		return;
	(void)fprintf(stderr, "%s: %s\n", level_name(v->level), v->reason);
	tool_die("a verdict is not the right one");
}

// The root that the sample ends at, and as many decisions as a file may have.
static void
fill_store(struct trust_store *store, const char *dir)
{
	struct trust_line line = { .kind = TRUST_ROOT };
	char hex[2 * TRUST_ID_LEN];

	if (trust_store_init(store, NULL) < 0 ||
	    load(dir, "data/swtpm/evidence_v2.root", (uint8_t *)hex,
		sizeof(hex)) != sizeof(hex) ||
	    hex_decode(hex, sizeof(hex), line.id, sizeof(line.id)) < 0 ||
	    trust_add(&store->decided, &line) < 0)
		tool_die("the sample's root is missing");
	line.kind = TRUST_PIN;
	for (size_t i = 0; i < NODES; i++) {
		randombytes_buf(line.id, sizeof(line.id));
		randombytes_buf(line.key, sizeof(line.key));
		if (trust_add(&store->decided, &line) < 0)
			tool_die("out of memory");
	}
	store->is_read_only = true;
	if (trust_store_decided(store) < 0)
		tool_die("out of memory");
}

static void
time_v2(struct trust_store *store, const struct evidence_file *f)
{
	const struct evidence_question q = { .endpoint_id = f->node,
		.inference_key = f->inference_key,
		.nonce = f->nonce,
		.binding = f->binding,
		.now_ms = f->taken_ms };
	struct held_table table = { 0 };
	struct verdict v;
	struct held *h;
	double start;

	start = now_us();
	for (size_t i = 0; i < ROUNDS; i++)
		if (held_judge(&table, store, &q, f->evidence.at,
			f->evidence.len, &h) < 0)
			tool_die("out of memory");
	(void)printf("evidence v2 with its certificates: %.3f ms (%zu bytes)\n",
	    us_each(start, ROUNDS) / 1e3, f->evidence.len);
	h->is_activated = true;
	start = now_us();
	for (size_t i = 0; i < MANY; i++) {
		level_of_held(store, h, f->inference_key, f->taken_ms, &v);
		expect(&v, LEVEL_HARDWARE);
	}
	(void)printf("verdict about evidence v2 that is held: %.2f us "
		     "(%d decisions in the trust file)\n",
	    us_each(start, MANY), NODES);
	held_done(&table);
}

static void
time_blob(struct trust_store *store, const char *dir)
{
	static struct blob_cache cache;
	static uint8_t json[BLOB_MAX];
	struct level_question q = { .blob = json };
	struct rfc3339_time made;
	struct verdict v;
	struct blob blob;
	double start;
	size_t len;

	q.blob_len = load(dir, "fuzz/corpus/examine/blob", json, sizeof(json));
	if (blob_parse(json, q.blob_len, &blob) < 0 ||
	    hex_decode(blob.node_id.at, blob.node_id.len, q.node, 32) < 0 ||
	    rfc3339_parse(blob.timestamp.at, blob.timestamp.len, &made) < 0 ||
	    sodium_base642bin(q.inference_key, 32, blob.inference_key.at,
		blob.inference_key.len, NULL, &len, NULL,
		sodium_base64_VARIANT_ORIGINAL) != 0)
		tool_die("the sample blob is damaged");
	q.now_ms = (uint64_t)made.seconds * 1000;
	start = now_us();
	for (size_t i = 0; i < ROUNDS; i++) {
		level_of_blob(store, &q, &v);
		expect(&v, LEVEL_SELF_SIGNED);
	}
	(void)printf("verdict about a new blob: %.1f us (%zu bytes)\n",
	    us_each(start, ROUNDS), q.blob_len);
	q.cache = &cache;
	start = now_us();
	for (size_t i = 0; i < MANY; i++) {
		level_of_blob(store, &q, &v);
		expect(&v, LEVEL_SELF_SIGNED);
	}
	(void)printf("verdict about a blob that is known: %.2f us\n",
	    us_each(start, MANY));
	blob_done(&blob);
}

int
main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : BENCH_DATA;
	struct trust_store store;
	struct evidence_file f;
	size_t len = load(
	    dir, "data/swtpm/evidence_v2.bin", file_bytes, sizeof(file_bytes));

	if (sodium_init() < 0 || evidence_file_read(file_bytes, len, &f) < 0)
		tool_die("the sample evidence is damaged");
	fill_store(&store, dir);
	time_v2(&store, &f);
	time_blob(&store, dir);
	trust_store_done(&store);
	return 0;
}
