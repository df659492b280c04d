// Examines saved evidence: the same checks in the same order as for a node
// that is connected, each with its result.  What only the TPM itself can show
// is named as not shown.  Text from the evidence is escaped.
#include "attestd/examine.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>

#include "attestd/held.h"
#include "common/hex.h"
#include "common/rfc3339.h"

__attribute__((format(printf, 4, 5))) static void
row(struct examined *x, const char *name, enum examined_state state,
    const char *format, ...)
{
	struct examined_row *r = &x->rows[x->n_rows];
	va_list args;

	if (x->n_rows == EXAMINED_ROWS_MAX)
		return;
	x->n_rows++;
	r->state = state;
	(void)snprintf(r->name, sizeof(r->name), "%s", name);
	va_start(args, format);
	(void)vsnprintf(r->text, sizeof(r->text), format, args);
	va_end(args);
}

struct hex {
	char text[65];
};

static struct hex
hex_of(const uint8_t id[static 32])
{
	struct hex h = { "" };

	hex_encode(h.text, id, 32);
	return h;
}

struct time_text {
	char text[24];
};

// Whole seconds, UTC.
static struct time_text
time_of(uint64_t ms)
{
	struct rfc3339_time t = { (int64_t)(ms / 1000), 0 };
	char full[RFC3339_TEXT_LEN + 1];
	struct time_text ret = { "beyond year 9999" };

	if (ms / 1000 > UINT64_C(253402300799))
		return ret;
	rfc3339_format(t, full);
	(void)snprintf(ret.text, sizeof(ret.text), "%.19sZ", full);
	return ret;
}

// ---- what the operator decided

#define NO_LIST "%.64s; you have no list (meshllm trust add-image)"

static void
trust_row(struct examined *x, const struct examine_question *q,
    const uint8_t key[static 32])
{
	struct verdict v = { 0 };

	level_of_key(q->store, x->file.node, key, x->now_ms, &v);
	row(x, "trust here",
	    v.level == LEVEL_NONE ? EXAMINED_FAILED : EXAMINED_OK, "%s: %s",
	    level_name(v.level), v.reason);
}

// ---- blobs

// A text of the peer, shortened, as plain characters.
static struct hex
plain(struct json_in_text text)
{
	struct hex ret;
	size_t n =
	    text.len < sizeof(ret.text) - 1 ? text.len : sizeof(ret.text) - 1;

	for (size_t i = 0; i < n; i++)
		ret.text[i] =
		    text.at[i] >= ' ' && text.at[i] <= '~' ? text.at[i] : '?';
	ret.text[n] = '\0';
	return ret;
}

static struct hex
blob_detail(const struct blob *b, enum blob_status check)
{
	struct hex ret = { "" };

	switch (check) {
	case BLOB_INVALID_SIGNATURE:
		return plain(b->chip_name);
	case BLOB_MISMATCHED_NODE_ID:
		return plain(b->node_id);
	case BLOB_MISMATCHED_INFERENCE_KEY:
		return plain(b->inference_key);
	case BLOB_INSECURE_POSTURE:
		(void)snprintf(ret.text, sizeof(ret.text),
		    "sip %d, secure boot %d, RDMA off %d (self-declared)",
		    b->sip_enabled, b->secure_boot_enabled, b->rdma_disabled);
		return ret;
	case BLOB_EXPIRED:
		return plain(b->timestamp);
	case BLOB_UNBLESSED_BINARY:
		return plain(b->binary_hash);
	case BLOB_NONE:
	case BLOB_VERIFIED:
		break;
	}
	return ret;
}

static void
blob_rows(struct examined *x, const struct examine_question *q,
    const struct blob *blob, enum blob_status status)
{
	static const char *const checks[] = {
		[BLOB_INVALID_SIGNATURE] = "signature",
		[BLOB_MISMATCHED_NODE_ID] = "node",
		[BLOB_MISMATCHED_INFERENCE_KEY] = "inference key",
		[BLOB_INSECURE_POSTURE] = "posture",
		[BLOB_EXPIRED] = "time",
		[BLOB_UNBLESSED_BINARY] = "program",
	};

	bool has_list = trust_find(&q->store->decided, TRUST_IMAGE, NULL);

	row(x, "format", EXAMINED_OK, "attestation of the old network");
	for (enum blob_status i = BLOB_INVALID_SIGNATURE; i < BLOB_VERIFIED;
	     i++) {
		if (i < status && i == BLOB_UNBLESSED_BINARY && !has_list)
			row(x, checks[i], EXAMINED_NOT_DONE, NO_LIST,
			    blob_detail(blob, i).text);
		else if (i < status)
			row(x, checks[i], EXAMINED_OK, "%s",
			    blob_detail(blob, i).text);
		else if (i == status)
			row(x, checks[i], EXAMINED_FAILED, "%s: %s",
			    level_blob_problem(i), blob_detail(blob, i).text);
		else
			row(x, checks[i], EXAMINED_NOT_DONE,
			    "a check before it failed");
	}
}

