// Keeps what nodes have shown.  The evidence is theirs, the question and the
// verdict are ours; nothing here outlives the process, and no node can make
// the table larger than its bounds.
#include "attestd/held.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

// Index of the node, or where it would be.
static size_t
lower_bound(const struct held_table *t, const uint8_t *node)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(t->at[mid]->node, node, ENDPOINT_ID_LEN) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct held *
held_find(const struct held_table *t, const uint8_t *node)
{
	size_t i = lower_bound(t, node);

	return i < t->n && memcmp(t->at[i]->node, node, ENDPOINT_ID_LEN) == 0
	    ? t->at[i]
	    : NULL;
}

static void
drop_bytes(struct held_table *t, struct held *h)
{
	t->bytes -= h->len;
	free(h->bytes);
	h->bytes = NULL;
	h->len = 0;
}

static void
remove_at(struct held_table *t, size_t i)
{
	drop_bytes(t, t->at[i]);
	OPENSSL_cleanse(t->at[i], sizeof(*t->at[i]));
	free(t->at[i]);
	t->n--;
	memmove(t->at + i, t->at + i + 1, (t->n - i) * sizeof(*t->at));
}

void
held_forget(struct held_table *t, const uint8_t *node)
{
	if (held_find(t, node) != NULL)
		remove_at(t, lower_bound(t, node));
}

void
held_done(struct held_table *t)
{
	while (t->n > 0)
		remove_at(t, t->n - 1);
	free(t->at);
	*t = (struct held_table){ 0 };
}

// The one that has shown nothing for longest; with_bytes: of those that have
// some.  t->n: none.
static size_t
oldest(const struct held_table *t, bool with_bytes, const struct held *except)
{
	size_t found = t->n;

	for (size_t i = 0; i < t->n; i++)
		if (t->at[i] != except &&
		    (!with_bytes || t->at[i]->bytes != NULL) &&
		    (found == t->n ||
			t->at[i]->judged_ms < t->at[found]->judged_ms))
			found = i;
	return found;
}

static struct held *
add(struct held_table *t, const uint8_t *node)
{
	struct held *h = calloc(1, sizeof(*h));
	size_t i;

	if (h == NULL)
		return NULL;
	if (t->n == HELD_MAX)
		remove_at(t, oldest(t, false, NULL));
	if (t->n == t->size) {
		size_t size = t->size == 0 ? 64 : 2 * t->size;
		struct held **at = reallocarray(t->at, size, sizeof(*at));

		if (at == NULL) {
			free(h);
			return NULL;
		}
		t->at = at;
		t->size = size;
	}
	memcpy(h->node, node, ENDPOINT_ID_LEN);
	i = lower_bound(t, node);
	memmove(t->at + i + 1, t->at + i, (t->n - i) * sizeof(*t->at));
	t->at[i] = h;
	t->n++;
	return h;
}

// Without room it is judged all the same; it just cannot be shown later.
static void
keep_bytes(
    struct held_table *t, struct held *h, const uint8_t *bytes, size_t len)
{
	drop_bytes(t, h);
	if (len > EVIDENCE_V2_MAX)
		return;
	while (t->bytes + len > HELD_BYTES_MAX) {
		size_t i = oldest(t, true, h);

		if (i == t->n)
			return;
		drop_bytes(t, t->at[i]);
	}
	if (len == 0 || (h->bytes = malloc(len)) == NULL)
		return;
	memcpy(h->bytes, bytes, len);
	h->len = len;
	t->bytes += len;
}

// Is this still what the TPM showed?  Its counters stand still while it runs:
// other ones mean that it was reset, and whatever it said before is void.
static void
compare_with_activated(struct held *h)
{
	const struct evidence_result *r = &h->result;

	if (!h->is_activated || evidence_problem(r) != NULL)
		return;
	if (memcmp(h->key, r->key, sizeof(h->key)) != 0 ||
	    memcmp(h->endorsement, r->endorsement, sizeof(h->endorsement)) != 0)
		h->due = HELD_DUE_OTHER_KEY;
	else if (h->clock.reset_count != r->clock.reset_count ||
	    h->clock.restart_count != r->clock.restart_count)
		h->due = HELD_DUE_RESET;
	else
		return;
	h->is_activated = false;
}

int
held_judge(struct held_table *t, const struct trust_store *store,
    const struct evidence_question *q, const uint8_t *bytes, size_t len,
    struct held **ret)
{
	const struct ek_roots roots = trust_roots(store);
	struct evidence_question question = *q;
	struct held *h = held_find(t, q->endpoint_id);

	if (h == NULL && (h = add(t, q->endpoint_id)) == NULL)
		return -ENOMEM;
	memcpy(h->inference_key, q->inference_key, INFERENCE_KEY_LEN);
	memcpy(h->nonce, q->nonce, sizeof(h->nonce));
	memcpy(h->binding, q->binding, sizeof(h->binding));
	h->judged_ms = q->now_ms;
	h->generation = store->generation;
	h->has_secret = false;
	OPENSSL_cleanse(h->secret, sizeof(h->secret));
	question.roots = &roots;
	question.n_roots = 1;
	evidence_verify(bytes, len, &question, &h->result);
	keep_bytes(t, h, bytes, len);
	compare_with_activated(h);
	*ret = h;
	return 0;
}

bool
held_wants_credential(const struct held *h)
{
	return !h->is_activated && h->result.n_done == EVIDENCE_N_CHECKS &&
	    evidence_problem(&h->result) == NULL &&
	    h->result.problems[EVIDENCE_CHAIN] == NULL &&
	    h->result.problems[EVIDENCE_ENDORSEMENT] == NULL;
}

int
held_make_credential(struct held *h, struct tpm_credential *ret)
{
	struct tpm_public ek;
	struct evidence e;
	int r;

	if (!held_wants_credential(h) || h->bytes == NULL)
		return -ENODATA;
	if (evidence_read(h->bytes, h->len, &e) < 0 ||
	    tpm_public_parse(e.ek.at, e.ek.len, &ek) < 0)
		return -EBADMSG;
	if (RAND_bytes(h->secret, sizeof(h->secret)) != 1)
		return -ENOMEM;
	r = tpm_credential_make(
	    &ek, h->result.name, h->result.name_len, h->secret, ret);
	h->has_secret = r == 0;
	return r;
}

int
held_take_proof(struct held *h, const uint8_t proof[static EVIDENCE_PROOF_LEN])
{
	uint8_t wanted[EVIDENCE_PROOF_LEN];
	bool ok;

	ok = h->has_secret && held_wants_credential(h) &&
	    evidence_proof(h->secret, h->result.hash, wanted) == 0 &&
	    CRYPTO_memcmp(proof, wanted, sizeof(wanted)) == 0;
	h->has_secret = false;
	OPENSSL_cleanse(h->secret, sizeof(h->secret));
	OPENSSL_cleanse(wanted, sizeof(wanted));
	if (!ok)
		return -EACCES;
	h->is_activated = true;
	memcpy(h->key, h->result.key, sizeof(h->key));
	memcpy(h->endorsement, h->result.endorsement, sizeof(h->endorsement));
	h->clock = h->result.clock;
	return 0;
}
