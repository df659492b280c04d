// Whom this node trusts: what the operator decided (file `trust`, written by
// the meshllm command) and which keys were seen first (file `own/seen`, in the
// one folder that the verifier may write to: it reads what peers send, and
// must not decide).  Both are plain text, one decision per line:
//
//	pin NODE KEY		the node's attestation key is this one
//	allow-key KEY		good for any node
//	revoke ID		never again: a key, a node or a root
//	root SHA256 NAME	a certificate that chains may end at
//	image SHA256		an accepted program; one line makes it a must
//	forget NODE KEY TIME	this key was seen first until then; not any more
//	seen NODE KEY TIME	first use, Unix seconds
//
// NODE, KEY, SHA256, ID: 64 lower-case hexadecimal digits.  A KEY is the
// SHA-256 of its uncompressed point.
#ifndef ATTESTD_TRUST_H
#define ATTESTD_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "attestd/ek_chain.h"
#include "common/cleanup.h"
#include "common/sizes.h"

enum {
	TRUST_ID_LEN = 32,
	TRUST_LINES_MAX = 8192,
	TRUST_FILE_MAX = 2 * 1024 * 1024,
	TRUST_NAME_MAX = 64, // of a root
	TRUST_NEW_MAX = 256, // keys remembered at once; then one each second
};

#define TRUST_FILE "trust"
#define TRUST_OWN_FOLDER "own"
#define TRUST_SEEN_NAME "seen" // in it
#define TRUST_SEEN_FILE TRUST_OWN_FOLDER "/" TRUST_SEEN_NAME

enum trust_kind {
	TRUST_PIN,
	TRUST_ALLOW_KEY,
	TRUST_REVOKE,
	TRUST_ROOT,
	TRUST_IMAGE,
	TRUST_SEEN,
	TRUST_FORGET,
};

struct trust_line {
	enum trust_kind kind;
	uint8_t id[TRUST_ID_LEN];  // node, key, or whatever is revoked
	uint8_t key[TRUST_ID_LEN]; // pin, seen, forget
	uint64_t time;		   // seen, forget
	char name[TRUST_NAME_MAX + 1];
};

struct trust_list {
	struct trust_line *at; // owned
	size_t n;
	bool is_sorted; // by kind and id; then found without looking at all
};

// Text to lines.  -EBADMSG with the number of the first bad line, -ENOMEM.
// Empty lines and lines that begin with # are skipped.
MUST_CHECK int trust_parse(
    const char *text, size_t len, struct trust_list *ret, size_t *ret_bad_line);
void trust_list_done(struct trust_list *);
// One line with its end; *ret: the caller's free().
MUST_CHECK int trust_line_text(const struct trust_line *, char **ret);
// NULL: there is none.  id may be NULL: the first of the kind.
const struct trust_line *trust_find(
    const struct trust_list *, enum trust_kind, const uint8_t *id);
void trust_sort(struct trust_list *);
// -ENOSPC: TRUST_LINES_MAX.
MUST_CHECK int trust_add(struct trust_list *, const struct trust_line *);
// Removes all lines of this kind and id; their number.
size_t trust_remove(
    struct trust_list *, enum trust_kind, const uint8_t id[TRUST_ID_LEN]);

// Read a file of the folder; a missing one is empty.  *ret_bad_line: 0 unless
// -EBADMSG.
MUST_CHECK int trust_load(
    int dir_fd, const char *name, struct trust_list *ret, size_t *ret_bad_line);
// Replace it: written beside, synced, renamed.  for_owner: root writes it for
// whom the folder belongs to.
MUST_CHECK int trust_save(
    int dir_fd, const char *name, const struct trust_list *, bool for_owner);

// ---- the store of the verifier

struct trust_store {
	int dir_fd; // owned; -1: nothing is kept
	int own_fd; // owned; -1: no key that is new is remembered
	struct trust_list decided, seen;
	struct ek_root *roots; // owned; names of the operator's in decided
	size_t n_roots;
	uint64_t n_new, new_s; // remembered of late
	uint64_t generation;   // grows with each reading of the operator's file
	bool is_read_only;     // a key that is new is not remembered
	bool is_damaged;       // the operator's file; then nobody is trusted
	size_t bad_line;
	struct timespec changed; // of the file that was read
	uint64_t size, inode;
};

// dir NULL: nothing is kept.  Reads both files.  A damaged `seen` is -EBADMSG.
MUST_CHECK int trust_store_init(struct trust_store *, const char *dir);
// Remember new keys from now on: make the verifier's own folder in it.
MUST_CHECK int trust_store_own(struct trust_store *);
void trust_store_done(struct trust_store *);
// Read the operator's file again if it is another now; true if so.
bool trust_store_refresh(struct trust_store *);
// `decided` is another now: collect the roots.  -ENOMEM.
MUST_CHECK int trust_store_decided(struct trust_store *);
// Remember the first use, on disk before it counts.  -EAGAIN: too many lately.
MUST_CHECK int trust_store_see(struct trust_store *,
    const uint8_t node[static TRUST_ID_LEN],
    const uint8_t key[static TRUST_ID_LEN], uint64_t now_s);
bool trust_is_revoked(const struct trust_store *, const uint8_t *id);
// The vendors' and the operator's roots, without revoked ones.
struct ek_roots trust_roots(const struct trust_store *);

#endif