// Without an envelope it is compared with what it says itself.
static void
describe_bare(struct examined *x, const struct blob *b)
{
	size_t len;

	(void)!hex_decode(
	    b->node_id.at, b->node_id.len, x->file.node, ENDPOINT_ID_LEN);
	if (sodium_base642bin(x->file.inference_key, INFERENCE_KEY_LEN,
		b->inference_key.at, b->inference_key.len, NULL, &len, NULL,
		sodium_base64_VARIANT_ORIGINAL) != 0)
		memset(x->file.inference_key, 0, INFERENCE_KEY_LEN);
}

static void
take_expected(struct examined *x, const struct examine_question *q)
{
	if (q->node != NULL)
		memcpy(x->file.node, q->node, ENDPOINT_ID_LEN);
	if (q->inference_key != NULL)
		memcpy(
		    x->file.inference_key, q->inference_key, INFERENCE_KEY_LEN);
}

static int
examine_blob(struct examined *x, const struct examine_question *q)
{
	struct level_question question = { .blob = x->file.evidence.at,
		.blob_len = x->file.evidence.len,
		.now_ms = x->now_ms };
	uint8_t key[TRUST_ID_LEN];
	enum blob_status status;
	struct blob blob;
	int r = blob_parse(x->file.evidence.at, x->file.evidence.len, &blob);

	if (r < 0) {
		row(x, "format", EXAMINED_FAILED, "%s",
		    level_blob_problem(BLOB_NONE));
		level_say(&x->verdict, "%s", level_blob_problem(BLOB_NONE));
		return x->is_bare ? r : 0;
	}
	if (x->is_bare)
		describe_bare(x, &blob);
	take_expected(x, q);
	memcpy(question.node, x->file.node, ENDPOINT_ID_LEN);
	memcpy(
	    question.inference_key, x->file.inference_key, INFERENCE_KEY_LEN);
	status = level_blob_status(
	    q->store, &question, &blob, blob_is_signed(&blob));
	blob_rows(x, q, &blob, status);
	if (status == BLOB_VERIFIED && level_blob_key(&blob, key) == 0) {
		row(x, "attestation key", EXAMINED_OK, "%s", hex_of(key).text);
		trust_row(x, q, key);
	}
	level_of_blob(q->store, &question, &x->verdict);
	blob_done(&blob);
	return 0;
}

// ---- evidence v2

// What a check that passed has shown.
static struct verdict
v2_detail(const struct evidence_result *r, enum evidence_check check)
{
	struct verdict v = { 0 };

	switch (check) {
	case EVIDENCE_FORMAT:
		level_say(&v, "evidence v2 of %s",
		    r->kind == EVIDENCE_TPM2 ? "a TPM 2.0" : "a software key");
		break;
	case EVIDENCE_NODE:
		level_say(&v, "%s", hex_of(r->claims.endpoint_id).text);
		break;
	case EVIDENCE_INFERENCE_KEY:
		level_say(&v, "%s", hex_of(r->claims.inference_key).text);
		break;
	case EVIDENCE_TIME:
		level_say(&v, "made %s", time_of(r->claims.made_ms).text);
		break;
	case EVIDENCE_KEY:
		level_say(&v, "%s", hex_of(r->key).text);
		break;
	case EVIDENCE_SIGNATURE:
		if (r->kind == EVIDENCE_TPM2)
			level_say(&v,
			    "reset %" PRIu32 ", restart %" PRIu32
			    ", firmware %016" PRIx64,
			    r->clock.reset_count, r->clock.restart_count,
			    r->firmware);
		break;
	case EVIDENCE_CHAIN:
		level_say(
		    &v, "up to %s (%.16s)", r->root_name, hex_of(r->root).text);
		break;
	case EVIDENCE_ENDORSEMENT:
		level_say(&v, "%s", hex_of(r->endorsement).text);
		break;
	case EVIDENCE_FRESHNESS:
	case EVIDENCE_PCRS:
	case EVIDENCE_N_CHECKS:
		break;
	}
	return v;
}

static void
v2_rows(struct examined *x, const struct evidence_result *r)
{
	for (size_t i = 0; i < EVIDENCE_N_CHECKS; i++) {
		enum evidence_check check = (enum evidence_check)i;
		const char *name = evidence_check_name(check);

		if (i >= r->n_done)
			row(x, name, EXAMINED_NOT_DONE,
			    "a check before it failed");
		else if (r->problems[i] != NULL)
			row(x, name, EXAMINED_FAILED, "%s", r->problems[i]);
		else
			row(x, name, EXAMINED_OK, "%s",
			    v2_detail(r, check).reason);
	}
}

static void
program_row(struct examined *x, const struct examine_question *q,
    const struct evidence_result *r)
{
	bool has_list = trust_find(&q->store->decided, TRUST_IMAGE, NULL);
	bool is_in_it = r->claims.has_image &&
	    trust_find(&q->store->decided, TRUST_IMAGE, r->claims.image);

	if (!has_list)
		row(x, "program", EXAMINED_NOT_DONE, NO_LIST,
		    r->claims.has_image ? hex_of(r->claims.image).text
					: "not told");
	else
		row(x, "program", is_in_it ? EXAMINED_OK : EXAMINED_FAILED,
		    "%s%.64s", is_in_it ? "" : "unblessed: not on your list: ",
		    r->claims.has_image ? hex_of(r->claims.image).text
					: "not told");
}

static void
activation_row(
    struct examined *x, const struct examine_question *q, bool is_software)
{
	if (is_software)
		row(x, "credential activation", EXAMINED_FAILED,
		    "there is no TPM");
	else if (q->believes_file)
		row(x, "credential activation",
		    x->file.is_activated ? EXAMINED_OK : EXAMINED_FAILED, "%s",
		    x->file.is_activated
			? "its TPM has shown this node that it holds both keys"
			: "its TPM has not shown that it holds both keys");
	else
		row(x, "credential activation", EXAMINED_NOT_DONE,
		    "only the TPM itself can show it; whoever saved this says: "
		    "%s",
		    x->file.is_activated ? "shown" : "not shown");
}

static int
examine_v2(struct examined *x, const struct examine_question *q)
{
	struct evidence_question question = { .endpoint_id = x->file.node,
		.inference_key = x->file.inference_key,
		.nonce = x->file.nonce,
		.binding = x->file.binding,
		.now_ms = x->now_ms };
	struct held_table table = { 0 };
	struct held *h;
	int r;

	take_expected(x, q);
	r = held_judge(&table, q->store, &question, x->file.evidence.at,
	    x->file.evidence.len, &h);
	if (r < 0)
		return r;
	h->is_activated = q->believes_file && x->file.is_activated;
	h->due = q->believes_file ? HELD_DUE_FIRST : HELD_DUE_SAVED;
	v2_rows(x, &h->result);
	if (evidence_problem(&h->result) == NULL) {
		activation_row(x, q, h->result.kind == EVIDENCE_SOFTWARE);
		program_row(x, q, &h->result);
		trust_row(x, q, h->result.key);
	}
	level_of_held(
	    q->store, h, x->file.inference_key, x->now_ms, &x->verdict);
	held_done(&table);
	return 0;
}

static bool
is_json(const uint8_t *bytes, size_t len)
{
	while (len > 0 &&
	    (*bytes == ' ' || *bytes == '\n' || *bytes == '\r' ||
		*bytes == '\t')) {
		bytes++;
		len--;
	}
	return len > 0 && *bytes == '{';
}

int
examine(const uint8_t *bytes, size_t len, const struct examine_question *q,
    struct examined *ret)
{
	*ret = (struct examined){ .verdict.level = LEVEL_NONE };
	if (is_json(bytes, len)) {
		ret->is_bare = true;
		ret->file.kind = EVIDENCE_FILE_BLOB;
		ret->file.evidence = (struct tpm_bytes){ bytes, len };
		ret->now_ms = q->now_ms == 0 ? q->clock_ms : q->now_ms;
		return examine_blob(ret, q);
	}
	if (evidence_file_read(bytes, len, &ret->file) < 0)
		return -EBADMSG;
	ret->now_ms = q->now_ms == 0 ? ret->file.taken_ms : q->now_ms;
	return ret->file.kind == EVIDENCE_FILE_BLOB ? examine_blob(ret, q)
						    : examine_v2(ret, q);
}

// ---- for people

static void
print_head(FILE *f, const struct examined *x)
{
	(void)fprintf(f, "node %s\n", hex_of(x->file.node).text);
	(void)fprintf(f, "judged as of %s%s\n\n", time_of(x->now_ms).text,
	    x->is_bare				? ""
		: x->now_ms == x->file.taken_ms ? ", when it was saved"
						: "");
	if (x->is_bare)
		(void)fprintf(f,
		    "The file does not say whose it is: it is compared with "
		    "what it says itself,\nunless you name the node and its "
		    "key.\n\n");
	else if (x->file.kind == EVIDENCE_FILE_V2)
		(void)fprintf(f,
		    "That it is fresh and of one connection holds for whoever "
		    "chose the nonce in\nthis file; it cannot be shown to "
		    "anybody else.\n\n");
}

void
examined_print(FILE *f, const struct examined *x, bool explain)
{
	static const char *const states[] = {
		[EXAMINED_OK] = "ok",
		[EXAMINED_FAILED] = "FAILED",
		[EXAMINED_NOT_DONE] = "-",
	};

	if (explain)
		print_head(f, x);
	for (size_t i = 0; explain && i < x->n_rows; i++) {
		const struct examined_row *r = &x->rows[i];

		(void)fprintf(
		    f, "  %-22s %-7s %s\n", r->name, states[r->state], r->text);
	}
	(void)fprintf(f, "%slevel: %s\n%s: %s\n%s\n", explain ? "\n" : "",
	    level_name(x->verdict.level),
	    x->verdict.level == LEVEL_NONE ? "why" : "why not higher",
	    x->verdict.reason, level_limits(x->verdict.level));
}
